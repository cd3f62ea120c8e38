"""The images in a TIFF: a chain of directories, which may be broken, run in a circle or have no end."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from workers.documents.copies import Copies
from workers.documents.kinds import DocumentError, DocumentLimits

logger = logging.getLogger(__name__)

NEW_SUBFILE_TYPE, SUBFILE_TYPE = 254, 255  # tags
REDUCED = 2  # a SubfileType, TIFF 5
NOT_A_PAGE = 0b101  # bits of NewSubfileType: a smaller copy of another image, a transparency mask
FRAMES_A_PAGE = 2  # frames that there may be for each page: scanners write a thumbnail beside each


def check_frames(path: Path, limits: DocumentLimits) -> None:
    """Raise DocumentError where the images, thumbnails included, are far more than the pages may be.

    Pillow needs 0.2 ms for each, and more the more there are: 20 s for 60,000.
    """
    most = limits.max_pages * FRAMES_A_PAGE
    with path.open("rb") as file:
        if sum(1 for _, _ in zip(directories(file), range(most + 1), strict=False)) > most:
            detail = f"The TIFF has over {most} images, thumbnails included, for at most {limits.max_pages} pages."
            raise DocumentError("too_large", f"{detail} Split it.")


def directories(file: BinaryIO) -> Iterator[int]:
    """The offset of each directory, as far as the chain goes; each once."""
    head = file.read(16)
    order, is_big = ("<" if head[:2] == b"II" else ">"), 43 in head[2:4]
    number, pointer, entry_bytes = ("Q", "Q", 20) if is_big else ("H", "L", 12)
    seen: set[int] = set()
    try:
        [offset] = struct.unpack_from(order + pointer, head, 8 if is_big else 4)
        while offset and offset not in seen:
            seen.add(offset)
            yield offset
            file.seek(offset)
            [num_entries] = struct.unpack(order + number, file.read(struct.calcsize(number)))
            file.seek(num_entries * entry_bytes, 1)
            [offset] = struct.unpack(order + pointer, file.read(struct.calcsize("=" + pointer)))
    except (struct.error, OSError, OverflowError, ValueError):  # cut short, or beyond any file
        return


def page_frames(image: Any, copies: Copies) -> Iterator[bool]:
    """Seek to each frame of a TIFF that is a page, thumbnails and masks left out; yields whether it can be read.

    A damaged frame counts as a page, so that it is missed; two in a row end the list, for Pillow may be at the same
    place for ever.
    """
    found, is_sound = False, True
    for frame in count():
        was_sound = is_sound
        try:
            is_sound = is_frame(image, frame)
        except EOFError:
            break
        if not is_sound and not was_sound:
            break
        if is_sound and (is_extra(image) or copies.is_copy(image, frame)):
            continue
        if is_sound:
            copies.note_page(frame, image.size)
        found = True
        yield is_sound
    if not found:
        image.seek(0)
        yield True


def is_frame(image: Image.Image, frame: int) -> bool:
    """Seek to a frame; False where its directory is damaged. Raises EOFError after the last."""
    try:
        image.seek(frame)
    except (EOFError, MemoryError):
        raise
    except Exception as exc:  # TypeError, SyntaxError, struct.error and others: Pillow has no one class for it
        logger.info("frame %d of a TIFF is damaged: %s: %s", frame, type(exc).__name__, exc)
        return False
    return True


def is_extra(image: Any) -> bool:
    """Whether the frame says that it is a thumbnail or a mask; a tag of the wrong type says nothing."""
    value = image.tag_v2.get(NEW_SUBFILE_TYPE, 0)
    is_reduced = image.tag_v2.get(SUBFILE_TYPE) == REDUCED
    return is_reduced or (isinstance(value, int) and bool(value & NOT_A_PAGE))


def leads_on(image: Any) -> bool:
    """Whether the last frame's directory names a next one that is none: Pillow takes that for the end."""
    return bool(image.tag_v2.next) and not is_extra(image)  # at the first frame again where there are thumbnails only
