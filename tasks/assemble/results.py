"""From page records to result files, one page at a time, so that memory does not grow with the document."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager
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
from workers.results.outline import Survey, outline_of, with_outline
from workers.results.page import PageResult
from workers.results.spool import Spool
from workers.results.text import write_text

WRITTEN_FORMATS = ("md", "txt", "json")  # at the end of a job; the others when they are asked for


def write_results(job_id: str) -> None:
    """Write what was read; corrections are of what is made from it, see `tasks.corrections`.

    Each page is fetched once. Markdown comes last, for it tells that the job has results.
    """
    job = get_ledger().job(job_id)
    if job is None:
        return
    survey = Survey()
    with Spool() as spool:
        pages = survey.seeing(spool.keeping(iter_page_results(job, as_read=True)))
        with result_file(job, "txt") as out:
            if job.options.asks_document:
                deque(pages, maxlen=0)
                write_answer(job, "txt", out)
            else:
                write_text(pages, out)
        outline = survey.outline()
        with result_file(job, "json") as out:
            write_json(result_job(job), with_outline(spool, outline), out, read_answer(job))
        with result_file(job, "md") as out:
            if job.options.asks_document:
                write_answer(job, "md", out)
            else:
                write_markdown(spool, outline, out)


def result_file(job: Job, format: str) -> AbstractContextManager[IO[str]]:
    return get_blobs().writer(job_key(job.id, f"result.{format}"), "w")


def write_answer(job: Job, format: str, out: IO[str]) -> None:
    """What came of the question about the document, as far as it has come."""
    answer = read_answer(job)
    out.write(answer_markdown(answer) if format == "md" else answer_text(answer))


def write_format(
    job: Job,
    format: str,
    out: IO[str],
    options: ResultOptions = DEFAULTS,
) -> None:
    """Write one result file of the job as its pages are now; where it asks about the document, text is the answer."""
    if job.options.asks_document and format in ("md", "txt"):
        write_answer(job, format, out)
        return
    pages = iter_page_results(job)
    if format == "txt":
        write_text(pages, out)
        return
    outline = outline_of(iter_page_results(job))
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
