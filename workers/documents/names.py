"""Names of documents as they are kept and shown: as their owners have them, without what would deceive readers."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath

from workers.documents.kinds import SUFFIXES

MAX_NAME = 255  # characters; no file system in common use has longer names
UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})  # Unicode categories: controls, halves of characters, ends of lines
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # these make exe.pdf of fdp.exe
MAX_FILE_BYTES = 255  # of a file's name in UTF-8, on most of them
NOT_IN_FILES = str.maketrans(dict.fromkeys('/\\<>:"|?*', "_"))  # what Windows refuses


def clean_name(name: str | None) -> str:
    """The last part of the client's file name, for display only; it never becomes a path."""
    plain = (name or "").replace("%22", '"')  # so forms write a quotation mark in a name (HTML standard, 4.10.21.8)
    last = PurePosixPath(plain.replace("\\", "/")).name
    shown = "".join(one for one in last if unicodedata.category(one) not in UNSEEN and one not in TURNING)
    return shown[-MAX_NAME:] if shown.strip() else "document"


def file_stem(name: str, instead: str, *, room: int = len(".json"), keep_suffix: bool = False) -> str:
    """The name as a file may bear it anywhere, without its format's suffix, so long that `room` bytes are left."""
    path = PurePosixPath(name)
    stem = path.stem if path.suffix.lower() in SUFFIXES and not keep_suffix else path.name
    plain = clean_name(stem).translate(NOT_IN_FILES).strip(". ")
    return cut(plain, MAX_FILE_BYTES - room).rstrip(". ") if plain else instead


def cut(text: str, most_bytes: int) -> str:
    """As many whole characters as fit into so many bytes of UTF-8."""
    return text.encode()[:most_bytes].decode(errors="ignore")
