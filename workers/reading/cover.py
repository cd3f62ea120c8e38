"""How much of what looks like text on a page has been read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from workers.documents.ink import Cell, text_cells
from workers.engines import Generation, Line

HALF_SIDE = 1200  # px; a page of this size and more shows its lines at half of it, in a quarter of the time
MARGIN = 0.35  # of a line's height that its ink may lie outside its box
MIN_UNREAD, UNREAD_SHARE = 8, 0.5  # parts of lines, and their share, from which a reading is poor
MIN_CELLS = 6  # fewer parts of lines may be a picture's
CHARACTERS = 0.4  # letters of a text for each part of a line, of which print has three or four


class Verdict(NamedTuple):
    """Parts of lines on the page that look like text, and how many of them no line of the reading covers."""

    cells: int
    unread: int

    @property
    def is_poor(self) -> bool:
        return self.unread >= MIN_UNREAD and self.unread > UNREAD_SHARE * self.cells

    @property
    def has_text(self) -> bool:
        """Whether the page looks as if there were writing on it."""
        return self.cells >= MIN_CELLS


def judge(image: Image.Image, generation: Generation, width: float) -> Verdict:
    """What of the page in `image` has been read; the boxes of lines lie on one that is `width` px wide."""
    cells = text_cells(image.reduce(2) if min(image.size) >= HALF_SIDE else image)
    scale = width / (image.width // 2 if min(image.size) >= HALF_SIDE else image.width)
    if generation.lines:
        return Verdict(len(cells), len(cells) - num_covered(cells, generation.lines, scale))
    num_letters = sum(map(str.isalnum, generation.text))
    return Verdict(len(cells), 0 if num_letters >= CHARACTERS * len(cells) and num_letters else len(cells))


def num_covered(cells: Sequence[Cell], lines: Sequence[Line], scale: float) -> int:
    """How many of the cells have their middle in a line's box."""
    if not cells:
        return 0
    boxes = np.array([line.box for line in lines])
    places = np.array(cells) * scale
    x, y = places[:, [0, 2]].mean(axis=1)[:, None], places[:, [1, 3]].mean(axis=1)[:, None]
    margin = MARGIN * np.minimum(boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0])
    half = (places[:, 2] - places[:, 0])[:, None] / 2  # a line may begin or end within a strip
    inside = (x >= boxes[:, 0] - half) & (x <= boxes[:, 2] + half)
    inside &= (y >= boxes[:, 1] - margin) & (y <= boxes[:, 3] + margin)
    return int(inside.any(axis=1).sum())
