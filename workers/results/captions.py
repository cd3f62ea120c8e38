"""Which caption belongs to which figure or table of its page."""

from __future__ import annotations

from collections.abc import Sequence

from workers.layout.blocks import Block
from workers.results.flow import Item

CAPTIONED = frozenset({"figure", "table"})


def captions_of(items: Sequence[Item]) -> dict[int, int]:
    """The place of the figure or table that each caption belongs to, by the caption's own place among these items.

    That is the one before or after it; where both are there, the nearer one. Each has one caption at most, so that the
    caption of another is left alone.
    """
    found: dict[int, int] = {}
    for place, item in enumerate(items):
        beside = [
            other
            for other in (place - 1, place + 1)
            if 0 <= other < len(items) and items[other].block.kind in CAPTIONED and other not in found.values()
        ]
        if item.block.kind == "caption" and beside:
            found[place] = min(beside, key=lambda other: distance(item.block, items[other].block))
    return found


def distance(caption: Block, other: Block) -> float:
    """The empty height between the two, in pixels; 0 where it is not known."""
    if caption.box is None or other.box is None:
        return 0.0
    return max(0.0, caption.box[1] - other.box[3], other.box[1] - caption.box[3])
