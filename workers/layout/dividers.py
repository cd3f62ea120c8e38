"""Rules and bars from one side of the text to the other: what is above one is read before what is below it."""

from __future__ import annotations

from collections.abc import Sequence

from workers.layout.drafts import Draft
from workers.reading_order import Box

LEAST_WIDTH = 0.9  # of that of all text


def find_dividers(drafts: Sequence[Draft], drawn: Sequence[Box]) -> list[Box]:
    """Those of the rules and bars that divide the page and do not belong to a table or a figure."""
    if not drafts:
        return []
    left, right = min(draft.box[0] for draft in drafts), max(draft.box[2] for draft in drafts)
    things = [draft.box for draft in drafts if draft.kind in ("table", "figure")]
    wide = [box for box in drawn if min(box[2], right) - max(box[0], left) >= LEAST_WIDTH * (right - left)]
    return [box for box in wide if not any(thing[1] <= middle(box) <= thing[3] for thing in things)]


def middle(box: Box) -> float:
    return (box[1] + box[3]) / 2
