"""Files that arrive: written to disk as they come, refused once too large, known by their content."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import IO, Any, BinaryIO, cast
from urllib.parse import unquote

from flask import Request, g
from werkzeug.datastructures import FileStorage

from tasks.access.quotas import check_room
from tasks.pipeline import submit_job, submit_url
from tasks.services import get_ledger
from tasks.settings import get_settings
from web.api.inputs import JobFields, UrlFields
from web.api.problems import Problem
from workers.documents.kinds import FORMATS, HEAD_BYTES, DocumentError, sniff
from workers.net.addresses import parse_url

SPOOL_BYTES = 256 * 1024
MAX_FILES = 200
REQUEST_FACTOR = 5  # a request may carry this many files of the largest size
MAX_NAME = 200
OF_REASON = {"empty_file": "empty-file", "corrupt": "damaged-file"}


class LimitedFile(tempfile.SpooledTemporaryFile[bytes]):
    """A file on disk that refuses to grow past MAX_UPLOAD_MB."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(max_size=SPOOL_BYTES)
        self.room = most_bytes

    def write(self, data: Any) -> int:
        self.room -= len(data)
        if self.room < 0:
            self.close()
            raise Problem("too-large", f"A file may have at most {get_settings().max_upload_mb} MiB.")
        return super().write(data)


class UploadRequest(Request):
    """A request whose files go to disk, each within the limit, while they are received."""

    max_form_parts = MAX_FILES + 50

    def _get_file_stream(
        self,
        total_content_length: int | None,  # noqa: ARG002
        content_type: str | None,  # noqa: ARG002
        filename: str | None = None,  # noqa: ARG002
        content_length: int | None = None,  # noqa: ARG002
    ) -> IO[bytes]:
        return cast("IO[bytes]", LimitedFile(get_settings().max_upload_mb * 1024 * 1024))


def refuse_when_full() -> None:
    """Admission control, before the body is read."""
    if get_ledger().num_active() >= get_settings().max_jobs_queued:
        detail = "The server has as many unfinished jobs as it takes."
        raise Problem("queue-full", detail, {"Retry-After": "30"})


def submit_files(files: Sequence[FileStorage], fields: JobFields) -> tuple[str, list[str]]:
    """Make a job of each file, once all can be read; returns the batch's id and the jobs' ids."""
    check_room(g.owner, len(files))
    kinds = [recognise(file) for file in files]
    batch_id = fields.batch_id or secrets.token_hex(8)
    options = fields.to_options()
    job_ids = []
    for file, kind in zip(files, kinds, strict=True):
        try:
            job_id = submit_job(
                cast("BinaryIO", file.stream),
                name=clean_name(file.filename),
                kind=kind,
                options=options,
                owner=g.owner,
                batch_id=batch_id,
            )
        except OSError as exc:
            raise Problem("storage", "The server could not store the file.") from exc
        job_ids.append(job_id)
    return batch_id, job_ids


def submit_link(fields: UrlFields) -> tuple[str, list[str]]:
    """Make a job of a URL, whose document a worker fetches; returns the batch's id and the job's."""
    check_room(g.owner, 1)
    batch_id = fields.batch_id or secrets.token_hex(8)
    path = unquote(parse_url(fields.url).path.partition("?")[0])
    job_id = submit_url(
        fields.url, name=clean_name(path), options=fields.to_options(), owner=g.owner, batch_id=batch_id
    )
    return batch_id, [job_id]


def recognise(file: FileStorage) -> str:
    """The file's kind by its content; raises Problem for one that cannot be read."""
    head, name = file.stream.read(HEAD_BYTES), clean_name(file.filename)
    file.stream.seek(0)
    try:
        return sniff(head, name)
    except DocumentError as exc:
        kind = OF_REASON.get(exc.reason, "unsupported-format")
        extra = {"reason": exc.reason, "formats": list(FORMATS)}
        raise Problem(kind, f"{name}: {exc.detail}", extra=extra) from exc


def clean_name(name: str | None) -> str:
    """The last part of the client's file name, for display only; it never becomes a path."""
    plain = (name or "").replace("%22", '"')  # so forms write a quotation mark in a name (HTML standard, 4.10.21.8)
    last = PurePosixPath(plain.replace("\\", "/")).name
    printable = "".join(character for character in last if character.isprintable())
    return printable[-MAX_NAME:] or "document"
