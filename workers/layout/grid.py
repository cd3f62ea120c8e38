"""A grid of rows and columns with cells over several of them, and words put into its cells by their centres."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence

from workers.layout.detect import Span
from workers.layout.words import Row, Word
from workers.reading_order import Box

MOST_INSIDE = 0.8  # of a word's width: then it lies in one cell


class Grid:
    """Cells are spans that do not overlap and cover all of the grid; `words` holds those of each cell."""

    def __init__(self, ys: Sequence[float], xs: Sequence[float], spans: Iterable[Span] = ()) -> None:
        self.ys, self.xs = list(ys), list(xs)
        self.cells: list[Span] = []
        self._at: dict[tuple[int, int], int] = {}
        for span in merge_overlapping(spans):
            self._add(span)
        for row in range(len(self.ys) - 1):
            for column in range(len(self.xs) - 1):
                if (row, column) not in self._at:
                    self._add((row, row + 1, column, column + 1))
        self.words: dict[int, Row] = defaultdict(list)
        self.fit = 0.0  # share of the words that lie in one cell

    def _add(self, span: Span) -> None:
        for row in range(*span[:2]):
            for column in range(*span[2:]):
                self._at[row, column] = len(self.cells)
        self.cells.append(span)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.ys) - 1, len(self.xs) - 1

    def box(self, cell: int) -> Box:
        row, row_end, column, column_end = self.cells[cell]
        return self.xs[column], self.ys[row], self.xs[column_end], self.ys[row_end]

    def put(self, words: Sequence[Word]) -> None:
        self.words.clear()
        num_inside = 0
        for word in words:
            x, y = word.centre
            cell = self._at[place(self.ys, y), place(self.xs, x)]
            self.words[cell].append(word)
            x0, _, x1, _ = self.box(cell)
            inside = min(word.box[2], x1) - max(word.box[0], x0)
            num_inside += inside >= MOST_INSIDE * (word.box[2] - word.box[0])
        self.fit = num_inside / max(1, len(words))

    @property
    def num_filled(self) -> int:
        return sum(1 for words in self.words.values() if words)


def place(borders: Sequence[float], value: float) -> int:
    """The strip between two borders that `value` lies in; what is outside goes to the first or last."""
    return min(max(bisect_right(borders, value) - 1, 0), len(borders) - 2)


def merge_overlapping(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for span in spans:
        joined = span
        while overlapping := [each for each in merged if overlap(each, joined)]:
            merged = [each for each in merged if each not in overlapping]
            starts, ends, lefts, rights = zip(joined, *overlapping, strict=True)
            joined = min(starts), max(ends), min(lefts), max(rights)
        merged.append(joined)
    return merged


def overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]
