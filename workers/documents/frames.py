"""Files with several pictures, as animations and cameras write them. Each picture that differs is a page."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workers.documents.copies import are_alike, is_smaller, thumb
from workers.documents.images import to_8_bits
from workers.documents.kinds import DocumentLimits

logger = logging.getLogger(__name__)

MOST_PAGES = 100  # of such a file: a film is no document
MOST_PIXELS = 200_000_000  # that are decoded to compare pictures; some 5 s
MOST_FRAMES = 5000  # that are looked at, however small they are; some 5 s
RECENT = 8  # pages that a picture is compared with: a cursor that blinks makes two pages, not a hundred
SIDE = 1024  # px of the longest side at which pictures are compared
LEVELS = 40  # of 255, by which a pixel differs; lossy formats keep what rests to within 25
LEAST_CELLS = 2  # pixels at SIDE that make another page; a digit in 8 pt on A4 is more
OPAQUE = 255
MP_ENTRIES = 0xB002  # of the CIPA Multi-Picture Format, DC-007

View = NDArray[np.uint8]  # [height, width, 4]


def has_pictures(image: Any) -> bool:
    """Whether there is more than one frame, without decoding any."""
    try:
        return bool(getattr(image, "is_animated", False))
    except MemoryError:
        raise
    except Exception as exc:  # Pillow has no one class for a damaged second frame; the first may be sound
        logger.info("the second frame is damaged: %s", exc)
        return False


def inspect_pictures(image: Any, limits: DocumentLimits) -> tuple[int, tuple[str, ...]]:
    """Number of pages, and a warning where something is left out."""
    if not has_pictures(image):
        return 1, ()
    pictures = Pictures(image, limits)
    num_pages = sum(1 for _ in pictures)
    return num_pages, (pictures.left_out,) if pictures.left_out else ()


def seek_picture(image: Any, index: int, limits: DocumentLimits) -> bool:
    """Go to the picture of the page at this 0-based index; False where there is none."""
    if not has_pictures(image):
        return index == 0
    return any(position == index for position, _ in enumerate(Pictures(image, limits)))


class Pictures:
    """The pictures of a file that are pages; once all have been walked, `left_out` says what is not read, or is ""."""

    def __init__(self, image: Any, limits: DocumentLimits) -> None:
        self.image = image
        self.most = min(MOST_PAGES, limits.max_pages)
        self.max_pixels = limits.max_page_pixels
        self.left_out = ""

    def __iter__(self) -> Iterator[int]:
        """Seek to each page in turn; yields its 0-based frame. A damaged one is a page, so that it is missed, the last.

        A larger picture than may be decoded is a page too, which is refused when it is rendered.
        """
        recent: deque[View] = deque(maxlen=RECENT)
        num_pages, num_pixels = 0, 0
        for frame in count():
            if not self.go_to(frame):
                return
            if num_pages == self.most:
                self.left_out = f"The file has more pictures; its pages are the first {num_pages} that differ."
                return
            size = self.image.width * self.image.height
            num_pixels += size
            if frame and (num_pixels > MOST_PIXELS or frame == MOST_FRAMES):
                self.left_out = f"The file is long; only its first {frame} pictures were looked at."
                return
            if size <= self.max_pixels:
                try:
                    view = None if frame and self.is_extra(frame) else view_of(self.image)
                except MemoryError:
                    raise
                except Exception as exc:  # damaged pixels: Pillow has no one class for it
                    logger.info("picture %d is damaged: %s", frame + 1, exc)
                    self.left_out = f"Picture {frame + 1} of the file is damaged; what comes after it is not read."
                    yield frame
                    return
                if view is None or any(are_same(view, other) for other in recent):
                    continue
                recent.append(view)
            num_pages += 1
            yield frame

    def go_to(self, frame: int) -> bool:
        """Seek to a frame; False after the last one."""
        try:
            self.image.seek(frame)
        except MemoryError:
            raise
        except Exception as exc:
            promised = self.image.__dict__.get("n_frames", 0)  # a GIF has it as a property, which would count
            if not isinstance(exc, EOFError) or promised > frame:
                self.left_out = f"The file is damaged or cut short after its picture {frame}; look whether more exist."
            return False
        return True

    def is_extra(self, frame: int) -> bool:
        """Whether a picture beside a photo is made of it: a preview, or a map of brightness or depth."""
        entries = (getattr(self.image, "mpinfo", None) or {}).get(MP_ENTRIES, ())
        if frame >= len(entries):
            return False
        if "Thumbnail" in str(entries[frame]["Attribute"]["MPType"]):
            return True
        size, mode, small = self.image.size, self.image.mode, thumb(self.image)
        self.image.seek(0)
        first_size, first_mode, first = self.image.size, self.image.mode, thumb(self.image)
        self.image.seek(frame)
        return is_smaller(size, first_size) and (mode == "L" != first_mode or are_alike(first, small))


def view_of(image: Image.Image) -> View:
    """What pictures are compared by: all channels, with the colour of what cannot be seen left out."""
    image.load()
    plain: Any = to_8_bits(image) if image.mode.startswith(("I", "F")) else image
    times = -(-max(image.size) // SIDE)
    if not is_opaque(plain):
        return np.asarray(plain.convert("RGBA").convert("RGBa").reduce(times))
    return np.asarray(plain.convert("RGB").reduce(times).convert("RGBA"))


def is_opaque(image: Image.Image) -> bool:
    if not image.has_transparency_data:
        return True
    return image.mode in ("RGBA", "LA") and image.getchannel("A").getextrema()[0] == OPAQUE


def are_same(one: View, other: View) -> bool:
    if one.shape != other.shape:
        return False
    apart = np.maximum(one, other) - np.minimum(one, other)
    return int((apart > LEVELS).any(axis=2).sum()) < LEAST_CELLS
