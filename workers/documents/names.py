"""Names of documents as they are kept and shown: as their owners have them, without what would deceive readers."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath

MAX_NAME = 255  # characters; no file system in common use has longer names
UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})  # Unicode categories: controls, halves of characters, ends of lines
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # these make exe.pdf of fdp.exe


def clean_name(name: str | None) -> str:
    """The last part of the client's file name, for display only; it never becomes a path."""
    plain = (name or "").replace("%22", '"')  # so forms write a quotation mark in a name (HTML standard, 4.10.21.8)
    last = PurePosixPath(plain.replace("\\", "/")).name
    shown = "".join(one for one in last if unicodedata.category(one) not in UNSEEN and one not in TURNING)
    return shown[-MAX_NAME:] if shown.strip() else "document"
