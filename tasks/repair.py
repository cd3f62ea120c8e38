"""What people do to a job that is under way or has ended: cancel it, remove it, have pages read again."""

from __future__ import annotations

from typing import Any

from tasks.access.quotas import charge_pages
from tasks.archive import failed_pages
from tasks.assemble.job_end import conclude
from tasks.cache import forget
from tasks.ledger import UnknownJob
from tasks.pipeline import pages as page_chord
from tasks.retention import clear_cancelled, purge_job
from tasks.services import get_ledger
from workers.documents.selection import select_pages

SETTLE_S = 5  # longer than a page takes to notice that its job is cancelled


def cancel_job(job_id: str, *, purge: bool = False) -> bool:
    """Stop a job: queued pages are dropped, running ones stop at their next check. False for an unknown id."""
    outcome = get_ledger().cancel(job_id)
    if outcome == "assemble":
        page_chord.send_join(job_id, 0)
    elif outcome == "cancelled":
        conclude(job_id)
        clear_cancelled.apply_async((job_id, purge), countdown=SETTLE_S)
    if purge:
        for page in get_ledger().pages(job_id):
            forget(page.cache_key)
        purge_job(job_id)
    return outcome is not None or purge


def retry_job(job_id: str, *, pages: str, options: dict[str, Any]) -> int:
    """Run these pages again, "failed" or as "3,9", with other options if given. Returns the number of the new run.

    Raises UnknownJob, PageBusy, LedgerError, OverQuota, or ValueError for pages the job does not have.
    """
    ledger = get_ledger()
    job = ledger.job(job_id)
    if job is None:
        raise UnknownJob(f"no job has the id {job_id}")
    selection = failed_pages(job) if pages == "failed" else select_pages(pages, job.num_pages)
    if not len(selection):
        raise ValueError("no page of this job has failed; name the pages to repair, as in 3,9")
    charge_pages(job.owner, f"{job_id}.{job.run + 1}", len(selection))
    run = ledger.open_repair(job_id, indexes=list(selection), selection=str(selection), options=options)
    page_chord.begin(job_id, run, len(selection))
    page_chord.feed(job_id, run)
    return run
