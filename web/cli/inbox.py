"""What lies in a folder that is watched: which entries are documents, and when they change."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from workers.documents.kinds import SUFFIXES

TEMPORARY = frozenset({".tmp", ".temp", ".part", ".partial", ".crdownload", ".download", ".swp"})

Signature = tuple[int, int, int]  # size, time of the last change of content and of the entry, in ns


def find_files(folder: Path, output: Path) -> Iterator[Path]:
    """Files in `folder` and below in order of name, hidden folders themselves instead of what is in them."""
    for parent, folders, files in os.walk(folder):
        here = Path(parent)
        yield from (here / name for name in sorted(folders) if name.startswith("."))
        folders[:] = sorted(name for name in folders if not name.startswith(".") and here / name != output)
        yield from (here / name for name in sorted(files))


def reason_to_skip(path: Path) -> str:
    """Why the file is not sent; empty for one that is. A link could publish what lies outside the folder."""
    if path.is_symlink():
        return "it is a link"
    if path.name.startswith("."):
        return "it is hidden"
    if path.name.startswith("~") or path.name.endswith("~") or path.suffix.lower() in TEMPORARY:
        return "it is temporary"
    if path.suffix.lower() not in SUFFIXES:
        return "its kind is not read here"
    return "" if path.is_file() or not path.exists() else "it is no file"


def sign(path: Path) -> Signature | None:
    """What changes when the file does; None when it is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns
