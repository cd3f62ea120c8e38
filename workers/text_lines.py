"""Geometry of detected text lines: which way they run, skew, splitting, and boxes on a page and its turned copy.

A turn is 0, 90, 180 or 270 degrees clockwise. Lengths are pixels, y grows downwards.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.reading_order import Box

Pixels = NDArray[np.uint8]  # [height, width, 3]
Quad = NDArray[np.float32]  # [4 corners clockwise from the top left, x and y]
Quads = NDArray[np.float32]  # [lines, 4, 2]

LONG_ASPECT = 2.5  # a box this much longer than wide shows which way its text runs
BLANK_CONTRAST = 48  # of 255: a column of pixels with less has no ink
GUTTER_WIDTH = 0.45  # of a line's height: wider than the space between two words


class Reading(NamedTuple):
    """What was recognised in one line, with a confidence of 0 to 1, and the words of it that are in doubt."""

    text: str
    confidence: float
    doubts: tuple[str, ...] = ()


def lengths_and_heights(quads: Quads) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The top edge and the left edge of each quad."""
    across, down = quads[:, 1] - quads[:, 0], quads[:, 3] - quads[:, 0]
    return np.linalg.norm(across, axis=1), np.linalg.norm(down, axis=1)


def long_lines(quads: Quads) -> tuple[list[int], bool]:
    """Indexes of the clearly long lines that run the page's main way, longest first; whether that is sideways."""
    across, down = lengths_and_heights(quads)
    wide, tall = across >= LONG_ASPECT * down, down >= LONG_ASPECT * across
    is_sideways = bool(down[tall].sum() > across[wide].sum())
    chosen, size = (tall, down) if is_sideways else (wide, across)
    order = np.argsort(-size, kind="stable")
    return [int(i) for i in order if chosen[i]], is_sideways


def level_boxes(quads: Quads) -> list[Box]:
    """The quads' bounding boxes after the page's skew is taken out.

    The skew is the median slope of the long lines, weighted by their length, so that a row of a crooked scan
    is level again. The boxes are for ordering only: their origin is the page's, their extent may leave it.
    """
    across, down = lengths_and_heights(quads)
    edges = (quads[:, 1] - quads[:, 0])[across >= LONG_ASPECT * down]
    angle = 0.0
    if len(edges):
        slopes = np.arctan2(edges[:, 1], edges[:, 0])
        order = np.argsort(slopes)
        weight = np.cumsum(np.linalg.norm(edges, axis=1)[order])
        angle = float(slopes[order][np.searchsorted(weight, weight[-1] / 2)])
    cosine, sine = np.cos(angle), np.sin(angle)
    level = quads @ np.array([[cosine, -sine], [sine, cosine]])  # [lines, 4, x and y]
    corners = np.concatenate([level.min(axis=1), level.max(axis=1)], axis=1)
    return [(float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in corners]


def bounding_box(quad: Quad) -> Box:
    (x0, y0), (x1, y1) = quad.min(axis=0).tolist(), quad.max(axis=0).tolist()
    return x0, y0, x1, y1


def unturn_box(box: Box, turn: int, width: float, height: float) -> Box:
    """Where `box` of the page turned by `turn` lies on the page as it was, which is `width` x `height`."""
    x0, y0, x1, y1 = box
    if turn == 90:
        return y0, height - x1, y1, height - x0
    if turn == 180:
        return width - x1, height - y1, width - x0, height - y0
    if turn == 270:
        return width - y1, x0, width - y0, x1
    return box


def split_at_blank(quad: Quad, crop: Pixels, at: float) -> tuple[Quad, Quad] | None:
    """The two halves of a line that was detected across a gutter, or None where it runs on.

    `crop` is the line's picture, `at` is where the gutter lies in it, from 0 to 1. The line is two where a blank
    wider than the space between words lies there.
    """
    height, width = crop.shape[:2]
    margin = height // 8  # rows that the lines above and below may reach into
    grey = crop[margin : height - margin].mean(axis=2)  # [rows, columns]
    is_blank = grey.max(axis=0) - grey.min(axis=0) < BLANK_CONTRAST
    edges = np.flatnonzero(np.diff(is_blank, prepend=False, append=False))
    runs = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    start, end = next(((a, b) for a, b in runs if a <= at * width < b), (0, 0))
    if end - start < GUTTER_WIDTH * height or start == 0 or end == width:
        return None
    return _part(quad, 0.0, start / width), _part(quad, end / width, 1.0)


def _part(quad: Quad, start: float, end: float) -> Quad:
    top, bottom = quad[1] - quad[0], quad[2] - quad[3]
    corners = [quad[0] + start * top, quad[0] + end * top, quad[3] + end * bottom, quad[3] + start * bottom]
    return np.array(corners, np.float32)
