"""The PDFs and images within a PDF as files of their own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from workers.documents.kinds import Kind

UNPACKER = "workers.documents.unpack"  # imported when first used, for PyMuPDF takes a second to import
INDEX = "index.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file within a PDF. `number` counts from 1; `kind` is "" for one that is not read, and `fault` says why."""

    number: int
    name: str
    kind: Kind | str = ""
    fault: str = ""


def save_attached(path: Path, folder: Path, *, password: str, most: int, max_bytes: int, max_total: int) -> None:
    """Write the PDFs and images within a PDF to `folder`, each named by its number, and a line of INDEX for each file.

    Whoever stops this midway has the files that have a line. At most `most` files are written, of `max_bytes` each and
    `max_total` together.
    """
    unpacker = import_module(UNPACKER)
    unpacker.unpack(path, folder, password=password, most=most, max_bytes=max_bytes, max_total=max_total)


def read_index(folder: Path) -> list[Attachment]:
    """What `save_attached` has done so far; a line that it was stopped in is none."""
    try:
        lines = (folder / INDEX).read_text("utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [Attachment(**json.loads(line)) for line in lines if line.endswith("\n")]
