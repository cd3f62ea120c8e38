"""Smaller copies of pages: cameras and scanners write thumbnails as images of their own, not all of them marked so."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workers.documents.images import to_8_bits

logger = logging.getLogger(__name__)

THUMB_SIDE = 64
LEAST_SMALLER = 2  # times that a copy is smaller than its page
ASPECT_MARGIN = 0.03
ALIKE = 0.9  # least correlation of the grey of a page and its copy, both at THUMB_SIDE
LEAST_SPREAD = 2.0  # levels; two blank pages are like each other without being copies
SAME_SIDE = 2  # px between the longest sides of the copies that one program writes

Thumb = NDArray[np.float64]  # [THUMB_SIDE, THUMB_SIDE]


class Copies:
    """Which frames of a TIFF are smaller copies of the page before, by one look at the first that may be one.

    A program that writes thumbnails writes all alike, and to look at each would decode the whole file at each page.
    """

    def __init__(self, max_pixels: int) -> None:
        self.numbers: list[int] = []  # of the copies among the file's images, counted from 1
        self.max_pixels = max_pixels
        self.page: tuple[int, tuple[int, int]] | None = None  # frame and size of the last page
        self.side = -1  # longest side of the copies; 0 where the small frames are pages

    def note_page(self, frame: int, size: tuple[int, int]) -> None:
        self.page = frame, size

    def is_copy(self, image: Image.Image, frame: int) -> bool:
        """Whether the frame that `image` is at is a copy; it is there again afterwards."""
        if self.page is None or not self.side or not is_smaller(image.size, self.page[1]):
            return False
        if self.side < 0:
            self.side = max(image.size) if self.compare(image, frame, self.page) else 0
        is_one = bool(self.side) and abs(max(image.size) - self.side) <= SAME_SIDE
        if is_one:
            self.numbers.append(frame + 1)
        return is_one

    def compare(self, image: Image.Image, frame: int, page: tuple[int, tuple[int, int]]) -> bool:
        if page[1][0] * page[1][1] > self.max_pixels:
            return False
        try:
            small = thumb(image)
            image.seek(page[0])
            return are_alike(thumb(image), small)
        except MemoryError:
            raise
        except Exception as exc:  # damaged pixels: Pillow has no one class for it; the frame is a page, which fails
            logger.info("frames %d and %d cannot be compared: %s", page[0], frame, exc)
            return False
        finally:
            image.seek(frame)


def is_smaller(size: tuple[int, int], than: tuple[int, int]) -> bool:
    """Whether the size is that of a page at a fraction of its resolution."""
    across, down = size[0] * than[1], size[1] * than[0]
    return max(size) * LEAST_SMALLER <= max(than) and abs(across - down) <= ASPECT_MARGIN * max(across, down)


def thumb(image: Image.Image) -> Thumb:
    image.load()
    plain: Any = to_8_bits(image) if image.mode.startswith(("I", "F")) else image
    return np.asarray(plain.convert("L").resize((THUMB_SIDE, THUMB_SIDE), Image.Resampling.BOX), float)


def are_alike(one: Thumb, other: Thumb) -> bool:
    if min(one.std(), other.std()) < LEAST_SPREAD:
        return False
    return bool(np.corrcoef(one.ravel(), other.ravel())[0, 1] >= ALIKE)
