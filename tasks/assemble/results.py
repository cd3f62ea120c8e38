"""From page records to result files, one page at a time, so that memory does not grow with the document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from tasks.archive import iter_pages, job_record, load_pages, read_content
from tasks.blobs import job_key
from tasks.ledger.records import Job
from tasks.services import get_blobs, get_ledger
from workers.assemble import PageResult, write_json, write_markdown, write_text

WRITTEN_FORMATS = ("md", "txt", "json")


def write_results(job_id: str) -> None:
    job = get_ledger().job(job_id)
    if job is None:
        return
    for format in WRITTEN_FORMATS:
        with get_blobs().writer(job_key(job_id, f"result.{format}"), "w") as out:
            write_format(job, format, out)


def write_format(job: Job, format: str, out: IO[str]) -> None:
    """Write one result file of the job as its pages are now."""
    if format == "json":
        write_json(job_record(job), iter_page_results(job), out)
    else:
        {"md": write_markdown, "txt": write_text}[format](iter_page_results(job), out)


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
