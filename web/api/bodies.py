"""What a request may carry. Its size is known before it is read, its shape before it is believed.

Files travel in `multipart/form-data` to the addresses that make jobs, or as the body itself, and may be large. All else
is small, so that nobody can fill the server's memory or disk by what it would only throw away.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from typing import IO, Any, cast

from flask import Flask, Request, request

from tasks.settings import get_settings
from web.api.forms import FormReader
from web.api.problems import Problem

MIB = 1 << 20
JSON_BYTES = MIB
LOGIN_BYTES = 16 * 1024
FORM_BYTES = MIB // 2  # a form without files: options with a prompt and a long selection of pages
FIELDS_BYTES = MIB  # all text fields of a form with files together
JSON_DEPTH = 32
JSON_ITEMS = 10_000
SPOOL_BYTES = 256 * 1024
MAX_FILES = 200
MAX_FIELDS = 50
REQUEST_FACTOR = 5  # a request may carry this many files of the largest size
WITH_FILES = frozenset(
    {
        "jobs.create_jobs",
        "convert.convert",
        "pages.create_jobs",
        "docling.convert_file",
        "docling.convert_file_async",
        "docling_chunks.chunk_file",
        "docling_chunks.chunk_file_async",
        "mistral_files.upload",
    }
)
AS_BODY = frozenset(
    {
        "openwebui.process",
        "resumable.add",
        "tika.put_text",
        "tika.put_json",
        "tika.put_json_4",
        "tika.put_recursive",
        "tika.put_metadata",
        "tika.put_detect",
    }
)  # the whole body is a file, whatever its type
AS_BASE64 = frozenset(  # a file may stand in the JSON
    {
        "docling.convert_source",
        "docling.convert_source_async",
        "docling_chunks.chunk_source",
        "docling_chunks.chunk_source_async",
        "mistral.ocr",
        "azure.analyze",
    }
)
LOGIN = frozenset({"login.log_in", "login.log_out"})
# A string, even one that does not end, or a sign of structure; possessive, so that no text takes it long.
TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)


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


class BoundedRequest(Request):
    """A request whose files go to disk, each within the limit, and whose JSON is looked over before it is built."""

    form_data_parser_class = FormReader
    max_form_parts = MAX_FILES + MAX_FIELDS
    takes_files = False
    opened: Sequence[IO[bytes]] = ()

    def _get_file_stream(
        self,
        total_content_length: int | None,  # noqa: ARG002
        content_type: str | None,  # noqa: ARG002
        filename: str | None = None,  # noqa: ARG002
        content_length: int | None = None,  # noqa: ARG002
    ) -> IO[bytes]:
        if not self.takes_files:
            raise Problem("bad-request", "This address takes no files.")
        return self.open_file()

    def open_file(self) -> IO[bytes]:
        """A new file within the limit, for a part of the body; it goes when the request has been answered."""
        file = cast("IO[bytes]", LimitedFile(get_settings().max_upload_mb * MIB))
        self.opened = [*self.opened, file]
        return file

    def close(self) -> None:
        """Give the disk back at once, also where the form was given up half read."""
        for file in self.opened:
            file.close()
        super().close()

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        check_json(self.get_data(cache=cache))
        return super().get_json(force, silent, cache)


def check_json(data: bytes) -> None:
    """Raise Problem for JSON that is too deep or has too many items. Looks at no more of it than it may have.

    In another encoding than UTF-8 the signs would not be where they are looked for; it would have null bytes.
    """
    if b"\0" in data:
        raise Problem("bad-request", "JSON has to come in UTF-8, and without null bytes.")
    depth = items = 0
    for token in TOKEN.finditer(data):
        sign = token[0][0]
        depth += (sign in b"[{") - (sign in b"]}")
        items += sign in b"[{,"
        if depth > JSON_DEPTH or items > JSON_ITEMS:
            words = f"JSON may be {JSON_DEPTH} levels deep and have {JSON_ITEMS} items at most."
            raise Problem("bad-request", words)


def register_bodies(app: Flask) -> None:
    app.request_class = BoundedRequest
    app.before_request(limit_body)


def limit_body() -> None:
    """Say how much of this request's body will be read; raises Problem for one that announces more."""
    most = most_bytes()
    request.max_content_length = most
    request.max_form_memory_size = FIELDS_BYTES
    request.takes_files = request.endpoint in WITH_FILES  # type: ignore[attr-defined]
    if (request.content_length or 0) > most:
        raise too_large(most)


def most_bytes() -> int:
    if request.mimetype == "multipart/form-data" and request.endpoint in WITH_FILES:
        return REQUEST_FACTOR * get_settings().max_upload_mb * MIB
    if request.endpoint in AS_BODY:
        return get_settings().max_upload_mb * MIB
    if request.endpoint in AS_BASE64:
        return get_settings().max_upload_mb * MIB * 4 // 3 + JSON_BYTES
    if request.endpoint in LOGIN:
        return LOGIN_BYTES
    return JSON_BYTES if request.is_json else FORM_BYTES


def too_large(most: int) -> Problem:
    shown = f"{most // MIB} MiB" if most >= MIB else f"{most // 1024} KiB"
    return Problem("too-large", f"This request may carry at most {shown}.")


def why_too_large() -> Problem:
    """For a body that was given up while it was read: which of its limits it went over."""
    most = request.max_content_length or 0
    length = request.content_length
    if request.mimetype == "multipart/form-data" and length is not None and length <= most:
        words = f"A form may have {MAX_FILES} files, {MAX_FIELDS} fields and {FIELDS_BYTES // MIB} MiB of text at most."
        return Problem("too-many-parts", words)
    return too_large(most)
