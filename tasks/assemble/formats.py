"""A result of a job that has ended, as a file in any of the formats that workers write."""

from __future__ import annotations

import shutil
from pathlib import Path

from tasks.archive import load_job
from tasks.assemble.results import WRITTEN_FORMATS, write_format
from tasks.assemble.searchable import MAKING, ask_for_pdf, pdf_key, try_to_make
from tasks.assemble.word import write_word
from tasks.ledger.records import Job
from tasks.services import get_blobs
from workers.net.addresses import FetchError

FORMATS_OF_TARGETS = (*WRITTEN_FORMATS, "docling", "chunks", "hocr", "alto", "docx", "pdf")  # the web makes the others


class NotReady(Exception):
    """The file is being made; ask again in a while."""


def write_result(job: Job, format: str, path: Path) -> None:
    """Raises NotReady, or FetchError where the document cannot be had in this format."""
    if format == "pdf":
        copy_pdf(job, path)
    elif format == "docx":
        with path.open("wb") as out:
            write_word(job, out)
    else:
        with path.open("w", encoding="utf-8", newline="") as text:
            write_format(job, format, text)


def copy_pdf(job: Job, path: Path) -> None:
    """Made here where it is not there yet: who waited for another task would find the job changed by what is noted."""
    job = load_job(job.id) or job
    if not get_blobs().exists(pdf_key(job)):
        try_to_make(job)
    state = ask_for_pdf(job)
    if state == MAKING:
        raise NotReady
    if state != "ready":
        raise FetchError("no_pdf", state)
    with get_blobs().reader(pdf_key(job)) as source, path.open("wb") as out:
        shutil.copyfileobj(source, out)
