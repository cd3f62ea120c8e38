"""Tells a job's webhook of the pages that have ended: one call a second at most, with all that ended meanwhile.

The ledger knows up to which change of the job the receiver has been told, and that a call is under way; so no page is
left out, and a receiver that is away is asked by one task, however many pages end.
"""

from __future__ import annotations

import contextlib
import logging
import random
import time
from typing import Any

from tasks.app import app
from tasks.assemble.deliveries import JITTER, LONGEST_S, PAUSES_S, Delivery
from tasks.assemble.result_job import iso_time
from tasks.assemble.webhooks import ROOM_AGAIN_S, call_room, is_last, post_event, tells
from tasks.broker import AWAY, NORMAL
from tasks.ledger import UnknownJob
from tasks.ledger.records import Job, Page
from tasks.messages import PageTask
from tasks.runs import load_run
from tasks.services import get_ledger

logger = logging.getLogger(__name__)

PAUSE_S = 1.0  # between two calls of one job
MOST_PAGES = 100  # of one call
HELD_S = 60.0  # after which a task that was to call is taken for lost
NO_MORE = 2**53  # a change that no job comes to: nothing is told any more


def page_ended(page: PageTask) -> None:
    """Have the webhook told, where it is to be; a call that cannot be sent now is made up for by a later one."""
    with contextlib.suppress(UnknownJob, *AWAY):
        if tells(load_run(page.job_id, page.run).options, "page"):
            ask_for_pages(page.job_id)


def tell_rest(job_id: str) -> None:
    """The job has ended, and with it pages that were cancelled, or whose call was lost."""
    job = get_ledger().job(job_id)
    if job is not None and tells(job.options, "page") and untold_pages(job):
        ask_for_pages(job_id)


def ask_for_pages(job_id: str) -> None:
    if get_ledger().hold_pages_call(job_id, PAUSE_S + HELD_S):
        send(job_id, PAUSE_S)


def send(job_id: str, countdown_s: float) -> None:
    deliver_pages.apply_async((job_id,), countdown=countdown_s, priority=NORMAL, argsrepr=f"job {job_id}")


def are_pages_told(job: Job) -> bool:
    """Whether no call about pages of the job is under way."""
    is_over = job.ended_at is not None and time.time() - job.ended_at > LONGEST_S
    return not tells(job.options, "page") or is_over or not get_ledger().is_pages_call_held(job.id)


def untold_pages(job: Job) -> list[Page]:
    """Those that have ended since the receiver was told last, the earliest first."""
    changed = get_ledger().pages(job.id, job.pages_told)
    return sorted((page for page in changed if page.has_ended), key=lambda page: page.seq)[:MOST_PAGES]


@app.task(name="deliver_pages", bind=True, max_retries=len(PAUSES_S))
def deliver_pages(self: Any, job_id: str) -> None:
    """Tell of the pages that have ended; comes back for those that end meanwhile, and after a failure."""
    ledger = get_ledger()
    job = ledger.job(job_id)
    if job is None:
        return
    pages = untold_pages(job)
    if not pages:
        ledger.told_pages(job_id, job.pages_told, 0.0)
        if untold_pages(job):  # one has ended in this moment, and found the call held
            ask_for_pages(job_id)
        return
    retries = self.request.retries
    with call_room() as has_room:
        if not has_room:
            ledger.told_pages(job_id, job.pages_told, ROOM_AGAIN_S + HELD_S)
            again = {"task_id": self.request.id, "retries": retries, "countdown": ROOM_AGAIN_S}
            deliver_pages.apply_async((job_id,), priority=NORMAL, **again)
            return
        attempt = call(job, pages, tries=retries + 1)
    if attempt.reason or retries:
        ledger.note_delivery(job_id, attempt.to_json())
    if not attempt.reason:
        ledger.told_pages(job_id, pages[-1].seq, PAUSE_S + HELD_S)
        send(job_id, PAUSE_S)
    elif attempt.is_over:
        logger.info("job %s: its webhook hears of no more pages: %s", job_id, attempt.reason, extra={"job": job_id})
        ledger.told_pages(job_id, NO_MORE if is_last(attempt) else pages[-1].seq, 0.0)
    else:
        pause_s = PAUSES_S[retries] * random.uniform(1 - JITTER, 1 + JITTER)
        ledger.told_pages(job_id, job.pages_told, pause_s + HELD_S)
        raise self.retry(countdown=pause_s)


def call(job: Job, pages: list[Page], *, tries: int) -> Delivery:
    began = time.time()
    status, reason = post_event(job, f"{job.id}.{job.run}.pages-{pages[-1].seq}", pages_payload(job, pages))
    attempt = Delivery(
        kind="pages", event=f"{job.id}.{job.run}.pages", at=began, status=status, reason=reason,
        seconds=time.time() - began, tries=tries, is_over=tries > len(PAUSES_S),
    )  # fmt: skip
    return attempt.over() if is_last(attempt) else attempt


def pages_payload(job: Job, pages: list[Page]) -> dict[str, Any]:
    """What the receiver gets: the state of each page, never its text."""
    return {
        "type": "pages.ended",
        "timestamp": iso_time(time.time()),
        "data": {
            "id": job.id,
            "name": job.name,
            "batch_id": job.batch_id,
            "metadata": job.metadata,
            "tags": job.tags,
            "pages": [page_told(job, page) for page in pages],
            "path": f"/api/v1/jobs/{job.id}",
        },
    }


def page_told(job: Job, page: Page) -> dict[str, Any]:
    names = ("page_number", "state", "run", "reason", "engine", "confidence", "notices", "seq")
    path = f"/api/v1/jobs/{job.id}/pages/{page.page_number}"
    return {name: getattr(page, name) for name in names} | {"path": path}
