"""What of a page's ink lies under the words of its text layer, and which words have no ink under them.

The page is looked at in half its size where it is large. Areas are counted in sums over rows and columns, so that a
thousand words take a millisecond.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workers.documents.images import is_grey
from workers.documents.ink import Cell, Mask, contrast_of, ink_pixels, text_cells
from workers.reading.layer_lines import LayerWord
from workers.reading_order import Box

HALF_SIDE = 1200  # px; a page of this size and more shows its lines at half of it
MARGIN = 0.15  # of a word's height that its ink may lie outside its box
UNDER = 0.5  # share of the ink of a part of a line that lies under words, if they are what stands there
MOST_OVER = 5.0  # heights of the usual line's ink; the boxes of its words are two or three
LARGE = 1.5  # times the usual line: parts of headings
MIN_INK = 2  # pixels of ink under a word that is on the page
SAME_LEVEL = 0.5  # of the lower of two neighbours that both have, if they are one run
NEAR = 1.5  # strips between two parts of one run


class Cover(NamedTuple):
    """Of the page: the share of ink that lies under words, and the words that have ink under them.

    `runs` are boxes of what looks like text and is under no word, the longest first; `cells` is how many parts of lines
    they have and `num_cells` how many there are.
    """

    ink: float
    words: tuple[LayerWord, ...]
    cells: int
    num_cells: int
    runs: tuple[Box, ...]

    @property
    def text(self) -> float:
        """Share of what looks like text that lies under words; of all ink where nothing looks like text."""
        return 1 - self.cells / self.num_cells if self.num_cells else self.ink


def cover_of(image: Image.Image, words: Sequence[LayerWord]) -> Cover:
    """What of the page in `image` the words cover; their boxes are pixels of it."""
    step = 2 if min(image.size) >= HALF_SIDE else 1
    page = image.reduce(step) if step > 1 else image
    page = page.convert("L") if page.mode != "L" and is_grey(page) else page
    ink = ink_pixels(contrast_of(page))
    boxes = word_boxes(words, step)
    level = boxes[np.array([not word.is_sloped for word in words], np.bool_)]
    under = ink & painted(level, ink.shape)
    ink_sums = sums(ink)
    cells = text_cells(page)
    bare = bare_cells(cells, ink, level)
    is_seen = area(ink_sums, boxes) >= MIN_INK
    return Cover(
        ink=float(under.sum()) / max(1.0, float(ink.sum())),
        words=tuple(word for word, seen in zip(words, is_seen, strict=True) if seen),
        cells=len(bare),
        num_cells=len(cells),
        runs=tuple((x0 * step, y0 * step, x1 * step, y1 * step) for x0, y0, x1, y1 in runs_of(bare)),
    )


def word_boxes(words: Sequence[LayerWord], step: int) -> NDArray[Any]:
    """The words' boxes on the page that is `step` times smaller, with a margin. [words, x0 y0 x1 y1]"""
    boxes = np.array([word.box for word in words], np.float64).reshape(-1, 4)
    margin = MARGIN * np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])[:, None]
    grown: NDArray[Any] = (boxes + margin * np.array([-1, -1, 1, 1])) / step
    return grown


def bare_cells(cells: Sequence[Cell], ink: Mask, boxes: NDArray[Any]) -> list[Cell]:
    """The parts of lines that lie under no word. A word much higher than they are, as across a page, covers none."""
    if not cells:
        return []
    spots, heights = np.array(cells), np.array([cell.letter_height for cell in cells])
    usual = float(np.median(heights))
    thickness = np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    under_all = area(sums(ink & painted(boxes, ink.shape)), spots)
    under_usual = area(sums(ink & painted(boxes[thickness <= MOST_OVER * usual], ink.shape)), spots)
    under = np.where(heights < LARGE * usual, under_usual, under_all)
    is_bare = under < UNDER * area(sums(ink), spots)
    return [cell for cell, alone in zip(cells, is_bare, strict=True) if alone]


def painted(boxes: NDArray[Any], shape: tuple[int, ...]) -> Mask:
    """Where any of the boxes lies."""
    mask = np.zeros(shape, np.bool_)
    for x0, y0, x1, y1 in clipped(boxes, shape).tolist():
        mask[y0:y1, x0:x1] = True
    return mask


def clipped(boxes: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.int64]:
    height, width = shape[:2]
    whole = np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], axis=1)
    clipped: NDArray[np.int64] = np.clip(whole, 0, [width, height, width, height]).astype(np.int64)
    return clipped


def sums(mask: Mask) -> NDArray[np.int64]:
    """Pixels above and left of each corner, so that the area of any box is four look-ups."""
    rows = mask.cumsum(axis=0, dtype=np.int32)
    total: NDArray[np.int64] = np.pad(rows.cumsum(axis=1, dtype=np.int64), ((1, 0), (1, 0)))
    return total


def area(total: NDArray[np.int64], boxes: NDArray[Any]) -> NDArray[np.int64]:
    """Pixels in each of the boxes. [boxes]"""
    x0, y0, x1, y1 = clipped(boxes, (total.shape[0] - 1, total.shape[1] - 1)).T
    pixels: NDArray[np.int64] = total[y1, x1] - total[y0, x1] - total[y1, x0] + total[y0, x0]
    return pixels


def runs_of(cells: Sequence[Cell]) -> list[Box]:
    """Neighbours on one level as one box, those of most parts first."""
    runs: list[list[float]] = []  # x0, y0, x1, y1, number of parts
    for cell in sorted(cells):
        beside = next((run for run in reversed(runs) if is_beside(run, cell)), None)
        if beside is None:
            runs.append([*cell, 1])
        else:
            beside[1:] = [min(beside[1], cell.y0), max(beside[2], cell.x1), max(beside[3], cell.y1), beside[4] + 1]
    runs.sort(key=lambda run: -run[4])
    return [(run[0], run[1], run[2], run[3]) for run in runs]


def is_beside(run: Sequence[float], cell: Cell) -> bool:
    shared = min(run[3], cell.y1) - max(run[1], cell.y0)
    lower = min(run[3] - run[1], cell.y1 - cell.y0)
    return shared >= SAME_LEVEL * lower and cell.x0 - run[2] <= NEAR * (cell.x1 - cell.x0)
