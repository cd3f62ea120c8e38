"""The text of boxes that stand in rows, as plain text.

Lengths are pixels, y grows downwards. Thresholds are in line heights, so that the resolution does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from workers.line_text import find_listings, indents, tidy
from workers.reading_order import CELL_GAP, Box, Row

PARAGRAPH_PITCH = 1.35  # distance of two lines over the usual distance
LISTING_PITCH = 2.5  # the same within a listing, which may have an empty line


def join_rows(rows: Sequence[Row], boxes: Sequence[Box], texts: Sequence[str]) -> str:
    """The text of `rows`: a line a row, a blank line between paragraphs, a tab between distant cells.

    Listings keep their indentation. Boxes with empty text are left out. A blank line stands where the next row is much
    further down than usual, or is not below at all because a new column starts.
    """
    filled = [row for row in ([i for i in row if texts[i]] for row in rows) if row]
    if not filled:
        return ""
    lines = [tidy(_join_row(row, boxes, texts)) for row in filled]
    middles = [sum(boxes[i][1] + boxes[i][3] for i in row) / (2 * len(row)) for row in filled]
    pitches = [below - above for above, below in pairwise(middles)]
    usual = _usual_pitch(pitches, median(boxes[i][3] - boxes[i][1] for row in filled for i in row))
    is_near = [0 < pitch <= LISTING_PITCH * usual for pitch in pitches]
    lines = _indented(lines, [_extent(row, boxes) for row in filled], is_near)
    parts = lines[:1]
    for line, pitch in zip(lines[1:], pitches, strict=True):
        parts += ["\n" if 0 < pitch <= PARAGRAPH_PITCH * usual else "\n\n", line]
    return "".join(parts)


def _indented(lines: Sequence[str], boxes: Sequence[Box], is_near: Sequence[bool]) -> list[str]:
    """The lines, those of listings as far right as they stand."""
    found = list(lines)
    for listing in find_listings(lines, [False, *is_near]):
        places = list(listing)
        columns = indents([boxes[place] for place in places], [lines[place] for place in places])
        for place, column in zip(places, columns, strict=True):
            found[place] = " " * column + lines[place]
    return found


def _extent(row: Row, boxes: Sequence[Box]) -> Box:
    first, last = boxes[row[0]], boxes[row[-1]]
    return first[0], first[1], last[2], last[3]


def _join_row(row: Row, boxes: Sequence[Box], texts: Sequence[str]) -> str:
    parts = [texts[row[0]]]
    for before, after in pairwise(row):
        height = boxes[before][3] - boxes[before][1]
        gap = boxes[after][0] - boxes[before][2]
        parts += ["\t" if gap > CELL_GAP * height else " ", texts[after]]
    return "".join(parts)


def _usual_pitch(pitches: Sequence[float], height: float) -> float:
    """The distance of two lines of one paragraph: the median over close neighbours, else from the height."""
    close = [pitch for pitch in pitches if 0 < pitch < 2.5 * height]
    return median(close) if close else 1.5 * height
