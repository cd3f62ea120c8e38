"""Files that come in parts: each part is a blob of its own, so that a break, or the end of a process, costs one part.

    uploads/{owner}/{id}/info.json            what was announced: the file's name and length
    uploads/{owner}/{id}/000000000000.part    bytes from this place on; the next part begins where this one ends

How far an upload is, its parts say. What nobody goes on with is removed a day after its last part.
"""

from __future__ import annotations

import io
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import BinaryIO

from tasks.blobs import BlobMissing
from tasks.services import get_blobs

FOLDER = "uploads"
FORM = re.compile(r"[0-9a-f]{32}")
KEPT_S = 86_400  # after the last part
MOST_OPEN = 50  # unfinished uploads of one owner
PIECE_BYTES = 4 << 20  # of one part


class UnknownUpload(Exception):
    """No upload of this owner has this id."""


class TooManyUploads(Exception):
    """The owner has as many unfinished uploads as are kept, or as long ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that was announced; `length` is in bytes, `created_at` in Unix seconds."""

    id: str
    owner: str
    name: str
    length: int
    created_at: float

    @property
    def folder(self) -> str:
        return f"{FOLDER}/{self.owner}/{self.id}"


def begin_upload(owner: str, *, name: str, length: int, most_bytes: int) -> Upload:
    """Take note of a file that will come; raises TooManyUploads where the owner's unfinished ones are too many or long.

    Counted once the new one is there, so that several at once are not all let in.
    """
    upload = Upload(id=secrets.token_hex(16), owner=owner, name=name, length=length, created_at=time.time())
    get_blobs().write_json(f"{upload.folder}/info.json", asdict(upload))
    unfinished = list(uploads_of(owner))
    if len(unfinished) > MOST_OPEN or sum(one.length for one in unfinished) > most_bytes:
        drop_upload(upload)
        raise TooManyUploads
    return upload


def uploads_of(owner: str) -> Iterator[Upload]:
    for id in get_blobs().names(f"{FOLDER}/{owner}"):
        try:
            yield find_upload(owner, id)
        except UnknownUpload:
            continue


def find_upload(owner: str, id: str) -> Upload:
    """The owner's upload; raises UnknownUpload for any other, as if it had never been."""
    if not FORM.fullmatch(id):
        raise UnknownUpload
    try:
        return Upload(**get_blobs().read_json(f"{FOLDER}/{owner}/{id}/info.json"))
    except BlobMissing as exc:
        raise UnknownUpload from exc


def parts_of(upload: Upload) -> list[tuple[int, int, str]]:
    """(first byte, number of bytes, key) of the parts that follow one another from the start."""
    get_blobs().fs.invalidate_cache()  # other processes write there too
    found, end = [], 0
    sizes = {key: size for _, size, key in get_blobs().ages(upload.folder) if key.endswith(".part")}
    while size := sizes.get(part_key(upload, end), 0):
        found.append((end, size, part_key(upload, end)))
        end += size
    return found


def part_key(upload: Upload, start: int) -> str:
    return f"{upload.folder}/{start:012d}.part"


def offset_of(upload: Upload) -> int:
    """How many bytes of the file are there."""
    return sum(size for _, size, _ in parts_of(upload))


def add_bytes(upload: Upload, start: int, source: BinaryIO) -> int:
    """Keep what comes, from this byte of the file on, in pieces of PIECE_BYTES; returns where it ends.

    Raises ValueError for more than was announced. Where the source breaks, the pieces before that stay.
    """
    while data := read_piece(source, min(PIECE_BYTES, upload.length - start + 1)):
        if start + len(data) > upload.length:
            raise ValueError(f"more than the {upload.length} bytes that were announced")
        get_blobs().write(part_key(upload, start), data)
        start += len(data)
    return start


def read_piece(source: BinaryIO, size: int) -> bytes:
    """So many bytes, or what is left, also of a stream that gives them as they come."""
    data = bytearray()
    while len(data) < size and (some := source.read(size - len(data))):
        data += some
    return bytes(data)


def drop_upload(upload: Upload) -> None:
    get_blobs().delete(upload.folder)


def expire_uploads() -> None:
    """Remove uploads that nobody has gone on with for a day."""
    blobs, oldest = get_blobs(), time.time() - KEPT_S
    for owner in blobs.names(FOLDER):
        for id in blobs.names(f"{FOLDER}/{owner}"):
            if 0 < blobs.last_change(f"{FOLDER}/{owner}/{id}") < oldest:
                blobs.delete(f"{FOLDER}/{owner}/{id}")


class Joined(io.RawIOBase):
    """The file that the parts make, to be read from its start on, again and again."""

    def __init__(self, upload: Upload) -> None:
        self._keys = [key for _, _, key in parts_of(upload)]
        self.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if offset or whence:
            raise io.UnsupportedOperation("only to the start")
        self._left, self._now = list(self._keys), io.BytesIO()
        return 0

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while True:
            data = self._now.read(len(buffer))
            if data or not self._left:
                buffer[: len(data)] = data
                return len(data)
            self._now = io.BytesIO(get_blobs().read(self._left.pop(0)))
