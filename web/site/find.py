"""Words in a document: on which of its pages they stand, and how often."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from tasks.archive import load_pages
from tasks.assemble.content import content_of
from tasks.blobs import BlobMissing, job_key
from tasks.ledger.records import Job
from tasks.services import get_blobs
from workers.documents.selection import Selection

MOST_CHARACTERS = 200  # of what is looked for
AROUND = 60  # characters of a snippet on either side


class Hit(BaseModel):
    page_number: int
    count: int
    snippet: str


class Found(BaseModel):
    """The pages that have the words, in page order."""

    pages: list[Hit]
    count: int


def find_words(job: Job, words: str) -> Found:
    """Where these words follow one another, whatever their case and the white space between them."""
    wanted = " ".join(words[:MOST_CHARACTERS].split()).lower()
    pages = [hit for number, text in texts_of(job) if (hit := hit_of(number, text, wanted))] if wanted else []
    return Found(pages=pages, count=sum(hit.count for hit in pages))


def hit_of(number: int, text: str, wanted: str) -> Hit | None:
    """The page's hits; `wanted` is in lower case, with single spaces."""
    text = " ".join(text.split())
    lowered = text.lower()
    start = lowered.find(wanted)
    if start < 0:
        return None
    shown = text if len(text) == len(lowered) else lowered  # a few letters are two in lower case
    snippet = shown[max(0, start - AROUND) : start + len(wanted) + AROUND]
    return Hit(page_number=number, count=lowered.count(wanted), snippet=snippet)


def texts_of(job: Job) -> Iterator[tuple[int, str]]:
    """The pages' numbers and texts: from the plain text of a job that has ended, which is one file, else one by one."""
    texts = written_texts(job) if job.has_ended and not job.num_corrected else []
    numbers = [index + 1 for index in Selection.parse(job.selection)] if job.selection else []
    if texts and len(texts) == len(numbers):
        yield from zip(numbers, texts, strict=True)
        return
    for page in load_pages(job):
        if page.blob:
            yield page.page_number, content_of(job.id, page).get("text", "")


def written_texts(job: Job) -> list[str]:
    """Each page's part of `result.txt`, which ends in a form feed; none where there is no such file."""
    try:
        return get_blobs().read(job_key(job.id, "result.txt")).decode().split("\f")[:-1]
    except BlobMissing:
        return []
