"""How a job ends: its last state, its record in the files, its webhook."""

from __future__ import annotations

import logging

from tasks.archive import write_job_record
from tasks.assemble.webhooks import notify
from tasks.messages import JobState
from tasks.services import get_ledger

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
    """The job has ended: write its record, which outlives Redis, and tell its webhook. Harmless to repeat."""
    write_job_record(job_id)
    notify(job_id)
    get_ledger().concluded(job_id)


def end_unopened(job_id: str, reason: str, detail: str) -> None:
    logger.info("job %s failed: %s", job_id, reason, extra={"job": job_id})
    get_ledger().end_job(job_id, "failed", only_from="splitting", error={"reason": reason, "detail": detail})
    conclude(job_id)
