"""How the service does, for who runs it: its workers, queues, stores, and what went wrong of late."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.broker import queue_keys
from tasks.cache import noted_size
from tasks.lanes import queues
from tasks.ledger import Ledger
from tasks.ledger.records import Job
from tasks.metrics import KEY, field
from tasks.search import glance
from tasks.services import get_blobs, get_ledger
from tasks.settings import get_settings
from tasks.standstill import NO_WORKER, Reports, look

OF_LATE_S = 3600.0
MOST_JOBS = 1000  # of the newest, looked through for what went wrong
MOST_FAULTS = 50
MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What waits in a queue, and for how many seconds the oldest of it has."""

    name: str
    num_waiting: int
    oldest_s: float
    trouble: str


def look_at_workers(ledger: Ledger) -> dict[str, Reports]:
    """The reports of the workers of each queue; those of a worker that could not load its engine are among them."""
    return {queue: ledger.workers(queue) for queue in queues()}


def trouble_of(reports: Reports) -> str:
    """What keeps all workers of a queue from their work; "" where one can."""
    troubles = [str(report.get("trouble", "")) for report in reports.values()]
    return "" if "" in troubles else next(iter(troubles), NO_WORKER)


def standing_still(ledger: Ledger) -> dict[str, tuple[str, float]]:
    """The queues on which nobody can work: why, and since when in Unix seconds, 0 where that is not known."""
    troubles = {queue: trouble_of(reports) for queue, reports in look_at_workers(ledger).items()}
    moved = ledger.moved(queues())
    return {queue: (trouble, moved[queue]) for queue, trouble in troubles.items() if trouble}


def look_at_queues(ledger: Ledger, workers: dict[str, Reports]) -> list[Queue]:
    now, (heads, _, _) = time.time(), look(ledger)
    found = []
    for queue in queues():
        num_waiting = sum(ledger.redis.llen(key) for key in queue_keys(queue))
        oldest_s = max(0.0, now - min(heads[queue], default=now))
        trouble = trouble_of(workers[queue])
        found.append(Queue(name=queue, num_waiting=num_waiting, oldest_s=round(oldest_s, 1), trouble=trouble))
    return found


def look_at_stores(ledger: Ledger) -> dict[str, Any]:
    """Room on the disk of the blobs where that is a folder, the page cache, and the memory of Redis."""
    blobs, size = get_blobs(), noted_size()
    disk = shutil.disk_usage(nearest(Path(blobs.root))) if blobs.is_local else None
    counted = ledger.redis.hgetall(KEY)
    pages = sum(float(value) for key, value in counted.items() if json.loads(key)[0] == "pages")
    return {
        "disk_free_mb": disk.free // MIB if disk else None,
        "disk_total_mb": disk.total // MIB if disk else None,
        "cache_pages": int(size.get("pages", 0)),
        "cache_mb": round(size.get("bytes", 0) / MIB, 1),
        "cache_room_mb": get_settings().page_cache_mb,
        "cache_hits": round(float(counted.get(field("pages_cached", "", {}), 0)) / pages, 4) if pages else None,
        "redis_mb": round(int(ledger.redis.info("memory")["used_memory"]) / MIB, 1),
    }


def nearest(path: Path) -> Path:
    """The folder, or the first above it that there is: blobs have none before the first of them."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def faults_of_late(ledger: Ledger) -> list[Job]:
    """Jobs of all owners, among the newest, that ended badly within the last hour; the newest end first."""
    oldest = time.time() - OF_LATE_S
    jobs = (candidate.job for candidate in glance(ledger.job_ids(limit=MOST_JOBS)))
    return sorted((job for job in jobs if went_wrong(job, oldest)), key=ended_at, reverse=True)[:MOST_FAULTS]


def went_wrong(job: Job, since: float) -> bool:
    return job.state in ("failed", "partial") and ended_at(job) >= since


def ended_at(job: Job) -> float:
    return job.ended_at or 0.0


def pages_a_second(workers: Iterable[Reports]) -> float:
    return round(sum(float(report.get("pages_s", 0.0)) for reports in workers for report in reports.values()), 2)


def num_unfinished() -> int:
    return get_ledger().num_active()
