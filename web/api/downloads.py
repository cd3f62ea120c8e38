"""Results that are files of their own: the searchable PDF, and a ZIP of everything, streamed as it is packed."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence

from tasks.archive import load_pages
from tasks.assemble.searchable import MAKING, ask_for_pdf, pdf_key
from tasks.assemble.tables import iter_tables
from tasks.blobs import BlobMissing, job_key, page_key
from tasks.ledger.records import Job
from tasks.services import get_blobs
from web.api.problems import Problem
from workers.results.grid import write_csv
from workers.results.page import image_name

CHUNK_BYTES = 256 * 1024
WAIT_S = 8.0  # longest time that a request waits for a PDF to be made
POLL_S = 0.2
STORED = frozenset({"pdf", "png"})  # compressed already

Opener = Callable[[str], Iterator[bytes]]  # from a format to its content


def read_blob(key: str) -> Iterator[bytes]:
    with get_blobs().reader(key) as source:
        while chunk := source.read(CHUNK_BYTES):
            yield chunk


def open_pdf(job: Job) -> Iterator[bytes]:
    """The searchable PDF; raises Problem where it takes long to make, or cannot be made."""
    if (state := wait_for_pdf(job)) != "ready":
        raise Problem("no-result", state)
    return read_blob(pdf_key(job))


def wait_for_pdf(job: Job) -> str:
    """ "ready", or why there is no PDF; raises Problem when it is not made within a few seconds."""
    (state,) = wait_for_pdfs([job], "The searchable PDF is being made.", retry_after_s=3)
    return state


def wait_for_pdfs(jobs: Sequence[Job], what: str, *, retry_after_s: int) -> list[str]:
    """The same of several, made at once; `what` is said where that takes longer."""
    deadline = time.monotonic() + WAIT_S
    while MAKING in (states := [ask_for_pdf(job) for job in jobs]):
        if time.monotonic() > deadline:
            raise Problem("being-made", what, {"Retry-After": str(retry_after_s)})
        time.sleep(POLL_S)
    return states


def open_zip(job: Job, stem: str, open_format: Opener) -> Iterator[bytes]:
    """All results with tables, figures and the page images that are kept; without a PDF where none can be made."""
    has_pdf = wait_for_pdf(job) == "ready"
    return pack(zip_entries(job, stem, open_format, has_pdf))


def zip_entries(job: Job, stem: str, open_format: Opener, has_pdf: bool) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Names and contents, each to be read before the next is asked for."""
    for format in ("md", "json", "txt", "html"):
        yield f"{stem}.{format}", open_format(format)
    if has_pdf:
        yield f"{stem}.pdf", read_blob(pdf_key(job))
    for table in iter_tables(job):
        yield f"tables/table-{table.number:03d}.csv", iter([write_csv(table.block.cells).encode()])
    for name in get_blobs().names(job_key(job.id, "figures")):
        yield f"figures/{name}", read_blob(job_key(job.id, f"figures/{name}"))
    for page in load_pages(job):
        if page.has_image and get_blobs().exists(key := page_key(job.id, page.index, "png")):
            yield image_name(page.page_number), read_blob(key)


class Outbox(io.RawIOBase):
    """What has been written and not yet been taken; it cannot seek, so that ZIP entries are written in one go."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self.pieces)
        self.pieces.clear()
        return taken


def pack(entries: Iterator[tuple[str, Iterator[bytes]]]) -> Iterator[bytes]:
    """A ZIP archive, piece by piece; an entry that is gone meanwhile is left empty."""
    outbox = Outbox()
    with zipfile.ZipFile(outbox, "w") as archive:
        for name, content in entries:
            info = zipfile.ZipInfo(name, time.localtime()[:6])
            info.compress_type = zipfile.ZIP_STORED if name.rpartition(".")[2] in STORED else zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as entry:
                try:
                    for piece in content:
                        entry.write(piece)
                        yield outbox.take()
                except BlobMissing:
                    continue
            yield outbox.take()
    yield outbox.take()
