"""The PDFs and images within a PDF, written out as files of their own."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workers.documents.attached import find_attached
from workers.documents.kinds import HEAD_BYTES, DocumentError, Kind, sniff
from workers.documents.pdf import open_own_pdf

logger = logging.getLogger(__name__)

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
    document = open_own_pdf(path, password)
    num_written, room = 0, max_total
    with (folder / INDEX).open("w", encoding="utf-8") as index:
        for number, (name, stream) in enumerate(find_attached(document), 1):
            found = Attachment(number=number, name=name, fault="there are too many")
            if num_written < most:
                found, size = save_one(document, stream, found, folder, min(max_bytes, room))
                num_written, room = num_written + bool(found.kind), room - size
            index.write(json.dumps(asdict(found)) + "\n")
            index.flush()


def save_one(document: Any, stream: int, told: Attachment, folder: Path, max_bytes: int) -> tuple[Attachment, int]:
    """Write one file where it is of a kind that is read; returns what became of it, and its bytes."""
    kind, fault, data = "", "", b""
    try:
        data = document.xref_stream(stream) or b""
        kind = sniff(data[:HEAD_BYTES], told.name)
    except DocumentError:
        fault = "neither a PDF nor an image"
    except MemoryError:
        fault = "too large"
    except Exception as exc:  # MuPDF has a class for each kind of damage, and one for data that unpack without end
        logger.info("attached file %d cannot be unpacked: %s", told.number, exc)
        fault = "damaged"
    if len(data) > max_bytes:
        kind, fault = "", "too large"
    if kind:
        (folder / str(told.number)).write_bytes(data)
    return Attachment(number=told.number, name=told.name, kind=kind, fault=fault), len(data) if kind else 0


def read_index(folder: Path) -> list[Attachment]:
    """What `save_attached` has done so far; a line that it was stopped in is none."""
    try:
        lines = (folder / INDEX).read_text("utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [Attachment(**json.loads(line)) for line in lines if line.endswith("\n")]
