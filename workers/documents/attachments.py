"""What is told of the files within a PDF, line by line, as they are written out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from workers.documents.kinds import Kind

INDEX = "index.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file within a PDF. `number` counts from 1; `kind` is "" for one that is not read, and `fault` says why."""

    number: int
    name: str
    kind: Kind | str = ""
    fault: str = ""


def read_index(folder: Path) -> list[Attachment]:
    """What `workers.documents.open.save_attached` has done so far; a line that it was stopped in is none."""
    try:
        lines = (folder / INDEX).read_text("utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [Attachment(**json.loads(line)) for line in lines if line.endswith("\n")]
