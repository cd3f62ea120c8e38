"""The reading order of blocks: that of their lines on the page, where a table or a figure is one thing.

What stands in one drawn box is read together, a picture that lies under text comes before that text, and what is above
a rule or bar across all columns comes before what is below it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from workers.layout.dividers import find_dividers
from workers.layout.drafts import Draft
from workers.layout.frames import Frames
from workers.layout.words import box_of
from workers.reading_order import Box, order_rows

WHOLE = frozenset({"table", "figure", "formula"})  # read as one thing, whatever its lines


def in_order(drafts: Sequence[Draft], frames: Frames, drawn: Sequence[Box] = ()) -> list[Draft]:
    """The drafts as they are read; those in one drawn box follow one another. `drawn` are rules and bars across."""
    dividers = find_dividers(drafts, drawn)
    boxed: dict[Box, list[Draft]] = defaultdict(list)
    free: list[Draft] = []
    for draft in drafts:
        frame = frames.around(draft.rows[0][0]) if draft.rows and draft.kind not in WHOLE else None
        (boxed[frame] if frame else free).append(draft)
    if len(boxed) < 2:
        return ordered(drafts, dividers)
    stand_ins = [Draft(kind="figure", box=frame) for frame in boxed]
    found = dict(zip(map(id, stand_ins), boxed.values(), strict=True))
    return [
        each
        for draft in ordered([*free, *stand_ins], dividers)
        for each in (ordered(found[id(draft)]) if id(draft) in found else [draft])
    ]


def ordered(drafts: Sequence[Draft], dividers: Sequence[Box] = ()) -> list[Draft]:
    texts = [draft for draft in drafts if not is_ground(draft, drafts)]
    line_boxes = [[] if draft.kind in WHOLE else [box_of(row) for row in draft.rows] for draft in texts]
    found = [texts[i] for i in order_blocks([draft.box for draft in texts], line_boxes, dividers)]
    for ground in (draft for draft in drafts if is_ground(draft, drafts)):
        first = next(i for i, draft in enumerate(found) if is_over(draft, ground))
        found.insert(first, ground)
    return found


def is_ground(draft: Draft, drafts: Sequence[Draft]) -> bool:
    return draft.kind == "figure" and not draft.rows and any(is_over(each, draft) for each in drafts)


def is_over(draft: Draft, ground: Draft) -> bool:
    x, y = (draft.box[0] + draft.box[2]) / 2, (draft.box[1] + draft.box[3]) / 2
    x0, y0, x1, y1 = ground.box
    return bool(draft.rows) and draft is not ground and x0 <= x <= x1 and y0 <= y <= y1


def order_blocks(boxes: Sequence[Box], line_boxes: Sequence[Sequence[Box]], dividers: Sequence[Box] = ()) -> list[int]:
    """The blocks as they are read. `line_boxes` holds those of a block's lines; without any it counts as one box."""
    units = [(i, box) for i, lines in enumerate(line_boxes) for box in (lines or [boxes[i]])]
    units += [(len(boxes), box) for box in dividers]
    ranks: dict[int, int] = {}
    for row in order_rows([box for _, box in units]):
        for unit in row:
            ranks.setdefault(units[unit][0], len(ranks))
    return sorted(range(len(boxes)), key=ranks.__getitem__)
