"""REST: how the service does, for who runs it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from apiflask import APIBlueprint
from flask import g, url_for
from pydantic import BaseModel, Field

from tasks.access.keys import get_keyring
from tasks.assemble.result_job import iso_time
from tasks.ledger.records import Job
from tasks.services import engine_name, get_ledger
from tasks.system import (
    faults_of_late,
    look_at_queues,
    look_at_stores,
    look_at_workers,
    num_unfinished,
    pages_a_second,
)
from web.api.problems import Problem
from web.api.shown import missing_pages

bp = APIBlueprint("system", __name__, url_prefix="/api/v1", tag={"name": "Health"})

OTHERS = "a job of another key"


class BatchSeenOut(BaseModel):
    pages: int
    seconds: float
    at: str = Field(description="When it ended, UTC.")


class WorkerOut(BaseModel):
    """One worker, as it reported last. Those of the queue `gpu` have an engine."""

    queue: str
    worker: str
    host: str
    pid: int
    engine: str
    model: str
    device: str = Field(description="What the engine computes on; empty for a CPU worker.")
    runtime: str
    memory_mb: int = Field(description="MiB of memory that its process has.")
    device_memory_mb: int | None = Field(description="MiB that it has reserved on a GPU.")
    busy: float | None = Field(description="Share of the last moment in which the engine worked, 0 to 1.")
    pages_s: float | None = Field(description="Pages a second over the last minute.")
    last_batch: BatchSeenOut | None
    trouble: str = Field(description="Why it cannot work; mostly empty.")
    seen_s: float = Field(description="Seconds since it reported.")


class QueueOut(BaseModel):
    name: str
    num_waiting: int = Field(description="Tasks that no worker has taken.")
    oldest_s: float = Field(description="Seconds that the oldest of them, or a page that is ready, has waited.")
    trouble: str = Field(description="Why nobody works on it; mostly empty.")


class StoresOut(BaseModel):
    """MiB; null where the blobs are in a remote store. What the cache has is counted every ten minutes."""

    disk_free_mb: int | None
    disk_total_mb: int | None
    cache_pages: int
    cache_mb: float
    cache_room_mb: int
    cache_hits: float | None = Field(description="Share of all pages whose text came from the cache.")
    redis_mb: float


class FaultSeenOut(BaseModel):
    """A job that ended badly within the last hour. Its name and address are only for whoever sent it."""

    job: str
    name: str
    state: str
    reason: str
    detail: str
    ended_at: str
    html: str = Field(description="Its page; empty for a job of another key.")


class SystemOut(BaseModel):
    engine: str = Field(description="The engine that the web server is set to.")
    num_unfinished: int = Field(description="Jobs of all keys.")
    pages_s: float = Field(description="Of all workers together.")
    workers: list[WorkerOut]
    queues: list[QueueOut]
    stores: StoresOut
    faults: list[FaultSeenOut]


@bp.get("/system")
@bp.output(SystemOut)
@bp.doc(responses={403: "Not with an admin's key", 503: "Job store away"}, operation_id="getSystem")
def get_system() -> SystemOut:
    """Workers, queues and errors

    For who runs the service: where keys are asked for, only with one made by `pagefan keys create NAME --admin`.
    """
    return system_out()


def refuse_others() -> None:
    """Raise Problem for whoever may not see how the system does."""
    if not get_keyring().is_admin(g.owner):
        raise Problem("admins-only", "`pagefan keys create NAME --admin` makes a key that opens it.")


def system_out() -> SystemOut:
    refuse_others()
    ledger = get_ledger()
    workers = look_at_workers(ledger)
    return SystemOut(
        engine=engine_name(),
        num_unfinished=num_unfinished(),
        pages_s=pages_a_second(workers.values()),
        workers=[
            worker_out(queue, name, report)
            for queue, reports in workers.items()
            for name, report in sorted(reports.items())
        ],
        queues=[
            QueueOut(name=q.name, num_waiting=q.num_waiting, oldest_s=q.oldest_s, trouble=q.trouble)
            for q in look_at_queues(ledger, workers)
        ],
        stores=StoresOut(**look_at_stores(ledger)),
        faults=list(map(fault_out, faults_of_late(ledger))),
    )


def worker_out(queue: str, name: str, report: Mapping[str, Any]) -> WorkerOut:
    batch = report.get("last_batch")
    texts = {key: str(report.get(key, "")) for key in ("host", "engine", "model", "device", "runtime", "trouble")}
    return WorkerOut(
        queue=queue,
        worker=name,
        pid=int(report.get("pid", 0)),
        memory_mb=int(report.get("memory_mb", 0)),
        device_memory_mb=report.get("device_memory_mb"),
        busy=report.get("busy"),
        pages_s=report.get("pages_s"),
        last_batch=BatchSeenOut(**batch | {"at": iso_time(batch["at"])}) if batch else None,
        seen_s=round(max(0.0, time.time() - report["at"]), 1),
        **texts,
    )


def fault_out(job: Job) -> FaultSeenOut:
    is_own = job.owner == g.owner
    error = job.error or {}
    missing = len(missing_pages(job)) if is_own and not error else job.counts.get("failed", 0)
    return FaultSeenOut(
        job=job.id,
        name=job.name if is_own else OTHERS,
        state=job.state,
        reason=error.get("reason", "") or "missing_pages",
        detail=(error.get("detail", "") if is_own else "") or f"{missing} of {job.num_selected} pages have no text.",
        ended_at=iso_time(job.ended_at or 0.0),
        html=url_for("pages.show_job", job_id=job.id) if is_own else "",
    )
