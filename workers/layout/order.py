"""The reading order of blocks: that of their lines on the page, where a table or a figure is one thing."""

from __future__ import annotations

from collections.abc import Sequence

from workers.reading_order import Box, order_rows


def order_blocks(boxes: Sequence[Box], line_boxes: Sequence[Sequence[Box]]) -> list[int]:
    """The blocks as they are read. `line_boxes` holds those of a block's lines; without any it counts as one box."""
    units = [(i, box) for i, lines in enumerate(line_boxes) for box in (lines or [boxes[i]])]
    ranks: dict[int, int] = {}
    for row in order_rows([box for _, box in units]):
        for unit in row:
            ranks.setdefault(units[unit][0], len(ranks))
    return sorted(range(len(boxes)), key=ranks.__getitem__)
