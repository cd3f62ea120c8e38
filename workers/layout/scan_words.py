"""Where the words of a read line stand, from the white between them in the picture of the page.

An engine gives a line's text and its box. A table's row is often one such line, so the places of its words are needed:
the blank columns of pixels in the box are matched with the spaces of the text. Lengths are pixels of the upright page.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from workers.layout.words import Word
from workers.reading_order import Box
from workers.text_lines import BLANK_CONTRAST

Grey = NDArray[np.uint8]  # [height, width]
Gap = tuple[float, float]  # x0, x1 of blank columns

SPACE = 0.2  # line heights: narrower blanks may lie between letters
CELL_SPACE = 1.0  # line heights: so wide a blank parts words even where the text has no space
NARROW, WIDE = frozenset("ijltf.,:;'|!()[]I1-"), frozenset("mwMW@%—")


def split_line(
    text: str, box: Box, grey: Grey | None, number: int, confidence: float, doubts: Collection[str] = ()
) -> list[Word]:
    """The words of one read line; without a picture they share the box by their letters."""
    tokens = text.split()
    if not tokens:
        return []
    gaps = blank_columns(grey, box) if grey is not None else []
    cuts = match_gaps(tokens, box, gaps)
    words = []
    for position, token in enumerate(tokens):
        x0 = box[0] if position == 0 else cuts[position - 1][1]
        x1 = box[2] if position == len(tokens) - 1 else cuts[position][0]
        inner = [gap for gap in gaps if x0 < gap[0] and gap[1] < x1]
        for part, (left, right), is_glued in split_token(token, x0, x1, inner, CELL_SPACE * height_of(box)):
            words.append(
                Word(
                    text=part,
                    box=(left, box[1], max(right, left + 1), box[3]),
                    line=number,
                    size=height_of(box),
                    is_glued=is_glued,
                    confidence=confidence,
                    is_doubted=token in doubts,
                )
            )
    return words


def height_of(box: Box) -> float:
    return max(box[3] - box[1], 1.0)


def blank_columns(grey: Grey, box: Box) -> list[Gap]:
    """Runs of columns without ink inside the line's box, of at least a narrow space."""
    x0, y0, x1, y1 = (max(0, int(value)) for value in box)
    margin = (y1 - y0) // 6  # rows that the lines above and below may reach into
    crop = grey[y0 + margin : y1 - margin, x0:x1]
    if crop.shape[0] < 2 or crop.shape[1] < 2:
        return []
    paper = float(np.percentile(crop, 90))
    is_blank = crop.min(axis=0).astype(float) > paper - BLANK_CONTRAST
    edges = np.flatnonzero(np.diff(is_blank, prepend=False, append=False))
    runs = [(x0 + start, x0 + end) for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)]
    inside = [(a, b) for a, b in runs if a > x0 + 1 and b < x1 - 1]
    return [(float(a), float(b)) for a, b in inside if b - a >= SPACE * height_of(box)]


def weight(text: str) -> float:
    """How wide the text is likely to be, in usual letters."""
    return sum(
        0.5 if char in NARROW else 1.5 if char in WIDE else 2.0 if char >= "\u2e80" else 1.2 if char.isupper() else 1.0
        for char in text
    )


def match_gaps(tokens: Sequence[str], box: Box, gaps: Sequence[Gap]) -> list[Gap]:
    """A blank for each space between `tokens`, in order: near where it is expected, the wider the better."""
    num = len(tokens) - 1
    if num <= 0:
        return []
    if len(gaps) < num:
        return by_letters(tokens, box)
    inked = box[2] - box[0] - sum(b - a for a, b in gaps)
    unit = inked / sum(map(weight, tokens))
    wanted = np.cumsum([weight(token) * unit for token in tokens])[:-1]  # ink before each space
    before = np.array([a - box[0] for a, _ in gaps]) - np.cumsum([0.0] + [b - a for a, b in gaps])[:-1]
    reward = np.array([min(b - a, 2 * height_of(box)) for a, b in gaps])
    cost = np.abs(before[None, :] - wanted[:, None]) - reward[None, :]  # [spaces, gaps]
    chosen = cheapest(cost)
    return [gaps[k] for k in chosen]


def cheapest(cost: NDArray[np.float64]) -> list[int]:
    """A rising choice of columns, one a row, of the least sum."""
    num, many = cost.shape
    best = np.full((num, many), np.inf)
    origin = np.zeros((num, many), np.int64)
    best[0] = cost[0]
    for row in range(1, num):
        running, at = np.inf, 0
        for column in range(row, many):
            if best[row - 1, column - 1] < running:
                running, at = best[row - 1, column - 1], column - 1
            best[row, column] = running + cost[row, column]
            origin[row, column] = at
    column = int(np.argmin(best[-1]))
    chosen = [column]
    for row in range(num - 1, 0, -1):
        column = int(origin[row, column])
        chosen.append(column)
    return chosen[::-1]


def by_letters(tokens: Sequence[str], box: Box) -> list[Gap]:
    """Spaces where the letters alone put them."""
    unit = (box[2] - box[0]) / (sum(map(weight, tokens)) + 0.6 * (len(tokens) - 1))
    gaps, x = [], box[0]
    for token, _ in pairwise(tokens):
        x += weight(token) * unit
        gaps.append((x, x + 0.6 * unit))
        x += 0.6 * unit
    return gaps


def split_token(
    token: str, x0: float, x1: float, gaps: Sequence[Gap], cell_space: float
) -> list[tuple[str, Gap, bool]]:
    """A token cut at blanks that its text does not show: parts, their places, whether glued to the one before.

    A blank as wide as `cell_space` parts it anywhere; a narrower one only between a figure and a letter, and then
    the engine has lost a space there ("13A" for "13 A").
    """
    unit = (x1 - x0 - sum(b - a for a, b in gaps)) / max(weight(token), 0.1)
    parts: list[tuple[str, Gap, bool]] = []
    start, left, inked, was_space = 0, x0, 0.0, False
    edge = x0
    for gap_start, gap_end in gaps:
        inked += gap_start - edge
        edge = gap_end
        cut = min(range(1, len(token) + 1), key=lambda k: abs(weight(token[:k]) * unit - inked))
        is_space = start < cut < len(token) and {token[cut - 1].isdigit(), token[cut].isdigit()} == {True, False}
        is_space = is_space and (token[cut - 1] + token[cut]).isalnum()
        if start < cut < len(token) and (is_space or gap_end - gap_start >= cell_space):
            parts.append((token[start:cut], (left, gap_start), bool(parts) and not was_space))
            start, left, was_space = cut, gap_end, is_space
    return [*parts, (token[start:], (left, x1), bool(parts) and not was_space)]
