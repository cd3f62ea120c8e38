"""From page records to result files, one page at a time, so that memory does not grow with the document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from tasks.archive import iter_pages, load_pages, read_content
from tasks.assemble.answer import read_answer
from tasks.assemble.content import blocks_of, content_of
from tasks.assemble.result_job import result_job
from tasks.blobs import job_key
from tasks.ledger.records import Job
from tasks.services import get_blobs, get_ledger
from workers.results.alto import write_alto
from workers.results.answer import answer_markdown, answer_text
from workers.results.chunks import write_chunks
from workers.results.docling import write_docling
from workers.results.hocr import write_hocr
from workers.results.json_file import write_json
from workers.results.markdown import write_markdown
from workers.results.options import DEFAULTS, ResultOptions
from workers.results.outline import Outline, outline_of, with_outline
from workers.results.page import PageResult
from workers.results.text import write_text

WRITTEN_FORMATS = ("md", "txt", "json")  # at the end of a job; the others when they are asked for


def write_results(job_id: str) -> None:
    """Write what was read; corrections are of what is made from it, see `tasks.corrections`."""
    job = get_ledger().job(job_id)
    if job is None:
        return
    outline = outline_of(iter_page_results(job, as_read=True))
    for format in WRITTEN_FORMATS:
        with get_blobs().writer(job_key(job_id, f"result.{format}"), "w") as out:
            write_format(job, format, out, outline, as_read=True)


def write_format(
    job: Job,
    format: str,
    out: IO[str],
    outline: Outline | None = None,
    options: ResultOptions = DEFAULTS,
    *,
    as_read: bool = False,
) -> None:
    """Write one result file of the job as its pages are now; where it asks about the document, text is the answer."""
    if job.options.asks_document and format in ("md", "txt"):
        answer = read_answer(job)
        out.write(answer_markdown(answer) if format == "md" else answer_text(answer))
        return
    pages = iter_page_results(job, as_read=as_read)
    if format == "txt":
        write_text(pages, out)
        return
    outline = outline or outline_of(iter_page_results(job))
    match format:
        case "json":
            write_json(result_job(job), with_outline(pages, outline), out, read_answer(job))
        case "docling":
            write_docling(job.name, pages, outline, out)
        case "chunks":
            write_chunks(pages, outline, out, options.max_chars)
        case "hocr":
            write_hocr(job.name, pages, outline, out)
        case "alto":
            write_alto(job.name, pages, outline, out)
        case "md":
            write_markdown(pages, outline, out, options.markdown)
        case _:
            raise ValueError(f"no result is written as {format}")


def iter_page_results(job: Job, *, as_read: bool = False) -> Iterator[PageResult]:
    """Pages with their text, in page order, corrected where people have, unless as they were read."""
    for page in load_pages(job) if job.has_ended else iter_pages(job):
        content = read_content(page) if as_read else content_of(job.id, page)
        is_corrected = bool(page.corrected_at) and not as_read
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
            notices=() if is_corrected else page.notices,
            is_corrected=is_corrected,
            data=content.get("data"),
            values=tuple(content.get("values", ())),
            lines=tuple(content.get("lines", ())),
            blocks=blocks_of(page, content),
            attempts=page.attempts,
        )
