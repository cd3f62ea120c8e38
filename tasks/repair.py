"""What people do to a job that is under way or has ended: cancel it, have pages read again."""

from __future__ import annotations

from typing import Any

from tasks import passwords
from tasks.access.quotas import charge_pages
from tasks.archive import failed_pages
from tasks.assemble.job_end import conclude
from tasks.ledger import LedgerError, StoreAway, UnknownJob
from tasks.pipeline import pages as page_chord
from tasks.retention import clear_cancelled
from tasks.services import get_ledger
from workers.documents.selection import select_pages

SETTLE_S = 5  # longer than a page takes to notice that its job is cancelled


def cancel_job(job_id: str) -> None:
    """Stop a job: queued pages are dropped, running ones stop at their next check."""
    outcome = get_ledger().cancel(job_id)
    if outcome == "assemble":
        page_chord.send_join(job_id, 0)
    elif outcome == "cancelled":
        conclude(job_id)
        clear_cancelled.apply_async((job_id,), countdown=SETTLE_S)


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
    password = options.pop("password", "")
    passwords.keep(job_id, job.run + 1, password if job.options.has_password else "")
    try:
        run = ledger.open_repair(job_id, indexes=list(selection), selection=str(selection), options=options)
    except (LedgerError, StoreAway):
        passwords.take_back(job_id, job.run + 1)
        raise
    page_chord.begin(job_id, run, len(selection))
    page_chord.feed(job_id, run)
    return run
