"""Finished jobs leave Redis soon after their end, since their files have all of it; a repair brings one back.

What stays in Redis is the job's place in the lists of jobs. Readers come through `tasks.archive`, which looks into the
files where the ledger knows a job no more.
"""

from __future__ import annotations

import logging

from tasks import chord
from tasks.archive import iter_pages, job_on_file, notable_on_file, pages_on_file, write_job_record
from tasks.assemble.page_webhooks import are_pages_told
from tasks.assemble.targets import is_delivered
from tasks.assemble.webhooks import is_told
from tasks.ledger.records import Job
from tasks.services import get_ledger

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 200  # jobs in one look of the reconciler


def put_away_settled() -> None:
    """Put the jobs away that ended a while ago; those that cannot be yet have their turn again later."""
    for job_id in get_ledger().settled_due(MOST_AT_ONCE):
        try:
            put_away(job_id)
        except OSError as exc:
            logger.warning("job %s stays in Redis until its files can be read and written: %s", job_id, exc)


def put_away(job_id: str) -> bool:
    """Remove an ended job from Redis once its files are seen to have all of it; whether that was done."""
    job = get_ledger().job(job_id)
    if job is None or not job.has_ended or not is_told(job) or not are_pages_told(job) or not is_delivered(job):
        return False
    if not is_on_file(job):
        write_job_record(job_id)
    if not get_ledger().put_away(job_id, job.seq):
        return False
    chord.forget(job_id, job.run)  # of one that was cancelled or broke; the others are gone
    return True


def is_on_file(job: Job) -> bool:
    """Whether the files say the same as the ledger."""
    pages = list(iter_pages(job))
    notable = [page for page in pages if page.is_notable]
    return job_on_file(job.id) == job and pages_on_file(job) == pages and (notable_on_file(job) or []) == notable


def take_out(job_id: str) -> bool:
    """Have the ledger know an ended job again, from its files; whether it does."""
    if get_ledger().has(job_id):
        return True
    job = job_on_file(job_id)
    return job is not None and job.has_ended and get_ledger().take_out(job, pages_on_file(job))
