"""Names of documents where they become names of files again: whole, and safe."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import quote

from werkzeug.utils import secure_filename

from workers.documents.kinds import SUFFIXES
from workers.documents.names import clean_name

MAX_FILE_BYTES = 255  # of a file's name in UTF-8, on most of them
NOT_IN_FILES = str.maketrans(dict.fromkeys('/\\<>:"|?*', "_"))  # what Windows refuses


def file_stem(name: str, instead: str, *, room: int = len(".json")) -> str:
    """The name without its format's suffix as a file may bear it anywhere, so long that `room` bytes are left."""
    path = PurePosixPath(name)
    stem = path.stem if path.suffix.lower() in SUFFIXES else path.name
    plain = clean_name(stem).translate(NOT_IN_FILES).strip(". ")
    return cut(plain, MAX_FILE_BYTES - room).rstrip(". ") if plain else instead


def cut(text: str, most_bytes: int) -> str:
    """As many whole characters as fit into so many bytes of UTF-8."""
    return text.encode()[:most_bytes].decode(errors="ignore")


def attachment(name: str, suffix: str, instead: str) -> str:
    """A Content-Disposition (RFC 6266) with the whole name, and one in ASCII for clients that cannot read it."""
    stem = file_stem(name, instead, room=len(f".{suffix}"))
    whole = f"{stem}.{suffix}"
    plain = f"{secure_filename(stem) or instead}.{suffix}"
    extended = f"; filename*=UTF-8''{quote(whole, safe='')}" if whole != plain else ""
    return f"attachment; filename={plain}{extended}"
