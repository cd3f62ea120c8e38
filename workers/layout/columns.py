"""Columns that a grid has missed, and cells that it has put together though their words stand apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from workers.layout.detect import Span
from workers.layout.grid import Grid, place
from workers.layout.words import Row, Word

FIGURE_GAP = 0.3  # line heights between two figures of one row
WIDE_GAP = 1.0  # line heights between any two cells
MIN_ROWS = 2
MOST_PARTED = 0.6  # share of the column's rows with words on both sides, that have a gap there


def part_spans(grid: Grid, words: Sequence[Word]) -> Grid:
    """The grid with its wide cells cut at the borders where their words stand apart; itself where none do.

    The model's cells are those of its boxes of text, and a box may hold the figures of several columns.
    """
    spans: list[Span] = []
    is_cut = False
    for i, (row, row_end, first, after) in enumerate(grid.cells):
        lines = lines_of(grid.words[i])
        inner = [c for c in range(first + 1, after) if are_parted(lines, grid.xs[c])]
        is_cut = is_cut or bool(inner)
        spans += [(row, row_end, a, b) for a, b in pairwise([first, *inner, after])]
    if not is_cut:
        return grid
    parted = Grid(grid.ys, grid.xs, spans)
    parted.put(words)
    return parted


def are_parted(lines: Sequence[Row], x: float) -> bool:
    """Whether some line has words on both sides of `x`, and each that has is two cells there."""
    beside = [line for line in lines if is_beside(line, x)]
    gaps = [next(pair for pair in pairwise(line) if pair[1].box[2] > x) for line in beside if len(line) > 1]
    return (
        bool(beside) and len(gaps) == len(beside) and all(a.box[2] <= x <= b.box[0] and is_two(a, b) for a, b in gaps)
    )


def is_two(before: Word, after: Word) -> bool:
    """Whether two neighbours beside a border of the grid are two cells: figures need no more than a space then."""
    return is_gap(before, after) or (is_figure(before.text) and is_figure(after.text))


def split_columns(grid: Grid, words: Sequence[Word]) -> Grid:
    """The grid with a border more wherever most rows of a column have two figures side by side; itself where none."""
    cuts = [cut for column in range(grid.shape[1]) for cut in cuts_of(grid, column)]
    if not cuts:
        return grid
    xs = sorted([*grid.xs, *cuts])
    split = Grid(grid.ys, xs, [*widened(grid, xs), *across(grid, words, xs, cuts)])
    split.put(words)
    return split


def cuts_of(grid: Grid, column: int) -> list[float]:
    """Where a column of single cells is to be cut, from left to right."""
    mine = [i for i, (_, _, first, after) in enumerate(grid.cells) if (first, after) == (column, column + 1)]
    lines = [line for i in mine for line in lines_of(grid.words[i])]
    gaps = sorted(
        (before.box[2], after.box[0]) for line in lines for before, after in pairwise(line) if is_gap(before, after)
    )
    cuts: list[float] = []
    while gaps:
        x = best_place(gaps)
        parted = sum(start <= x <= end for start, end in gaps)
        if parted < max(MIN_ROWS, MOST_PARTED * sum(is_beside(line, x) for line in lines)):
            break
        cuts.append(x)
        gaps = [gap for gap in gaps if not gap[0] <= x <= gap[1]]
    return cuts


def is_beside(line: Row, x: float) -> bool:
    """Whether the row has words on both sides, or one across."""
    return line[0].box[0] < x < line[-1].box[2]


def lines_of(words: Sequence[Word]) -> list[Row]:
    lines: list[Row] = []
    for word in sorted(words, key=lambda word: word.middle):
        if lines and word.middle - lines[-1][0].middle < 0.5 * (word.box[3] - word.box[1]):
            lines[-1].append(word)
        else:
            lines.append([word])
    return [sorted(line, key=lambda word: word.box[0]) for line in lines]


def is_gap(before: Word, after: Word) -> bool:
    """Whether two neighbours may be two cells: figures, or words read apart, with a letter between; or far apart."""
    gap = (after.box[0] - before.box[2]) / (before.box[3] - before.box[1])
    is_parted = before.line != after.line or (is_figure(before.text) and is_figure(after.text))
    return gap >= WIDE_GAP or (gap >= FIGURE_GAP and is_parted)


def is_figure(text: str) -> bool:
    digits = sum(char.isdigit() for char in text)
    return 2 * digits >= len(text.strip("()%.,-–—*")) or text in {"-", "–", "—", "=", "*", "..."}


def best_place(gaps: Sequence[tuple[float, float]]) -> float:
    """The middle of the stretch that most gaps share."""
    edges = sorted({edge for gap in gaps for edge in gap})
    middles = [(a + b) / 2 for a, b in pairwise(edges)] or [sum(gaps[0]) / 2]
    return max(middles, key=lambda x: sum(start <= x <= end for start, end in gaps))


def widened(grid: Grid, xs: Sequence[float]) -> list[Span]:
    """The cells that spanned several before, and single ones of more than one row, by the new borders."""
    at = {x: i for i, x in enumerate(xs)}
    return [
        (row, row_end, at[grid.xs[first]], at[grid.xs[after]])
        for row, row_end, first, after in grid.cells
        if row_end - row > 1 or after - first > 1
    ]


def across(grid: Grid, words: Sequence[Word], xs: Sequence[float], cuts: Sequence[float]) -> list[Span]:
    """A span for each word that lies across a new border."""
    spans = []
    for word in words:
        if any(word.box[0] < cut < word.box[2] for cut in cuts):
            row = place(grid.ys, word.middle)
            spans.append((row, row + 1, place(xs, word.box[0]), place(xs, word.box[2]) + 1))
    return spans
