"""List items: one block an item, its mark apart, and how deep it is nested."""

from __future__ import annotations

from collections.abc import Sequence

from workers.layout.marks import BULLET, MARK
from workers.layout.words import Row, Word

STEP = 0.8  # font sizes further right: one level deeper


def mark_of(row: Row, *, is_list: bool) -> Word | None:
    """The mark that a row begins with; in what the model does not call a list, only a bullet counts."""
    if len(row) < 2:
        return None
    pattern = MARK if is_list else BULLET
    return row[0] if pattern.fullmatch(row[0].text) else None


def split_items(rows: Sequence[Row], *, is_list: bool) -> list[list[Row]]:
    """The rows by items: one begins at each mark that stands as far left as the first one, or further right."""
    starts = [i for i, row in enumerate(rows) if mark_of(row, is_list=is_list)]
    if not starts:
        return [list(rows)]
    if is_list and not BULLET.fullmatch(rows[starts[0]][0].text):
        x, size = rows[starts[0]][0].box[0], rows[starts[0]][0].size
        starts = [i for i in starts if abs(rows[i][0].box[0] - x) < STEP * size]
    cuts = sorted({0, *starts})
    return [list(rows[a:b]) for a, b in zip(cuts, [*cuts[1:], len(rows)], strict=True)]


def nest(lefts: Sequence[float], sizes: Sequence[float]) -> list[int]:
    """Levels from 1 of items that follow one another, by how far right they begin."""
    levels: list[int] = []
    open_lefts: list[float] = []
    for left, size in zip(lefts, sizes, strict=True):
        while open_lefts and left < open_lefts[-1] - STEP * size / 2:
            open_lefts.pop()
        if not open_lefts or left > open_lefts[-1] + STEP * size:
            open_lefts.append(left)
        levels.append(len(open_lefts))
    return levels
