"""A page's text corrected by a person: a file of the job, beside what was read, so that it can be undone.

It stands for the page in all formats, also after the page was read again; it goes with the job, and never into the
page cache. The files written at the job's end keep what was read: results of a job with corrections are made when they
are asked for.
"""

from __future__ import annotations

from typing import Any

from tasks.archive import write_job_record
from tasks.assemble.content import correction_key
from tasks.assemble.searchable import remove_pdfs
from tasks.blobs import BlobMissing
from tasks.indexing import index_job
from tasks.ledger import UnknownJob
from tasks.ledger.records import Page
from tasks.services import get_blobs, get_ledger
from tasks.shelf import take_out


class NotCorrected(Exception):
    """The job has not ended, or the page has no text."""


def correct_page(job_id: str, page: Page, *, shown: str, text: str) -> None:
    """Let `text`, Markdown, stand in the place of `shown`, the Markdown of what was read.

    Raises UnknownJob, or NotCorrected while the job runs and for a page without text.
    """
    key = correction_key(job_id, page.index)
    before = kept_correction(key)
    if before and before["run"] == page.run:
        shown = before["shown"]  # this is a correction of a correction
    get_blobs().write_json(key, {"shown": shown, "text": text, "run": page.run})
    try:
        note(job_id, page, is_corrected=True)
    except NotCorrected:
        if before:
            get_blobs().write_json(key, before)
        else:
            get_blobs().delete(key)
        raise
    index_job(job_id)


def undo_correction(job_id: str, page: Page) -> None:
    """What was read stands for the page again; raises UnknownJob, or NotCorrected while the job runs."""
    note(job_id, page, is_corrected=False)
    get_blobs().delete(correction_key(job_id, page.index))
    index_job(job_id)


def kept_correction(key: str) -> dict[str, Any] | None:
    try:
        return dict(get_blobs().read_json(key))
    except BlobMissing:
        return None


def note(job_id: str, page: Page, *, is_corrected: bool) -> None:
    """Have the ledger and the files know of it; a job that was put away is taken out first."""
    arguments: dict[str, Any] = {"index": page.index, "is_corrected": is_corrected}
    outcome = get_ledger().correct(job_id, **arguments)
    if outcome == "unknown" and take_out(job_id):
        outcome = get_ledger().correct(job_id, **arguments)
    if outcome == "unknown":
        raise UnknownJob(f"no job has the id {job_id}")
    if outcome != "done":
        raise NotCorrected(outcome)
    remove_pdfs(job_id)
    write_job_record(job_id)
