"""Writes out the files within a PDF."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workers.documents.attached import find_attached
from workers.documents.attachments import INDEX, Attachment
from workers.documents.kinds import HEAD_BYTES, DocumentError, sniff
from workers.documents.pdf import open_own_pdf

logger = logging.getLogger(__name__)


def unpack(path: Path, folder: Path, *, password: str, most: int, max_bytes: int, max_total: int) -> None:
    """See `workers.documents.open.save_attached`."""
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
