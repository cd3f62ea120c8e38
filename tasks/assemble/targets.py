"""Writes the results of a job where it asked for: tried for a day, each file's state on record in the ledger.

A job is what it is whether or not its results could be delivered.
"""

from __future__ import annotations

import logging
import random
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tenacity import retry, retry_if_exception, stop_after_attempt, wait_random_exponential

from tasks.app import app
from tasks.archive import write_job_file
from tasks.assemble.deliveries import JITTER, LONGEST_S, PAUSES_S, Delivery, event_id
from tasks.assemble.formats import NotReady, write_result
from tasks.broker import NORMAL
from tasks.ledger.records import Job
from tasks.services import get_ledger
from tasks.settings import get_settings
from tasks.storage import write_file
from workers.documents.names import file_stem
from workers.net.addresses import FetchError
from workers.net.fetch import TRANSIENT, put
from workers.net.places import is_storage
from workers.net.targets import fill_in, without_secret
from workers.results.formats import FORMATS

logger = logging.getLogger(__name__)

AT_ONCE = 2  # of the threads of a CPU worker; slow receivers must not take them all from the pages
ROOM_AGAIN_S = 2
QUICK_TRIES = 2  # right after one another, before a pause

_room = threading.BoundedSemaphore(AT_ONCE)


def formats_of(job: Job) -> list[str]:
    """Each once; a PDF comes first, for it is made of a job that does not change meanwhile."""
    wanted = dict.fromkeys(filter(None, job.options.target_formats.split(",")))
    return sorted(wanted or ["md"], key=lambda format: format != "pdf")


def ask_for_delivery(job_id: str) -> None:
    """Have the job's results written to its target, unless they are under way already."""
    job = get_ledger().job(job_id)
    if job is None or not has_results(job):
        return
    event = event_id(job)
    if not deliveries_of(job):
        deliver_results.apply_async(
            (job_id, event), task_id=f"{event}-target", priority=NORMAL, argsrepr=f"job {job_id} {job.state}"
        )


def has_results(job: Job) -> bool:
    return bool(job.options.target_url) and job.state in ("succeeded", "partial")


def deliveries_of(job: Job) -> dict[str, Delivery]:
    """By format, what became of the files of this end of the job so far."""
    found = map(Delivery.from_json, job.deliveries)
    return {one.format: one for one in found if one.kind == "target" and one.event == event_id(job)}


def is_delivered(job: Job) -> bool:
    """Whether nothing more will be written to the job's target: all is, or it is given up, or it has none."""
    known = deliveries_of(job)
    left = [format for format in formats_of(job) if not (format in known and known[format].is_over)]
    return not has_results(job) or not left or time.time() - (job.ended_at or 0.0) > LONGEST_S


@app.task(name="deliver_results", bind=True, max_retries=len(PAUSES_S))
def deliver_results(self: Any, job_id: str, event: str) -> None:
    """Write each file that is not there yet; comes back later for those that could not be written."""
    job = get_ledger().job(job_id)
    if job is None or not has_results(job) or event_id(job) != event:
        return
    if not _room.acquire(blocking=False):
        again = {"task_id": self.request.id, "retries": self.request.retries, "countdown": ROOM_AGAIN_S}
        deliver_results.apply_async((job_id, event), priority=NORMAL, **again)
        return
    retries = self.request.retries
    known = deliveries_of(job)
    try:
        left = [format for format in formats_of(job) if not (format in known and known[format].is_over)]
        done = [deliver(job, format, tries=retries + 1) for format in left]
    finally:
        _room.release()
    write_job_file(job_id)
    if retries < len(PAUSES_S) and not all(one.is_over for one in done):
        raise self.retry(countdown=PAUSES_S[retries] * random.uniform(1 - JITTER, 1 + JITTER))


def deliver(job: Job, format: str, *, tries: int) -> Delivery:
    """Make one file and write it; what became of that is noted in the ledger."""
    url, began = target_of(job, format), time.time()
    status, reason, is_final = 0, "", True
    try:
        with tempfile.NamedTemporaryFile() as file:
            write_result(job, format, Path(file.name))
            status = send(job, url, Path(file.name), format)
        reason = "" if 200 <= status < 300 else f"http_{status}"
        is_final = status not in TRANSIENT
    except NotReady:
        reason, is_final = "being_made", False
    except FetchError as exc:
        reason, is_final = exc.reason, not exc.is_transient
    except Exception:
        logger.exception("job %s: its %s could not be delivered", job.id, format)
        reason, is_final = "internal", False
    delivery = Delivery(
        kind="target", event=event_id(job), at=began, status=status, reason=reason, seconds=time.time() - began,
        target=without_secret(url), format=format, tries=tries, is_over=is_final or tries > len(PAUSES_S),
    )  # fmt: skip
    get_ledger().note_delivery(job.id, delivery.to_json())
    logger.info("job %s: %s %s", job.id, delivery.target, reason or "written", extra={"job": job.id})
    return delivery


def target_of(job: Job, format: str) -> str:
    suffix = FORMATS[format].suffix
    stem = file_stem(job.name, job.id, room=len(suffix) + 1)
    values = {
        "job": job.id,
        "batch": job.batch_id or "none",
        "name": file_stem(job.name, job.id, room=len(suffix) + 1, keep_suffix=True),
        "stem": stem,
        "format": format,
        "suffix": suffix,
        "date": datetime.fromtimestamp(job.created_at, UTC).date().isoformat(),
    }
    return fill_in(job.options.target_url, values)


@retry(
    retry=retry_if_exception(lambda exc: getattr(exc, "is_transient", False)),
    wait=wait_random_exponential(multiplier=0.5, max=5),
    stop=stop_after_attempt(QUICK_TRIES),
    reraise=True,
)
def send(job: Job, url: str, path: Path, format: str) -> int:
    """Write the file; returns the HTTP status, 200 for a storage. Raises FetchError."""
    settings = get_settings()
    if is_storage(url):
        write_file(url, job.owner, path)
        return 200
    return put(
        url,
        path,
        media=FORMATS[format].mimetype,
        rules=settings.address_rules(),
        timeout_s=settings.fetch_timeout_s,
    )
