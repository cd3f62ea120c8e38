"""What all contracts answer from: a job that is waited for as long as its client stays, and its text page by page."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.access.once import Submitted
from tasks.archive import load_pages
from tasks.ledger.records import Job
from tasks.messages import PageState
from tasks.repair import cancel_job
from web.api.outputs import Answers
from web.api.problems import Problem
from web.api.results import open_result
from web.api.waiting import wait_for_end

REFUSALS: Answers = {
    409: {"description": "The job ended without a result"},
    413: {"description": "Too large"},
    415: {"description": "Not a document that can be read"},
    422: {"description": "An empty or damaged file, or an option that cannot be used"},
    503: {"description": "The queue is full, or a store is away"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One page's part of the result; `page_number` counts from 1."""

    page_number: int
    state: PageState
    text: str


def wait_for_job(submitted: Submitted) -> Job:
    """The job of this request once it has ended, however long that takes.

    A client that hangs up cancels it. Raises Problem where so many wait already that this one cannot.
    """
    job_id = submitted[1][0]
    try:
        return wait_for_other_job(job_id, cancel_if_left=True)
    except Problem:
        cancel_job(job_id)
        raise


def wait_for_other_job(job_id: str, *, cancel_if_left: bool = False) -> Job:
    """The asker's job once it has ended; it goes on where the client hangs up. Raises Problem."""
    job = wait_for_end(job_id, float("inf"), cancel_if_left=cancel_if_left)
    if not job.has_ended:
        raise Problem("too-many-listeners", "More clients wait for their text than the server can hold.")
    return job


def read_result(job: Job, format: str) -> str:
    """The whole result as text. Raises Problem where there is none."""
    return b"".join(open_result(job, format, partial=False)).decode()


def markdown_parts(job: Job) -> list[Part]:
    """The Markdown of each page, in page order; it says what is missing where a page has no text. Raises Problem."""
    return split_at_anchors(read_result(job, "md"), job)


def split_at_anchors(markdown: str, job: Job) -> list[Part]:
    """Cut where a page begins, which the result marks; what stands before the first page is left out."""
    pages = load_pages(job)
    marks = [f'<a id="page-{page.page_number}"></a>' for page in pages]
    starts, position = [], 0
    for mark in marks:
        position = markdown.index(mark, position) + len(mark)
        starts.append(position)
    ends = [start - len(mark) for start, mark in zip(starts[1:], marks[1:], strict=True)] + [len(markdown)]
    return [
        Part(page_number=page.page_number, state=page.state, text=markdown[start:end].replace("\f", "\n").strip())
        for page, start, end in zip(pages, starts, ends, strict=True)
    ]


def text_parts(job: Job) -> list[Part]:
    """The plain text of each page, in page order, as `markdown_parts` has the Markdown. Raises Problem."""
    pages = load_pages(job)
    texts = read_result(job, "txt").split("\f")[:-1]
    if len(texts) != len(pages):  # the text of a page has a form feed, with which the result ends pages
        return markdown_parts(job)
    return [
        Part(page_number=page.page_number, state=page.state, text=text.strip())
        for page, text in zip(pages, texts, strict=True)
    ]
