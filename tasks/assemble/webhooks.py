"""Tells a job's `webhook_url` how the job ended: signed, tried for a day, every attempt on record in the ledger."""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from typing import Any

from tasks.app import app
from tasks.archive import write_job_file
from tasks.assemble.deliveries import JITTER, LONGEST_S, PAUSES_S, Delivery, event_id
from tasks.assemble.result_job import iso_time
from tasks.broker import NORMAL
from tasks.ledger.records import Job
from tasks.services import get_ledger
from tasks.settings import get_settings
from workers.net.addresses import FetchError
from workers.net.fetch import post
from workers.net.webhook import sign

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0
CALLS_AT_ONCE = 2  # of the threads of a CPU worker; slow receivers must not take them all from the pages
ROOM_AGAIN_S = 2
GONE = 410  # the receiver wants no more
HOPELESS = frozenset({"bad_url", "address_refused"})

_room = threading.BoundedSemaphore(CALLS_AT_ONCE)


def notify(job_id: str) -> None:
    """Have the job's webhook called about its end, unless it has been."""
    job = get_ledger().job(job_id)
    if job is None or not job.has_ended or not job.options.webhook_url:
        return
    event = event_id(job)
    if not calls_of(job, event):
        deliver_webhook.apply_async(
            (job_id, event), task_id=f"{event}-webhook", priority=NORMAL, argsrepr=f"job {job_id} {job.state}"
        )


def calls_of(job: Job, event: str) -> list[Delivery]:
    """The calls that told of this end of the job so far."""
    return [one for one in map(Delivery.from_json, job.deliveries) if (one.kind, one.event) == ("webhook", event)]


def is_last(attempt: Delivery) -> bool:
    return not attempt.reason or attempt.status == GONE or attempt.reason in HOPELESS


def is_told(job: Job) -> bool:
    """Whether nothing more will be said to the job's webhook about its end: all was, or it has none."""
    event = event_id(job)
    attempts = calls_of(job, event)
    is_over = any(map(is_last, attempts)) or len(attempts) > len(PAUSES_S)
    return not job.options.webhook_url or is_over or time.time() - (job.ended_at or 0.0) > LONGEST_S


@app.task(name="deliver_webhook", bind=True, max_retries=len(PAUSES_S))
def deliver_webhook(self: Any, job_id: str, event: str) -> None:
    """Call the webhook once; comes back later when that fails. Stops when the job is gone or runs again."""
    job = get_ledger().job(job_id)
    if job is None or not job.has_ended or event_id(job) != event:
        return
    if not _room.acquire(blocking=False):
        again = {"task_id": self.request.id, "retries": self.request.retries, "countdown": ROOM_AGAIN_S}
        deliver_webhook.apply_async((job_id, event), priority=NORMAL, **again)
        return
    try:
        attempt = call_webhook(job)
    finally:
        _room.release()
    get_ledger().note_delivery(job_id, attempt.to_json())
    write_job_file(job_id)
    logger.info("job %s: webhook %s", job_id, attempt.reason or f"took {attempt.seconds:.2f} s", extra={"job": job_id})
    retries = self.request.retries
    if not is_last(attempt) and retries < len(PAUSES_S):
        raise self.retry(countdown=PAUSES_S[retries] * random.uniform(1 - JITTER, 1 + JITTER))


def call_webhook(job: Job) -> Delivery:
    settings, event, began = get_settings(), event_id(job), time.time()
    body = json.dumps(payload(job), ensure_ascii=False).encode()
    headers = sign(settings.webhook_secret, id=event, timestamp=int(began), body=body)
    status, reason = 0, ""
    try:
        rules = settings.address_rules()
        status = post(job.options.webhook_url, body, headers=headers, rules=rules, timeout_s=TIMEOUT_S)
        reason = "" if 200 <= status < 300 else f"http_{status}"
    except FetchError as exc:
        reason = exc.reason
    except Exception:
        logger.exception("job %s: the webhook could not be called", job.id)
        reason = "internal"
    return Delivery(event=event, at=began, status=status, reason=reason, seconds=time.time() - began)


def payload(job: Job) -> dict[str, Any]:
    """What the receiver gets: how the job ended, and the numbers to decide what to fetch; never a text."""
    names = ("ok", "blank", "fallback", "failed", "cancelled")
    return {
        "type": f"job.{job.state}",
        "timestamp": iso_time(job.ended_at or time.time()),
        "data": {
            "id": job.id,
            "state": job.state,
            "name": job.name,
            "batch_id": job.batch_id,
            "metadata": job.metadata,
            "tags": job.tags,
            "run": job.run,
            "pages": {"total": job.num_selected} | {name: job.counts.get(name, 0) for name in names},
            "error": job.error,
            "created_at": iso_time(job.created_at),
            "path": f"/api/v1/jobs/{job.id}",
        },
    }
