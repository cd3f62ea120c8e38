"""The Word file of a job."""

from __future__ import annotations

from importlib import import_module
from typing import IO

from tasks.assemble.results import iter_page_results
from tasks.blobs import BlobMissing, job_key
from tasks.ledger.records import Job
from tasks.services import get_blobs
from workers.results.outline import outline_of

WRITER = "workers.results.docx_file"  # loaded at the first request, so that no other process has its libraries


def write_word(job: Job, out: IO[bytes]) -> None:
    """Write the document as its pages are now."""

    def picture(name: str) -> bytes | None:
        try:
            return get_blobs().read(job_key(job.id, f"figures/{name}"))
        except BlobMissing:
            return None

    outline = outline_of(iter_page_results(job))
    import_module(WRITER).write_docx(job.name, iter_page_results(job), outline, picture, out)
