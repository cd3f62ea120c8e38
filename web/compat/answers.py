"""What all contracts answer from: a job that is waited for as long as its client stays, and its text page by page."""

from __future__ import annotations

import re
from collections.abc import Iterator
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

MARK = re.compile(r"<!-- page ([0-9]+) -->")  # where a page begins in the Markdown of results
OWN_LINE = re.compile(r"^<!-- page [0-9]+ -->\n*| <!-- page [0-9]+ -->", re.MULTILINE)
FIGURE = re.compile(r"!\[\]\(figures/[^()\s]*\)\n*")
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


def whole_markdown(job: Job) -> str:
    """The Markdown of the document in one piece, where paragraphs go on from page to page. Raises Problem."""
    return OWN_LINE.sub("", without_head(read_result(job, "md"))).strip()


def markdown_parts(job: Job) -> list[Part]:
    """The Markdown of each page, in page order; it says what is missing where a page has no text. Raises Problem."""
    pages, texts = load_pages(job), dict[int, str]()
    unseen = {page.page_number for page in pages}
    number = 0
    for piece, found in pieces_of(without_head(read_result(job, "md"))):
        if int(found) in unseen:  # else it is one that a model wrote
            unseen.remove(number := int(found))
        texts[number] = texts.get(number, "") + piece
    return [
        Part(page_number=page.page_number, state=page.state, text=clean(texts.get(page.page_number, "")))
        for page in pages
    ]


def without_head(markdown: str) -> str:
    """What stands from the mark of the first page on, without links to figures, which none of these answers has."""
    first = MARK.search(markdown)
    return FIGURE.sub("", markdown[first.start() :] if first else markdown)


def pieces_of(markdown: str) -> Iterator[tuple[str, str]]:
    """The text after each mark of a page, and the number in the mark."""
    numbers_and_texts = MARK.split(markdown)[1:]
    return zip(numbers_and_texts[1::2], numbers_and_texts[::2], strict=True)


def clean(text: str) -> str:
    return text.replace("\f", "\n").strip()


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
