"""Pages whose text would be too small on one image: how large they have to be read, and where to cut them.

Tiles run from top to bottom and in a band from left to right. They are cut where a whole row or column is white, and
where none is they overlap by more than a line is high. Lengths are pixels.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from PIL import Image

from workers.documents.images import fit, normalise, resized
from workers.documents.ink import Mask, contrast_of, ink_pixels, text_cells
from workers.engines import ImageSpec

LOOK_BELOW = 0.6  # scales that shrink a page less leave its text readable
FULL_ABOVE = 0.7  # a scale that is wanted and no smaller is 1: no pixel is lost for little
COMFORT = 1.5  # times the smallest letters that an engine reads: what a page is enlarged to
MOST_READ = 64_000_000  # pixels of a page that an engine reads in tiles
SURE_CELLS, SURE_LETTER = 20, 8  # so many parts of lines, so high in a small copy of the page, need no closer look
COPY_SIDE = 1600  # of that copy, and of the windows in a closer look
WINDOWS = 6
SHOWN_SIDE, SHOWN_PIXELS = 16_000, 12_000_000  # of the image that people see
OVERLAP = 1 / 8  # of a tile
MIN_CORRIDOR = 1 / 50  # of a tile: a white column that is narrower lies between words


class Tile(NamedTuple):
    """A part of the page, and whether it begins within the tile above it, or within the one to its left."""

    x0: int
    y0: int
    x1: int
    y1: int
    overlaps_above: bool = False
    overlaps_left: bool = False

    @property
    def box(self) -> tuple[int, int, int, int]:
        return self.x0, self.y0, self.x1, self.y1


def fitting_scale(width: float, height: float, spec: ImageSpec) -> float:
    """What an image of this size is multiplied by to be one that the engine takes whole; at most 1."""
    return min(1.0, spec.max_side / max(width, height))


def reading_scale(image: Image.Image, spec: ImageSpec) -> float:
    """What the image has to be multiplied by to be read: what fits, or more where its text would be too small."""
    fitting = fitting_scale(image.width, image.height, spec)
    if not spec.min_letter or fitting >= LOOK_BELOW:
        return fitting
    letter = letter_height(image)
    if letter:
        needed = COMFORT * spec.min_letter / letter if letter * fitting < spec.min_letter else fitting
    else:  # no lines were seen; in a long strip they may be too small for that
        needed = spec.max_side / min(image.size)
        needed = needed if needed > 4 * fitting else fitting
    most = math.sqrt(MOST_READ / (image.width * image.height))
    return max(fitting, min(1.0 if needed > FULL_ABOVE else needed, most))


def fit_or_large(image: Image.Image, spec: ImageSpec) -> Image.Image:
    """The image as `spec` asks for it, or larger than its longest side where that is needed to read it."""
    scale = reading_scale(image, spec)
    if scale <= fitting_scale(image.width, image.height, spec):
        return fit(image, spec)
    size = round(image.width * scale), round(image.height * scale)
    return normalise(resized(image, size), spec.mode)


def letter_height(image: Image.Image) -> float:
    """Height of small letters on the page; 0 where nothing looks like text. A third of the text is smaller."""
    reduction = max(1, round(max(image.width, min(image.height, image.width * 2)) / COPY_SIDE))
    heights = heights_in(image.reduce(reduction), reduction) if reduction > 1 else []
    if len(heights) < SURE_CELLS or heights[len(heights) // 3] < SURE_LETTER * reduction:
        closer = sorted(height for window in windows(image) for height in heights_in(image.crop(window), 1))
        heights = closer or heights
    return heights[len(heights) // 3] if heights else 0.0


def heights_in(image: Image.Image, reduction: int) -> list[float]:
    return sorted(cell.letter_height * reduction for cell in text_cells(image))


def windows(image: Image.Image) -> list[tuple[int, int, int, int]]:
    """Where to look closer: some squares with ink, spread over the page."""
    down, across = (-(-side // COPY_SIDE) for side in (image.height, image.width))
    squares = [
        (x * image.width // across, y * image.height // down, (x + 1) * image.width // across,
         (y + 1) * image.height // down)
        for y in range(down) for x in range(across)
    ]  # fmt: skip
    thumb = image.resize((across * 32, down * 32), Image.Resampling.BOX, reducing_gap=1.1).convert("L")
    shades = np.asarray(thumb, np.float32).reshape(down, 32, across, 32)
    spread = shades.std(axis=(1, 3)).ravel()
    inked = [square for square, value in zip(squares, spread, strict=True) if value > spread.max() / 4]
    return inked[:: max(1, len(inked) // WINDOWS)][:WINDOWS]


def shown(image: Image.Image) -> Image.Image:
    """The image as people see it: not too large for a browser."""
    scale = min(1.0, SHOWN_SIDE / max(image.size), (SHOWN_PIXELS / (image.width * image.height)) ** 0.5)
    if scale == 1:
        return image
    size = max(1, int(image.width * scale)), max(1, int(image.height * scale))
    return image.resize(size, Image.Resampling.BOX, reducing_gap=2.0)


def cut(image: Image.Image, max_side: int) -> list[Tile]:
    """Tiles of at most `max_side`, in reading order, which together have every line of the page whole."""
    ink = ink_pixels(contrast_of(image))
    tiles: list[Tile] = []
    for y0, y1, overlaps_above in spans(np.any(ink, axis=1), max_side, min_gap=1):
        columns = spans(np.any(ink[y0:y1], axis=0), max_side, min_gap=max(1, int(max_side * MIN_CORRIDOR)))
        tiles += [
            Tile(x0, y0, x1, y1, overlaps_above, overlaps_left)
            for x0, x1, overlaps_left in columns
            if ink[y0:y1, x0:x1].any()
        ]
    return tiles or [Tile(0, 0, min(image.width, max_side), min(image.height, max_side))]


def spans(has_ink: Mask, most: int, *, min_gap: int) -> list[tuple[int, int, bool]]:
    """Start, end, and whether it begins within the one before, of the parts of a side that is cut.

    None is longer than `most`. A cut lies in the middle of the last gap of `min_gap` or more in the second half of a
    part; where there is no gap the next part begins OVERLAP of `most` before the end.
    """
    found, start, overlaps = [], 0, False
    while len(has_ink) - start > most:
        end, next_start = start + most, start + most - int(most * OVERLAP)
        if gap := last_gap(has_ink[start + most // 2 : end], min_gap):
            end = next_start = start + most // 2 + gap
        found.append((start, end, overlaps))
        start, overlaps = next_start, next_start < end
    return [*found, (start, len(has_ink), overlaps)]


def last_gap(has_ink: Mask, min_gap: int) -> int:
    """The middle of the last run without ink that is long enough; 0 where there is none."""
    bounds = np.flatnonzero(np.diff(~has_ink, prepend=False, append=False)).reshape(-1, 2)
    wide = bounds[bounds[:, 1] - bounds[:, 0] >= min_gap]
    return int(wide[-1].sum()) // 2 if len(wide) else 0
