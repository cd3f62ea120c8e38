"""Rows that a grid has missed: figures that stand under one another in one cell."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from workers.layout.columns import is_figure, lines_of
from workers.layout.detect import Span
from workers.layout.grid import Grid
from workers.layout.words import Row, Word

LEAST_APART = 1.0  # line heights between the middles of two figures that are two rows


def split_rows(grid: Grid, words: Sequence[Word]) -> Grid:
    """The grid with a border more between figures of one cell, where no other cell's line lies across; else itself."""
    cuts = sorted({cut for row in range(grid.shape[0]) for cut in cuts_of(grid, row)})
    if not cuts:
        return grid
    ys = sorted([*grid.ys, *cuts])
    at = {y: i for i, y in enumerate(ys)}
    spans: list[Span] = [
        (at[grid.ys[row]], at[grid.ys[row_end]], first, after)
        for row, row_end, first, after in grid.cells
        if row_end - row > 1 or (after - first > 1 and at[grid.ys[row_end]] - at[grid.ys[row]] == 1)
    ]
    split = Grid(ys, grid.xs, spans)
    split.put(words)
    return split


def cuts_of(grid: Grid, row: int) -> list[float]:
    mine = [i for i, (first, after, *_) in enumerate(grid.cells) if (first, after) == (row, row + 1)]
    lines = [lines_of(grid.words[i]) for i in mine]
    stacked = [each for each in lines if len(each) > 1 and all(is_figure_line(line) for line in each)]
    if not stacked or len(stacked) < sum(len(each) > 0 and is_figure_line(each[0]) for each in lines):
        return []
    others = [word for each in lines if each not in stacked for line in each for word in line]
    return [y for above, below in pairwise(stacked[0]) if (y := cut_between(above, below, others)) is not None]


def is_figure_line(line: Row) -> bool:
    return all(is_figure(word.text) for word in line) and any(char.isdigit() for word in line for char in word.text)


def cut_between(above: Row, below: Row, others: Sequence[Word]) -> float | None:
    """Where to cut between two lines of figures, so that no other line is cut; None where that cannot be."""
    top, bottom = above[0].middle, below[0].middle
    if bottom - top < LEAST_APART * (above[0].box[3] - above[0].box[1]):
        return None
    edges = sorted({top, bottom, *(word.middle for word in others if top < word.middle < bottom)})
    widest = max(pairwise(edges), key=lambda pair: pair[1] - pair[0])
    return (widest[0] + widest[1]) / 2
