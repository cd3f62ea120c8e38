"""What people do to a job that is under way or has ended: cancel it, have pages read again."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

from tasks import passwords
from tasks.access.quotas import charge_pages, refund_pages
from tasks.archive import failed_pages, load_job, write_job_file
from tasks.assemble.job_end import conclude
from tasks.indexing import index_job
from tasks.ledger import LedgerError, StoreAway, UnknownJob
from tasks.ledger.records import Job
from tasks.pipeline import pages as page_chord
from tasks.pipeline import send_split
from tasks.retention import clear_cancelled
from tasks.services import get_ledger
from tasks.shelf import take_out
from workers.documents.selection import Selection, select_pages

LOCKED = ("encrypted", "wrong_password")  # reasons
NEEDED = {
    False: "the document is locked; give the `password` that opens it",
    True: "the document came with a password, which was forgotten at the job's end; give the `password` again",
}  # by whether it has been opened
SETTLE_S = 5  # longer than a page takes to notice that its job is cancelled


class PasswordNeeded(Exception):
    """The document cannot be read again without its password."""


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

    A document that could not be opened for want of a password is opened with the one given, and its run is the first.
    Raises UnknownJob, PageBusy, LedgerError, OverQuota, PasswordNeeded, or ValueError for pages that the job does not
    have.
    """
    job = load_job(job_id)
    if job is None:
        raise UnknownJob(f"no job has the id {job_id}")
    password = options.pop("password", "")
    if is_locked(job):
        unlock_job(job, password)
        return 1
    selection = failed_pages(job) if pages == "failed" else select_pages(pages, job.num_pages)
    if not len(selection):
        raise ValueError("no page of this job has failed; name the pages to repair, as in 3,9")
    if job.options.has_password and not (password or passwords.read(job_id, job.run)):
        raise PasswordNeeded(NEEDED[True])
    charge = f"{job_id}.{secrets.token_hex(8)}"  # two repairs at once would both be the run after this one
    charge_pages(job.owner, charge, len(selection))
    passwords.keep(job_id, job.run + 1, password if job.options.has_password else "")
    try:
        run = open_repair(job_id, selection, options)
    except (LedgerError, StoreAway):
        take_back_password(job_id, job.run + 1)
        refund_pages(job.owner, charge)
        raise
    page_chord.begin(job_id, run, len(selection))
    page_chord.feed(job_id, run)
    return run


def is_locked(job: Job) -> bool:
    """Whether the job failed because no password, or a wrong one, came with its document."""
    return job.state == "failed" and not job.selection and (job.error or {}).get("reason") in LOCKED


def unlock_job(job: Job, password: str) -> None:
    """Open the job's document again, with this password.

    Raises PasswordNeeded for an empty one, UnknownJob, or LedgerError for a job that is at work.
    """
    if not password:
        raise PasswordNeeded(NEEDED[False])
    passwords.keep(job.id, 1, password)
    options = replace(job.options, has_password=True).to_json()
    outcome = get_ledger().unlock(job.id, options)
    if outcome == "unknown" and take_out(job.id):
        outcome = get_ledger().unlock(job.id, options)
    if outcome != "done":
        raise LedgerError("the document is being opened already; see how its job goes on")
    send_split(job.id)


def rename_job(job_id: str, name: str) -> None:
    """Give a job another name; its results bear it too. Raises UnknownJob."""
    if not get_ledger().rename(job_id, name) and not (take_out(job_id) and get_ledger().rename(job_id, name)):
        raise UnknownJob(f"no job has the id {job_id}")
    write_job_file(job_id)
    index_job(job_id)


def take_back_password(job_id: str, run: int) -> None:
    """Of a repair that comes to nothing, unless another one has become this run meanwhile."""
    now = load_job(job_id)
    if now is None or now.run < run:
        passwords.take_back(job_id, run)


def open_repair(job_id: str, selection: Selection, options: dict[str, Any]) -> int:
    """The number of the new run; a job that was put away, even in this moment, is taken out first."""
    arguments: dict[str, Any] = {"indexes": list(selection), "selection": str(selection), "options": options}
    try:
        return get_ledger().open_repair(job_id, **arguments)
    except UnknownJob:
        if not take_out(job_id):
            raise
        return get_ledger().open_repair(job_id, **arguments)
