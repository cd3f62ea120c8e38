"""Paragraphs of words that no region has, by their distances alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from workers.layout.drafts import Draft
from workers.layout.words import Row, Word, box_of, rows_of, union
from workers.reading_order import Box

WIDE_GAP = 1.5  # line heights between words that may be of two regions
NEAR = 0.8  # line heights between lines of one paragraph that the model missed


def loose_drafts(words: Sequence[Word]) -> list[Draft]:
    """Paragraphs of the words in no region: lines that follow one another closely."""
    pieces = [piece for row in rows_of(words) for piece in split_row(row)]
    groups: list[list[Row]] = []
    for piece in pieces:
        box = box_of(piece)
        home = next((group for group in groups if follows(box, box_of(group[-1]))), None)
        if home is None:
            groups.append([piece])
        else:
            home.append(piece)
    return [Draft(kind="paragraph", box=union(map(box_of, group)), rows=tuple(group)) for group in groups]


def follows(box: Box, above: Box) -> bool:
    height = min(box[3] - box[1], above[3] - above[1])
    shared = min(box[2], above[2]) - max(box[0], above[0])
    return (
        box[1] - above[3] < NEAR * height
        and box[3] > above[3]
        and shared > 0.5 * min(box[2] - box[0], above[2] - above[0])
    )


def split_row(row: Row) -> list[Row]:
    return [row[start:end] for start, end in runs(row)]


def runs(line: Sequence[Word]) -> list[tuple[int, int]]:
    """Starts and ends of the parts of a line between wide gaps."""
    cuts = [
        position + 1
        for position, (before, after) in enumerate(pairwise(line))
        if after.box[0] - before.box[2] > WIDE_GAP * (before.box[3] - before.box[1])
    ]
    return list(pairwise([0, *cuts, len(line)]))
