"""Names of the files that are made: a source may have the longest name there is, and its result has a suffix more."""

from __future__ import annotations

import hashlib
import os

MAX_BYTES = 255  # of a name, on the file systems of Linux, macOS and Windows


def fitting(stem: str, suffix: str) -> str:
    """`stem.suffix`; where that is too long, the stem is cut and told from its like by a digest of the whole."""
    room = MAX_BYTES - len(f".{suffix}")
    if len(whole := os.fsencode(stem)) <= room:
        return f"{stem}.{suffix}"
    mark = f"~{hashlib.sha256(whole).hexdigest()[:8]}"
    kept = whole[: room - len(mark)].decode(errors="ignore")
    return f"{kept}{mark}.{suffix}"
