"""How a job ends: its last state, its record in the files, its webhook."""

from __future__ import annotations

import logging

import redis

from tasks import passwords
from tasks.archive import iter_pages, write_job_record
from tasks.assemble.page_webhooks import tell_rest
from tasks.assemble.searchable import ask_for_pdf
from tasks.assemble.targets import ask_for_delivery
from tasks.assemble.webhooks import notify
from tasks.indexing import index_job
from tasks.messages import JobState, PageTask
from tasks.page_end import give_up_page
from tasks.reasons import REASONS
from tasks.services import get_ledger

UNASSEMBLED = {
    "storage": "The result could not be stored; free space and retry a page.",
    "internal": "Something went wrong on the server each time; its log says what. Retry a page, or send it again.",
}

logger = logging.getLogger(__name__)


def final_state(job_id: str) -> JobState:
    """succeeded: no page is missing; partial: some are; failed: all are."""
    job = get_ledger().job(job_id)
    if job is None:
        return "failed"
    missing = job.counts["failed"] + job.counts["cancelled"]
    if not missing:
        return "succeeded"
    return "failed" if missing == job.num_selected else "partial"


def conclude(job_id: str) -> None:
    """The job has ended: write its record, which outlives Redis, tell its webhook, deliver its results, and so on.

    Harmless to repeat.
    """
    write_job_record(job_id)
    notify(job_id)
    tell_rest(job_id)
    ask_for_delivery(job_id)
    index_job(job_id)
    let_password_go(job_id)
    get_ledger().concluded(job_id)


def end_assembled(job_id: str, state: JobState, error: dict[str, str] | None) -> None:
    """End a job whose results are written; one with an `error`, for its question has no answer, fails."""
    state = "failed" if error else state
    if get_ledger().end_job(job_id, state, only_from="assembling", error=error):
        conclude(job_id)
        logger.info("job %s %s", job_id, state, extra={"job": job_id})


def end_unassembled(job_id: str, reason: str) -> None:
    """End a job whose result cannot be made; what its pages came to stays, and its record waits for the store."""
    error = {"reason": reason, "detail": UNASSEMBLED[reason]}
    if get_ledger().end_job(job_id, "failed", only_from="assembling", error=error):
        logger.info("job %s failed: %s", job_id, reason, extra={"job": job_id})
        notify(job_id)


def give_up_job(job_id: str, reason: str = "internal") -> None:
    """End a job that nobody can look after: its pages that have not ended fail, and so does the job."""
    job = get_ledger().job(job_id)
    try:
        for page in iter_pages(job) if job else ():
            if not page.has_ended:
                give_up_page(PageTask(job_id=job_id, run=page.run, index=page.index), reason)
    except redis.RedisError:
        raise
    except Exception:
        logger.exception("job %s ends without its pages", job_id)
    detail = UNASSEMBLED.get(reason) or REASONS[reason]
    if get_ledger().end_job(job_id, "failed", error={"reason": reason, "detail": detail}):
        notify(job_id)


def let_password_go(job_id: str) -> None:
    """Forget the password of the job that has ended; where there are texts, once its searchable PDF is made."""
    job = get_ledger().job(job_id)
    if job is None or not job.has_ended or not job.options.has_password:
        return
    if job.kind == "pdf" and job.state in ("succeeded", "partial"):
        passwords.forget_later(job_id)
        ask_for_pdf(job)
    else:
        passwords.forget(job_id, job.run)


def end_unopened(job_id: str, reason: str, detail: str) -> None:
    logger.info("job %s failed: %s", job_id, reason, extra={"job": job_id})
    get_ledger().end_job(job_id, "failed", only_from="splitting", error={"reason": reason, "detail": detail})
    conclude(job_id)
