"""What a model may name as a document: an address, bytes in a `data:` URI or, over stdio alone, a file."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit
from urllib.request import url2pathname

import anyio

from pagefan.aclient import AsyncClient
from pagefan.answers import Options
from pagefan.records import Job
from pagefan.sources import is_url

NO_FILES = (
    "Files cannot be named here: this server is reached over HTTP, and a path would be one on its own disk. "
    "Give an http or https address, or the bytes as data:application/pdf;base64,…"
)


async def send(client: AsyncClient, source: str, name: str, options: Options, *, may_read_files: bool) -> Job:
    """Make a job of the document. Raises ValueError for what cannot be sent, OSError, ClientError.

    A call that is cancelled meanwhile gets its job nevertheless: whom nobody knows, nobody can cancel.
    """
    with anyio.CancelScope(shield=True):
        job = await submit(client, source, name, options, may_read_files=may_read_files)
    return job  # noqa: RET504  # to mypy a scope may swallow errors, so that a return within is not enough


async def submit(client: AsyncClient, source: str, name: str, options: Options, *, may_read_files: bool) -> Job:
    if source.startswith("data:"):
        return await client.submit(bytes_of(source), name=name, **options)
    if is_url(source) and not source.startswith("file:"):
        return await client.submit(source, **options)
    if not may_read_files:
        raise ValueError(NO_FILES)
    return await client.submit(path_of(source), name=name, **options)


def bytes_of(uri: str) -> bytes:
    """The content of a `data:` URI (RFC 2397). Raises ValueError."""
    head, comma, body = uri.partition(",")
    if not comma:
        raise ValueError("A data: URI has a comma before its content; this one has none.")
    data = unquote_to_bytes(body)
    if not head.endswith(";base64"):
        return data
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as exc:
        raise ValueError(f"The base64 of the data: URI cannot be decoded: {exc}. Send it again, whole.") from exc


def path_of(source: str) -> Path:
    """The file that a path or a `file:` URI names. Raises ValueError where it is not absolute."""
    path = Path(url2pathname(urlsplit(source).path) if source.startswith("file:") else source).expanduser()
    if not path.is_absolute():
        raise ValueError(f"{source} is no absolute path; this server does not know your folder, so give the whole.")
    return path
