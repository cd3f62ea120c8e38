"""Text that a region leaves out of its middle: the region ends there and goes on after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from workers.layout.drafts import Draft
from workers.layout.words import box_of, union
from workers.reading_order import Box

PROSE = frozenset({"paragraph", "list_item", "footnote"})
LEAST_SHARED = 0.5  # of the narrower one's width


def cut_around(drafts: Sequence[Draft]) -> list[Draft]:
    """The drafts, those of prose cut wherever another's lines stand between two lines of theirs."""
    boxes = [(draft, box) for draft in drafts if draft.kind != "page_header" for box in line_boxes(draft)]
    return [part for draft in drafts for part in cut(draft, (box for other, box in boxes if other is not draft))]


def line_boxes(draft: Draft) -> list[Box]:
    return [box_of(row) for row in draft.rows if row] or [draft.box]


def cut(draft: Draft, others: Iterable[Box]) -> Iterator[Draft]:
    rows = draft.rows
    if draft.kind not in PROSE or len(rows) < 2 or not all(rows):
        yield draft
        return
    near = [box for box in others if shares_width(box, draft.box)]
    boxes = [box_of(row) for row in rows]
    ends = [i for i, (above, below) in enumerate(pairwise(boxes), 1) if any(is_between(b, above, below) for b in near)]
    first, *more = pairwise([0, *ends, len(rows)])
    yield replace(draft, rows=rows[: first[1]], box=union(boxes[: first[1]])) if ends else draft
    for start, end in more:
        yield Draft(kind="paragraph", box=union(boxes[start:end]), rows=rows[start:end])


def shares_width(box: Box, other: Box) -> bool:
    shared = min(box[2], other[2]) - max(box[0], other[0])
    return shared >= LEAST_SHARED * min(box[2] - box[0], other[2] - other[0])


def is_between(box: Box, above: Box, below: Box) -> bool:
    """Whether the middle of a line lies lower than the line above it and higher than the one below."""
    middle = (box[1] + box[3]) / 2
    return above[3] - (above[3] - above[1]) / 4 < middle < below[1] + (below[3] - below[1]) / 4
