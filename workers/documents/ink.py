"""Ink: what stands out from the paper around it, in any colour; whether it looks like text, and how large that is.

Nothing here knows letters. A page is cut into narrow strips; where ink comes in runs of a letter's height, with as
many strokes as letters have, and goes on level in the next strip, it looks like a line of text. Rules, pictures and
shadows do not. Lengths are pixels, y grows downwards.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Mask = NDArray[np.bool_]

BLANK_SIDE = 512  # blocks along the longest side for `is_blank`; on A4 a block is 0.6 mm
BACKGROUND_BLOCKS = 16  # the paper's shade is the mean over squares of this many blocks
INK_CONTRAST = 16  # levels of 255 between a block and the paper around it from which the block is ink
MARK_BLOCKS = 4  # shortest mark; the cap height of 8 pt type on A4, and twice a speck of 1 mm
EDGE_SHARE = 0.01  # of each side at every edge is not looked at: scanners leave dark lines there

MOST_PIXELS = 4_000_000  # larger images are looked at smaller
PAPER_PX, SAMPLE_PX = 64, 4  # the paper's shade is the median of every fourth pixel in squares of this size
BAND_ROWS = 1024
FAINTEST, NOISE_TIMES = 8, 5.0  # levels of 255, and multiples of the paper's noise, from which a pixel is ink
STRIP_PX = 48
MIN_INK = 2  # pixels of ink in a strip's row of text
MIN_LETTER, MAX_LETTER = 4, 44  # height of a line's ink in a strip; larger letters are seen in a smaller copy
COPIES = (1, 3)  # how many times smaller the page is looked at
MIN_STROKES, MAX_STROKES = 0.5, 7.0  # edges of ink in a row, over as much of the strip as the line is high
MIN_FILL, MAX_FILL = 0.06, 0.75  # of a line's ink in a strip
SAME_LEVEL = 0.6  # share of the higher of two neighbours that both have, if they are of one line
MIN_CELLS = 3  # fewer strips with text are a stamp, a logo's edge or chance


class Cell(NamedTuple):
    """One strip's part of a line that looks like text."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def letter_height(self) -> float:
        """Of the line: a strip is wider than a line in it is high, whichever way the page lies."""
        return min(self.y1 - self.y0, self.x1 - self.x0)


def is_blank(image: Image.Image) -> bool:
    """Whether a page image has no mark on it that could be writing; in doubt it has.

    Marks stand out from the paper around them, in any colour, and are as tall or wide as a small letter, about 2.5 mm
    on A4: specks, noise, tinted paper and soft shadows are not marks, one page number is. What is fainter than a mark
    counts where it looks like lines of text.
    """
    return not has_mark(ink_mask(image)) and not text_cells(image)


def ink_mask(image: Image.Image) -> Mask:
    """Which blocks of the page differ from the paper around them. [blocks down, blocks across]"""
    coloured = image if image.mode in ("L", "RGB") else image.convert("RGB")
    block = max(1, round(max(coloured.size) / BLANK_SIDE))
    blocks = coloured.reduce(block) if block > 1 else coloured
    paper = blocks.reduce(min(BACKGROUND_BLOCKS, max(blocks.size))).resize(blocks.size, Image.Resampling.BILINEAR)
    contrast = strongest(np.abs(np.asarray(blocks, dtype=np.int16) - np.asarray(paper, dtype=np.int16)))
    down, across = (round(side * EDGE_SHARE) for side in contrast.shape)
    mask: Mask = contrast[down : len(contrast) - down, across : contrast.shape[1] - across] >= INK_CONTRAST
    return mask


def strongest(contrast: NDArray[Any]) -> NDArray[Any]:
    """Of [height, width, colours] the strongest colour of each pixel; of [height, width] itself."""
    return contrast if contrast.ndim == 2 else contrast.max(axis=2)


def has_mark(ink: Mask) -> bool:
    """Whether any ink runs for MARK_BLOCKS blocks, downwards or across, give or take a block sideways."""
    return runs_down(ink) or runs_down(ink.T)


def runs_down(ink: Mask) -> bool:
    padded = np.pad(ink, ((0, 0), (1, 1)))
    wide = padded[:, :-2] | padded[:, 1:-1] | padded[:, 2:]
    length = min(MARK_BLOCKS, len(wide))
    rows = len(wide) - length + 1
    run = wide[:rows].copy()
    for step in range(1, length):
        run &= wide[step : step + rows]
    return bool(run.any())


def contrast_of(image: Image.Image) -> NDArray[np.uint8]:
    """How far each pixel is from the paper around it, in the colour where it is farthest. [height, width]"""
    pixels = np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
    paper = Image.fromarray(paper_of(pixels))
    contrast = np.empty(pixels.shape[:2], np.uint8)
    for top in range(0, image.height, BAND_ROWS):  # a band at a time, for the sake of memory
        band = pixels[top : top + BAND_ROWS]
        part = (0, top * paper.height / image.height, paper.width, (top + len(band)) * paper.height / image.height)
        ground = np.asarray(paper.resize((image.width, len(band)), Image.Resampling.BILINEAR, box=part))
        contrast[top : top + BAND_ROWS] = strongest(np.maximum(band, ground) - np.minimum(band, ground))
    return contrast


def paper_of(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The paper's shade in each square of PAPER_PX: its median, for text covers less than half."""
    sample = pixels[::SAMPLE_PX, ::SAMPLE_PX]
    size = PAPER_PX // SAMPLE_PX
    down, across = (-(-side // size) for side in sample.shape[:2])
    edges = ((0, down * size - sample.shape[0]), (0, across * size - sample.shape[1]), (0, 0))
    whole = np.pad(sample, edges[: sample.ndim], mode="edge")
    squares = whole.reshape(down, size, across, size, *sample.shape[2:])
    paper: NDArray[np.uint8] = np.median(squares, axis=(1, 3)).astype(np.uint8)
    return paper


def ink_pixels(contrast: NDArray[np.uint8]) -> Mask:
    """Which pixels are ink: far enough from the paper, by the paper's own noise."""
    noise = float(np.median(contrast[::SAMPLE_PX, ::SAMPLE_PX]))
    mask: Mask = contrast >= max(FAINTEST, NOISE_TIMES * noise)
    return mask


def text_cells(image: Image.Image) -> list[Cell]:
    """The parts of the page, strip by strip, that look like lines of text; of lying pages too."""
    scale = min(1.0, (MOST_PIXELS / (image.width * image.height)) ** 0.5)
    if scale < 1:
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        image = image.resize(size, Image.Resampling.BOX, reducing_gap=1.1)
    level = cells_at(image, scale, is_lying=False)
    return level if len(level) >= MIN_CELLS else cells_at(image, scale, is_lying=True)


def cells_at(image: Image.Image, scale: float, *, is_lying: bool) -> list[Cell]:
    found: list[Cell] = []
    for smaller in COPIES:
        copy = image.reduce(smaller) if smaller > 1 else image
        mask = ink_pixels(contrast_of(copy))
        factor = smaller / scale
        cells = (Cell(*(side * factor for side in cell)) for cell in level_cells(mask.T if is_lying else mask))
        if is_lying:
            cells = (Cell(cell.y0, cell.x0, cell.y1, cell.x1) for cell in cells)
        found += [cell for cell in cells if not any(overlap(cell, other) for other in found)]
    return found if len(found) >= MIN_CELLS else []


def overlap(one: Cell, other: Cell) -> bool:
    return one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1


def level_cells(ink: Mask) -> list[Cell]:
    """Cells of level lines of text, in strips from left to right."""
    num_strips = ink.shape[1] // STRIP_PX
    if not num_strips:
        return []
    strips = [strip_runs(ink[:, place * STRIP_PX : (place + 1) * STRIP_PX]) for place in range(num_strips)]
    cells = []
    for place, runs in enumerate(strips):
        goes_on = np.zeros(len(runs), np.bool_)
        for other in [*strips[place - 1 : place], *strips[place + 1 : place + 2]]:
            goes_on |= are_level(runs, other)
        x0 = place * STRIP_PX
        cells += [Cell(x0, y0, x0 + STRIP_PX, y1) for y0, y1 in runs[goes_on].tolist()]
    return cells


def strip_runs(strip: Mask) -> NDArray[np.int64]:
    """The runs of rows with ink that look like a line of text. [runs, first and last row]"""
    has_ink = strip.sum(axis=1) >= MIN_INK
    bounds = np.flatnonzero(np.diff(has_ink, prepend=False, append=False)).reshape(-1, 2)
    heights = bounds[:, 1] - bounds[:, 0]
    strokes = sums_of((strip[:, 1:] != strip[:, :-1]).sum(axis=1), bounds) / STRIP_PX
    fill = sums_of(strip.sum(axis=1), bounds) / (np.maximum(heights, 1) * STRIP_PX)
    is_text = (heights >= MIN_LETTER) & (heights <= MAX_LETTER) & (strokes >= MIN_STROKES) & (strokes <= MAX_STROKES)
    found: NDArray[np.int64] = bounds[is_text & (fill >= MIN_FILL) & (fill <= MAX_FILL)]
    return found


def sums_of(rows: NDArray[Any], bounds: NDArray[np.int64]) -> NDArray[Any]:
    """Sums over the rows of each run."""
    total = np.concatenate([[0], np.cumsum(rows)])
    return np.asarray(total[bounds[:, 1]] - total[bounds[:, 0]])


def are_level(runs: NDArray[np.int64], beside: NDArray[np.int64]) -> Mask:
    """Which runs have one in the strip beside on the same level and of about the same height."""
    shared = np.minimum(runs[:, 1, None], beside[None, :, 1]) - np.maximum(runs[:, 0, None], beside[None, :, 0])
    higher = np.maximum((runs[:, 1] - runs[:, 0])[:, None], (beside[:, 1] - beside[:, 0])[None])
    level: Mask = (shared >= SAME_LEVEL * higher).any(axis=1)
    return level
