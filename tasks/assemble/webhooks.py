"""Tells a job's `webhook_url` how the job, or its batch, ended: signed, tried for a day, each attempt on record."""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from tasks.app import app
from tasks.archive import load_batch, write_job_file
from tasks.assemble.deliveries import JITTER, LONGEST_S, PAUSES_S, Delivery, event_id
from tasks.assemble.result_job import iso_time
from tasks.broker import NORMAL
from tasks.ledger.records import Job
from tasks.messages import JobOptions
from tasks.services import get_ledger
from tasks.settings import get_settings
from workers.net.addresses import FetchError
from workers.net.fetch import post
from workers.net.webhook import sign

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0
CALLS_AT_ONCE = 2  # of the threads of a CPU worker; slow receivers must not take them all from the pages
ROOM_AGAIN_S = 2
STANDARD = "application/json"
CLOUD_EVENT = "application/cloudevents+json; charset=utf-8"
GONE = 410  # the receiver wants no more
HOPELESS = frozenset({"bad_url", "address_refused"})

_room = threading.BoundedSemaphore(CALLS_AT_ONCE)


def tells(options: JobOptions, event: Literal["job", "page", "batch"]) -> bool:
    """Whether the job's webhook is called at such an event."""
    return bool(options.webhook_url) and event in options.webhook_events.split(",")


def batch_event(job: Job) -> str:
    """Names the end of a batch by the job that ended last."""
    return f"{job.id}.{job.run}.batch"


def notify(job_id: str) -> None:
    """Have the job's webhook called about its end, and that of its batch, unless it has been."""
    job = get_ledger().job(job_id)
    if job is None or not job.has_ended or not job.options.webhook_url:
        return
    events = [event_id(job)] if tells(job.options, "job") else []
    if tells(job.options, "batch") and get_ledger().ends_batch(job_id):
        events.append(batch_event(job))
    for event in events:
        if not calls_of(job, event):
            deliver_webhook.apply_async(
                (job_id, event), task_id=f"{event}-webhook", priority=NORMAL, argsrepr=f"job {job_id} {job.state}"
            )


def calls_of(job: Job, event: str) -> list[Delivery]:
    """The calls that told of this end so far."""
    return [one for one in map(Delivery.from_json, job.deliveries) if (one.kind, one.event) == ("webhook", event)]


def is_last(attempt: Delivery) -> bool:
    return not attempt.reason or attempt.status == GONE or attempt.reason in HOPELESS


def is_told(job: Job) -> bool:
    """Whether nothing more will be said to the job's webhook about its end: all was, or it has none."""
    calls, batch_calls = calls_of(job, event_id(job)), calls_of(job, batch_event(job))
    is_job_over = not tells(job.options, "job") or are_over(calls)
    is_over = is_job_over and (not batch_calls or are_over(batch_calls))
    return is_over or time.time() - (job.ended_at or 0.0) > LONGEST_S


def are_over(calls: list[Delivery]) -> bool:
    return any(map(is_last, calls)) or len(calls) > len(PAUSES_S)


@contextmanager
def call_room() -> Iterator[bool]:
    """Whether there is room for one more call, which it takes until the block ends."""
    has_room = _room.acquire(blocking=False)
    try:
        yield has_room
    finally:
        if has_room:
            _room.release()


@app.task(name="deliver_webhook", bind=True, max_retries=len(PAUSES_S))
def deliver_webhook(self: Any, job_id: str, event: str) -> None:
    """Call the webhook once; comes back later when that fails. Stops when the job is gone or runs again."""
    job = get_ledger().job(job_id)
    if job is None or not job.has_ended or event not in (event_id(job), batch_event(job)):
        return
    with call_room() as has_room:
        if not has_room:
            again = {"task_id": self.request.id, "retries": self.request.retries, "countdown": ROOM_AGAIN_S}
            deliver_webhook.apply_async((job_id, event), priority=NORMAL, **again)
            return
        attempt = call_webhook(job, event)
    get_ledger().note_delivery(job_id, attempt.to_json())
    write_job_file(job_id)
    logger.info("job %s: webhook %s", job_id, attempt.reason or f"took {attempt.seconds:.2f} s", extra={"job": job_id})
    retries = self.request.retries
    if not is_last(attempt) and retries < len(PAUSES_S):
        raise self.retry(countdown=PAUSES_S[retries] * random.uniform(1 - JITTER, 1 + JITTER))


def call_webhook(job: Job, event: str) -> Delivery:
    began = time.time()
    status, reason = post_event(job, event, batch_payload(job) if event == batch_event(job) else payload(job))
    return Delivery(event=event, at=began, status=status, reason=reason, seconds=time.time() - began)


def post_event(job: Job, event: str, content: dict[str, Any]) -> tuple[int, str]:
    """Make one signed call; the HTTP status of the answer, 0 without one, and why it does not count, else empty."""
    settings = get_settings()
    try:
        media = STANDARD
        if job.options.webhook_format == "cloudevents":
            media, content = CLOUD_EVENT, cloud_event(event, content)
        body = json.dumps(content, ensure_ascii=False).encode()
        headers = sign(settings.webhook_secret, id=event, timestamp=int(time.time()), body=body)
        rules = settings.address_rules()
        headers |= {"Content-Type": media}
        status = post(job.options.webhook_url, body, headers=headers, rules=rules, timeout_s=TIMEOUT_S)
    except FetchError as exc:
        return 0, exc.reason
    except Exception:
        logger.exception("job %s: the webhook could not be called", job.id)
        return 0, "internal"
    return status, "" if 200 <= status < 300 else f"http_{status}"


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


def batch_payload(job: Job) -> dict[str, Any]:
    """What the receiver gets when the last job of a batch has ended: how many came to what."""
    jobs = load_batch(job.owner, job.batch_id)
    names = ("ok", "blank", "fallback", "failed", "cancelled")
    pages = {name: sum(one.counts.get(name, 0) for one in jobs) for name in names}
    return {
        "type": "batch.ended",
        "timestamp": iso_time(job.ended_at or time.time()),
        "data": {
            "batch_id": job.batch_id,
            "num_jobs": len(jobs),
            "states": dict(Counter(one.state for one in jobs)),
            "pages": {"total": sum(one.num_selected for one in jobs)} | pages,
            "path": f"/api/v1/batches/{job.batch_id}",
        },
    }


def cloud_event(event: str, content: dict[str, Any]) -> dict[str, Any]:
    """The same as CloudEvents 1.0 has it, in structured mode."""
    return {
        "specversion": "1.0",
        "id": event,
        "source": content["data"]["path"],
        "type": f"pagefan.{content['type']}",
        "time": content["timestamp"],
        "datacontenttype": "application/json",
        "data": content["data"],
    }
