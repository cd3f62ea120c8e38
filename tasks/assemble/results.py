"""From page records to result files, one page at a time, so that memory does not grow with the document."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import IO, Any

from tasks.blobs import BlobMissing, job_key
from tasks.ledger.records import Job, Page
from tasks.messages import JOB_ENDED, JobOptions, JobState, PageState
from tasks.page_end import patiently
from tasks.services import get_blobs, get_ledger
from workers.assemble import PageResult, write_json, write_markdown, write_text
from workers.documents.selection import Selection

logger = logging.getLogger(__name__)

FORMATS = ("md", "txt", "json")
CHUNK = 256  # pages read from the ledger at a time


def iter_pages(job: Job) -> Iterator[Page]:
    """The job's pages in page order, those without a record too, read in chunks."""
    indexes = iter(Selection.parse(job.selection)) if job.selection else iter(())
    unseen: PageState = "cancelled" if job.was_cancelled else "queued"
    while chunk := list(islice(indexes, CHUNK)):
        records = get_ledger().pages_at(job.id, chunk)
        yield from (page or Page(index=index, state=unseen) for index, page in zip(chunk, records, strict=True))


def iter_page_results(job: Job) -> Iterator[PageResult]:
    """Pages with their text, in page order."""
    for page in iter_pages(job) if get_ledger().job(job.id) is not None else load_pages(job):
        content = read_content(page)
        yield PageResult(
            index=page.index,
            state=page.state,
            text=content.get("text", ""),
            reason=page.reason,
            detail=page.detail,
            engine=page.engine,
            stop_reason=page.stop_reason,
            tokens=page.tokens,
            seconds=page.seconds,
            width=page.width,
            height=page.height,
            rotation=page.rotation,
            cached=page.cached,
            text_layer_recall=page.text_layer_recall,
            confidence=page.confidence,
            notices=page.notices,
            lines=tuple(content.get("lines", ())),
            attempts=page.attempts,
        )


def read_content(page: Page) -> dict[str, Any]:
    """A page's text and lines; empty for a page that has none."""
    if not page.blob:
        return {}
    try:
        return dict(get_blobs().read_json(page.blob))
    except BlobMissing:
        logger.error("%s is gone from the store", page.blob)
        return {}


def write_format(job: Job, format: str, out: IO[str]) -> None:
    """Write one result file of the job as its pages are now."""
    if format == "json":
        write_json(job_record(job), iter_page_results(job), out)
    else:
        {"md": write_markdown, "txt": write_text}[format](iter_page_results(job), out)


def write_results(job_id: str) -> None:
    job = get_ledger().job(job_id)
    if job is None:
        return
    for format in FORMATS:
        with get_blobs().writer(job_key(job_id, f"result.{format}"), "w") as out:
            write_format(job, format, out)


def final_state(job_id: str) -> JobState:
    """succeeded: no page is missing; partial: some are; failed: all are."""
    job = get_ledger().job(job_id)
    if job is None:
        return "failed"
    missing = job.counts["failed"] + job.counts["cancelled"]
    if not missing:
        return "succeeded"
    return "failed" if missing == job.num_selected else "partial"


def failed_pages(job: Job) -> Selection:
    """The pages of a job that have no text: failed or cancelled."""
    return Selection.of(page.index for page in iter_pages(job) if page.state in ("failed", "cancelled"))


def job_record(job: Job) -> dict[str, Any]:
    """The job as it is written to files; a password is for one run only and is not written."""
    record = asdict(job)
    record["options"].pop("password")
    return record


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


LOST = {
    "reason": "lost",
    "detail": "The queue's memory was lost while this job ran; send the document again.",
}


def load_job(job_id: str) -> Job | None:
    """The job from the ledger or, when Redis has forgotten it, from its files; None for an unknown id.

    A job that the files show unfinished cannot go on without the ledger: it is reported failed.
    """
    job = get_ledger().job(job_id)
    if job is not None or not job_id.isalnum():
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


def load_pages(job: Job) -> list[Page]:
    """All pages of a job, from the ledger or from its files."""
    if get_ledger().job(job.id) is not None:
        return list(iter_pages(job))
    try:
        lines = get_blobs().read(job_key(job.id, "pages.jsonl")).splitlines()
    except BlobMissing:
        return []
    return [Page.from_line(line) for line in lines]
