"""List items as Markdown numbers them: which marks it can have, and how deep an item stands."""

from __future__ import annotations

import re

from workers.layout.blocks import Block
from workers.layout.marks import BULLET

NUMBER = re.compile(r"(\d{1,9})([.)])")
DASH = re.compile(r"[-–—*·+]")
TICK = re.compile(r"\[[xX ]\]")


class Lists:
    """The lists that are open where the next item is written, outermost first.

    CommonMark counts by itself from a list's first number. So an item whose number is not the next one cannot be in
    the list; it is written as a paragraph, and so are items with marks that Markdown does not know.
    """

    def __init__(self) -> None:
        self._marks: list[str] = []
        self.is_going_on = False  # whether the last item placed follows one of the same lists

    def close(self) -> None:
        """End all lists, before a block that is no item."""
        self._marks.clear()

    def place(self, block: Block) -> str | None:
        """What stands before the item's text, or None where it cannot be in a list."""
        mark = mark_of(block.marker)
        depth = min(max(block.level, 1), len(self._marks) + 1)
        before = self._marks[depth - 1] if depth <= len(self._marks) else ""
        if mark is None or not follows(before, mark):
            self.close()
            return None
        self.is_going_on = bool(self._marks)
        indent = " " * sum(len(bullet_of(each)) + 1 for each in self._marks[: depth - 1])
        self._marks[depth - 1 :] = [mark]
        return f"{indent}{mark} "


def mark_of(marker: str) -> str | None:
    """The mark of the page as Markdown has it; None for one that would be shown otherwise."""
    if not marker or BULLET.fullmatch(marker) or DASH.fullmatch(marker):
        return "-"
    if TICK.fullmatch(marker):
        return f"- {marker.lower()}"
    return marker if NUMBER.fullmatch(marker) else None


def bullet_of(mark: str) -> str:
    return mark.split(" ", 1)[0]


def follows(before: str, mark: str) -> bool:
    """Whether a renderer shows this mark after the one before on the same level, "" for none."""
    one, two = NUMBER.fullmatch(before), NUMBER.fullmatch(mark)
    if one is None or two is None or one[2] != two[2]:
        return True  # another kind of mark begins another list
    return int(two[1]) == int(one[1]) + 1
