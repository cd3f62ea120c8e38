"""Boxes to tick on a page image: small drawn squares that stand alone, empty or with a mark in them.

A recogniser takes them for letters, each time another one, so they are found by their shape and painted out before the
lines are looked for. A tick that sticks out of its box is not seen, and a solid square is a bullet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.line_text import EMPTY, TICKED
from workers.reading_order import Box
from workers.text_lines import Pixels, Reading

SIDES = (12, 64)  # px; on a page of 1,760 px a box of 3 mm has 18
SQUARE = 0.15  # by which width and height may differ
FILLED = 0.88  # of its bounding box that the outline encloses; a circle has 0.79
STRAIGHT = 0.9  # of each side that is drawn
FRAME = 0.2  # of the side, at each edge, that is not the inside
ALONE = 0.3  # of the side, all around, without ink: characters that look like boxes, as in Chinese, stand closer
BLANK, LEAST_MARK, MOST_MARK = 0.02, 0.06, 0.75  # share of the inside that has ink
LOOK_LIKE_TICKS, SURE = "xXvVyYkKrJ", 0.8
SAME_GROUND = 40  # levels of 255 between the ground in a box and around it
LABEL = 3.0  # sides from the box within which there is a label

Ink = NDArray[np.bool_]  # [height, width]


class TickBox(NamedTuple):
    """A box in pixels of the page, and whether something stands in it."""

    box: Box
    is_ticked: bool

    @property
    def text(self) -> str:
        return TICKED if self.is_ticked else EMPTY


def find_tick_boxes(pixels: Pixels) -> list[TickBox]:
    grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    _, dark = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    ink: Ink = dark > 0
    found = (tick_box(ink, *square) for square in squares(np.asarray(dark, np.uint8)))
    return [tick for tick in found if tick is not None and is_clear(pixels, tick)]


def is_clear(pixels: Pixels, tick: TickBox) -> bool:
    """Whether the ground in the box is that around it; a chart's legend has squares of a colour."""
    return int(np.abs(np.median(inside_of(pixels, tick), axis=(0, 1)) - ground_of(pixels, tick)).max()) <= SAME_GROUND


def squares(dark: NDArray[np.uint8]) -> Iterator[tuple[int, int, int, int]]:
    """Left, top, width and height of what has the outline of a small square."""
    outlines, nesting = cv2.findContours(dark, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    for outline, (_, _, _, parent) in zip(outlines, nesting[0] if len(outlines) else (), strict=True):
        if parent >= 0:  # of a hole
            continue
        x, y, width, height = cv2.boundingRect(outline)
        is_small = SIDES[0] <= min(width, height) and max(width, height) <= SIDES[1]
        if not is_small or abs(width - height) > SQUARE * max(width, height):
            continue
        if cv2.contourArea(outline) >= FILLED * (width - 1) * (height - 1):
            yield int(x), int(y), int(width), int(height)


def tick_box(ink: Ink, x: int, y: int, width: int, height: int) -> TickBox | None:
    """The box that this square is, or None where it is something else."""
    side = max(width, height)
    square = ink[y : y + height, x : x + width]
    if not has_straight_sides(square) or not stands_alone(ink, x, y, width, height):
        return None
    edge = max(2, round(FRAME * side))
    inside = square[edge:-edge, edge:-edge]
    share = float(inside.mean()) if inside.size else 1.0
    if BLANK < share < LEAST_MARK or share > MOST_MARK or not has_label(ink, x, y, width, height):
        return None
    return TickBox((float(x), float(y), float(x + width), float(y + height)), share >= LEAST_MARK)


def has_straight_sides(square: Ink) -> bool:
    edge = max(1, round(FRAME * max(square.shape) / 2))
    rows, columns = square.mean(axis=1), square.mean(axis=0)
    sides = (rows[:edge], rows[-edge:], columns[:edge], columns[-edge:])
    return all(float(side.max()) >= STRAIGHT for side in sides)


def stands_alone(ink: Ink, x: int, y: int, width: int, height: int) -> bool:
    margin = max(2, round(ALONE * max(width, height)))
    around = ink[max(0, y - margin) : y + height + margin, max(0, x - margin) : x + width + margin]
    return bool(around.sum() == ink[y : y + height, x : x + width].sum())


def has_label(ink: Ink, x: int, y: int, width: int, height: int) -> bool:
    """Whether there is ink beside it, at its height."""
    reach = round(LABEL * width)
    left, right = ink[y : y + height, max(0, x - reach) : x], ink[y : y + height, x + width : x + width + reach]
    return bool(left.any() or right.any())


def paint_out(pixels: Pixels, ticks: Sequence[TickBox]) -> Pixels:
    """The page without these boxes, in the colour of what is around each."""
    painted = pixels.copy()
    for tick in ticks:
        x0, y0, x1, y1 = map(int, tick.box)
        painted[max(0, y0 - 1) : y1 + 1, max(0, x0 - 1) : x1 + 1] = ground_of(pixels, tick)
    return painted


def ground_of(pixels: Pixels, tick: TickBox) -> NDArray[np.float64]:
    """The usual colour around the box."""
    x0, y0, x1, y1 = map(int, tick.box)
    above, below = pixels[max(0, y0 - 4) : max(0, y0 - 1), x0:x1], pixels[y1 + 1 : y1 + 4, x0:x1]
    around = np.concatenate([above, below]).reshape(-1, 3)
    return np.asarray(np.median(around, axis=0) if len(around) else [255.0] * 3, float)


def is_letter(mark: Reading) -> bool:
    """Whether a letter or a digit stands in the box, other than those that ticks and crosses look like."""
    return mark.text.isalnum() and mark.text not in LOOK_LIKE_TICKS and mark.confidence >= SURE


def inside_of(pixels: Pixels, tick: TickBox) -> Pixels:
    """What stands in the box, to be read."""
    x0, y0, x1, y1 = map(int, tick.box)
    edge = max(2, round(FRAME * (x1 - x0) / 2))
    return np.ascontiguousarray(pixels[y0 + edge : y1 - edge, x0 + edge : x1 - edge])
