"""The records of jobs that outlive Redis, job.json and pages.jsonl, and the pages' texts: written, and read again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

from tasks.blobs import BlobMissing, job_key, patiently
from tasks.ids import is_job_id
from tasks.ledger.records import Job, Page
from tasks.messages import JOB_ENDED, JobOptions, PageState
from tasks.services import get_blobs, get_ledger
from workers.documents.selection import Selection

logger = logging.getLogger(__name__)

CHUNK = 256  # pages read from the ledger at a time
LOST = {
    "reason": "job_lost",
    "detail": "The queue's memory was lost while this job ran; send the document again.",
}


@patiently
def write_job_file(job_id: str) -> None:
    """Write `job.json` as the ledger has the job now."""
    job = get_ledger().job(job_id)
    if job is not None:
        get_blobs().write_json(job_key(job_id, "job.json"), job_record(job))


@patiently
def write_job_record(job_id: str) -> None:
    """Write `job.json`, and once the job has ended its pages, so that both outlive Redis."""
    job = get_ledger().job(job_id)
    if job is None:
        return
    write_job_file(job_id)
    if job.has_ended and job.selection:
        with get_blobs().writer(job_key(job_id, "pages.jsonl"), "w") as out:
            out.writelines(page.to_line() for page in iter_pages(job))


def job_record(job: Job) -> dict[str, Any]:
    """The job as it is written to files."""
    record = asdict(job)
    record["options"].pop("password")
    return record


def load_job(job_id: str) -> Job | None:
    """The job from the ledger or, when Redis has forgotten it, from its files; None for an unknown id.

    A job that the files show unfinished cannot go on without the ledger: it is reported failed.
    """
    job = get_ledger().job(job_id)
    if job is not None or not is_job_id(job_id) or get_ledger().is_purged(job_id):
        return job
    try:
        record = get_blobs().read_json(job_key(job_id, "job.json"))
    except BlobMissing:
        return None
    options = JobOptions.from_json(record.pop("options"))
    record["warnings"] = tuple(record["warnings"])
    record["deliveries"] = tuple(record.get("deliveries", ()))
    if record["state"] not in JOB_ENDED:
        record |= {"state": "failed", "error": LOST}
    return Job(**record, options=options)


def iter_pages(job: Job) -> Iterator[Page]:
    """The job's pages in page order, those without a record too, read in chunks."""
    indexes = iter(Selection.parse(job.selection)) if job.selection else iter(())
    unseen: PageState = "cancelled" if job.was_cancelled else "queued"
    while chunk := list(islice(indexes, CHUNK)):
        records = get_ledger().pages_at(job.id, chunk)
        yield from (page or Page(index=index, state=unseen) for index, page in zip(chunk, records, strict=True))


def load_pages(job: Job) -> list[Page]:
    """All pages of a job, from the ledger or from its files."""
    if get_ledger().job(job.id) is not None:
        return list(iter_pages(job))
    try:
        lines = get_blobs().read(job_key(job.id, "pages.jsonl")).splitlines()
    except BlobMissing:
        return []
    return [Page.from_line(line) for line in lines]


def failed_pages(job: Job) -> Selection:
    """The pages of a job that have no text: failed or cancelled."""
    return Selection.of(page.index for page in iter_pages(job) if page.state in ("failed", "cancelled"))


def read_content(page: Page) -> dict[str, Any]:
    """A page's text and lines; empty for a page that has none."""
    if not page.blob:
        return {}
    try:
        return dict(get_blobs().read_json(page.blob))
    except BlobMissing:
        logger.error("%s is gone from the store", page.blob)
        return {}
