"""What can be sent: a path, bytes, an open file, or an address that the server fetches."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

Source = str | os.PathLike[str] | bytes | BinaryIO
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://")  # two letters at least, for C: is a drive
SPOOL_BYTES = 1 << 20


def is_url(source: object) -> bool:
    """Whether this names a document somewhere else: https://…, s3://…"""
    return isinstance(source, str) and ADDRESS.match(source) is not None


@contextlib.contextmanager
def opened(source: Source, name: str = "", *, follow_links: bool = True) -> Iterator[tuple[str, BinaryIO]]:
    """The document's name and its bytes, as a file that can be read again from its start. Raises OSError.

    A file of yours stays open. `name` is what bytes and files without a name are called.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(source, bytes | bytearray | memoryview):
            yield name or "document", io.BytesIO(source)
        elif isinstance(source, str | os.PathLike):
            path = Path(source)
            file = stack.enter_context(open_file(path, follow_links=follow_links))
            yield name or as_text(path.name), file
        else:
            yield name or name_of(source), rewindable(source, stack)


def rewindable(file: BinaryIO, stack: contextlib.ExitStack) -> BinaryIO:
    """The file itself, or all that comes out of a pipe."""
    if isinstance(file, io.TextIOBase):
        raise TypeError("open the document in binary mode")
    if file.seekable():
        file.seek(0)
        return file
    kept = stack.enter_context(tempfile.SpooledTemporaryFile(SPOOL_BYTES))  # noqa: SIM115 - the stack closes it
    shutil.copyfileobj(file, kept)
    kept.seek(0)
    return kept  # type: ignore[return-value]


def name_of(file: BinaryIO) -> str:
    name = getattr(file, "name", "")  # a number for a descriptor
    return as_text(Path(name).name) if isinstance(name, str) and name[:1] not in ("", "<") else "document"


def as_text(name: str) -> str:
    return name.encode(errors="replace").decode()  # a name need not be text


def open_file(path: Path, *, follow_links: bool = True) -> io.BufferedReader:
    """A regular file for reading; raises OSError for a pipe, a device or a folder, which might never end."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags if follow_links else flags | getattr(os, "O_NOFOLLOW", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return os.fdopen(descriptor, "rb")
