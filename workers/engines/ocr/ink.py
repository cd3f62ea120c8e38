"""The part of a page that has something on it: its margins are not looked through for lines."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.text_lines import Pixels

Area = tuple[slice, slice]  # rows, columns

SHRUNK = 4  # times smaller the page is looked at: grain and specks are gone then, letters are grey
FAINT = 8  # levels of 255 between neighbours, that paper does not have and pencil has
MARGIN_PX = 32  # left around what is there, as the detector looks at the surroundings too


def inked(pixels: Pixels, step: int, shape_step: int) -> Area | None:
    """Where everything on the page lies, whose sides are multiples of `step`; None where there is nothing.

    Where the page is large enough, sides are multiples of `shape_step` too.
    """
    height, width = pixels.shape[:2]
    size = max(1, width // SHRUNK), max(1, height // SHRUNK)
    grey = cv2.cvtColor(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    ink = np.asarray(cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))) > FAINT
    if not ink.any():
        return None
    rows, columns = span(np.asarray(ink.any(axis=1)), height, step), span(np.asarray(ink.any(axis=0)), width, step)
    return widened(rows, height, shape_step), widened(columns, width, shape_step)


def span(has_ink: NDArray[np.bool_], side: int, step: int) -> slice:
    """From the first to the last that has ink, with a margin, along a side of the page.

    Both are multiples of `step`: the detector, which looks at every so many pixels, then sees what it saw on the page.
    """
    places = np.flatnonzero(has_ink)
    scale = side / len(has_ink)
    first = max(0, int(places[0] * scale) - MARGIN_PX)
    last = min(side, int((places[-1] + 1) * scale) + MARGIN_PX)
    return slice(first // step * step, -(-last // step) * step)


def widened(part: slice, side: int, step: int) -> slice:
    """The part of a side with more of the page after it, then before it, until its length is a multiple of `step`."""
    last = min(side, part.stop + -(part.stop - part.start) % step)
    return slice(max(0, part.start - -(last - part.start) % step), last)
