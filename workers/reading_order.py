"""Reading order of text boxes by recursive X-Y cut, for engines that find lines but not their order.

A region is cut into columns at a gutter or into bands at white space, and each part is cut again: the
recursive X-Y cut of Nagy and Seth ("Hierarchical representation of optically scanned documents", ICPR 1984),
on boxes instead of pixels as in Ha, Haralick and Phillips ("Recursive X-Y cut using bounding boxes of
connected components", ICDAR 1995). Two things are added: boxes that lie across a gutter, such as headings, cut
the columns into bands; and a gutter between short cells that share their rows is a table's, which is read row
by row.

Lengths are pixels, y grows downwards, text runs from left to right. Thresholds are in line heights, so that
the resolution does not matter; they were chosen on the pages that `benchmarks/accuracy.py` measures.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]  # x0, y0, x1, y1
Row = list[int]  # indexes of boxes on one line of the page, from left to right
Gutter = tuple[float, float]  # x0, x1

MAX_DEPTH = 64  # cuts inside cuts; what is deeper is read row by row
BOX_MARGIN = 0.2  # line heights that a detector's box is longer than its print at either end
MIN_GUTTER = 0.35  # line heights between print
MIN_PROSE_LINES = 2
MIN_OTHER_LINES = 6
PROSE_ASPECT = 6.0  # width over height of a typical line: a dozen characters
PROSE_FILL = 0.7  # width of a typical line over that of a full one
SPARSE_SIDE = 0.5  # lines of one side over those of the other: beside prose, fewer make no table
MIN_GROUPS = 2  # short groups of lines that stand level in two columns
MAX_GROUP_LINES = 5
GROUP_GAP = 0.8  # line heights between two groups
GROUP_SHIFT = 0.8  # line heights that two level groups may differ
MIN_LEVEL = 0.7  # share of the groups
TABLE_ALIGNED = 0.6  # share of rows with a partner across the gutter
MAX_SHARED = 0.1  # boxes across the gutter that have text beside them, over the boxes beside the gutter
MIN_BAND_GAP = 0.1  # line heights
CELL_GAP = 1.5  # line heights


def order_rows(boxes: Sequence[Box]) -> list[Row]:
    """The boxes as rows in reading order; each index of `boxes` stands in exactly one row."""
    return _Page(boxes).order(list(range(len(boxes))), depth=0) if boxes else []


def find_gutters(boxes: Sequence[Box]) -> list[Gutter]:
    """The strips of the whole page between columns of text; a few boxes may lie across them."""
    if not boxes:
        return []
    return [gutter for gutter, _ in _Page(boxes).cut_columns(list(range(len(boxes))))]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cut:
    """A gutter at `x`: the boxes beside it, and those across it with the `num_shared` that share their rows."""

    x: float
    left: list[int]
    right: list[int]
    across: list[int]
    num_shared: int


def _without_margin(box: Box, margin: float) -> Box:
    x0, y0, x1, y1 = box
    margin = min(margin, (x1 - x0) / 4)
    return x0 + margin, y0, x1 - margin, y1


class _Page:
    """The boxes of one page, and which of them are level: about equally high, and side by side."""

    def __init__(self, boxes: Sequence[Box]) -> None:
        self.line_height = max(median(y1 - y0 for _, y0, _, y1 in boxes), 1.0)
        self.boxes = [_without_margin(box, BOX_MARGIN * self.line_height) for box in boxes]
        top, bottom = np.array([[y0, y1] for _, y0, _, y1 in boxes]).T
        height = bottom - top
        overlap = np.minimum.outer(bottom, bottom) - np.maximum.outer(top, top)
        low, high = np.minimum.outer(height, height), np.maximum.outer(height, height)
        self.is_level: NDArray[np.bool_] = (overlap > 0.5 * low) & (low > 0.4 * high)  # [boxes, boxes]
        np.fill_diagonal(self.is_level, True)

    def order(self, region: list[int], depth: int) -> list[Row]:
        if len(region) == 1 or depth == MAX_DEPTH:
            return self._rows(region)
        _, parts = next(self.cut_columns(region), (None, None))
        parts = parts or self._cut_bands(region)
        if not parts:
            return self._rows(region)
        return [row for part in parts for row in self.order(part, depth + 1)]

    def cut_columns(self, region: list[int]) -> Iterator[tuple[Gutter, list[list[int]]]]:
        """The gutters between columns of text, best first, each with the parts it cuts the region into.

        The parts are the columns from left to right or, where boxes lie across, bands from top to bottom.
        """
        if not (gutters := self._gutters(region)):
            return
        for gutter, has_neighbours in zip(gutters, self._have_neighbours(region, gutters), strict=True):
            if not has_neighbours:
                continue
            cut = self._cut_at(region, (gutter[0] + gutter[1]) / 2)
            if cut.num_shared > max(2.0, MAX_SHARED * (len(cut.left) + len(cut.right))):
                continue
            bands = self._bands_between(cut)
            if any(self._are_columns(*self._sides(band, cut.x)) for band in bands):
                yield gutter, bands if cut.across else [cut.left, cut.right]

    def _gutters(self, region: list[int]) -> list[Gutter]:
        """The vertical strips that fewer boxes cross than both sides of them, the least crossed first."""
        left = min(self.boxes[i][0] for i in region)
        width = int(max(self.boxes[i][2] for i in region) - left) + 1
        coverage = np.zeros(width, np.int64)  # boxes over each pixel column
        for i in region:
            x0, _, x1, _ = self.boxes[i]
            coverage[int(x0 - left) : int(x1 - left) + 1] += 1
        found: list[tuple[int, int]] = []
        for level in np.unique(coverage)[:-1]:
            narrower = tuple(found)  # those of one level lie apart
            edges = np.flatnonzero(np.diff(coverage <= level, prepend=False, append=False))
            for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
                is_inside = start > 0 and end < width and end - start >= MIN_GUTTER * self.line_height
                if is_inside and not any(a >= start and b <= end for a, b in narrower):
                    found.append((start, end))
        return [(left + start, left + end) for start, end in found]

    def _have_neighbours(self, region: list[int], gutters: list[Gutter]) -> NDArray[np.bool_]:
        """Which gutters have two boxes on either side, and some of them at one height; no others part columns."""
        x0, top, x1, bottom = np.array([self.boxes[i] for i in region]).T
        middles = np.array([(start + end) / 2 for start, end in gutters])
        by_end, by_start = np.argsort(x1), np.argsort(-x0)
        num_left = np.searchsorted(x1[by_end], middles, side="right")
        num_right = np.searchsorted(-x0[by_start], -middles, side="right")
        has_two = (num_left >= MIN_PROSE_LINES) & (num_right >= MIN_PROSE_LINES)
        left, right = np.maximum(num_left - 1, 0), np.maximum(num_right - 1, 0)
        tops = np.minimum.accumulate(top[by_end])[left], np.minimum.accumulate(top[by_start])[right]
        bottoms = np.maximum.accumulate(bottom[by_end])[left], np.maximum.accumulate(bottom[by_start])[right]
        return has_two & (np.minimum(*bottoms) > np.maximum(*tops))

    def _cut_at(self, region: list[int], x: float) -> _Cut:
        """Boxes beside the gutter at `x` and across it; what is level with one across it goes with that."""
        crossing = [i for i in region if self.boxes[i][0] < x < self.boxes[i][2]]
        is_across = self.is_level[np.ix_(region, crossing)].any(axis=1)
        across = [region[i] for i in np.flatnonzero(is_across)]
        rest = [region[i] for i in np.flatnonzero(np.logical_not(is_across))]
        left, right = self._sides(rest, x)
        return _Cut(x=x, left=left, right=right, across=across, num_shared=len(across) - len(crossing))

    def _sides(self, region: list[int], x: float) -> tuple[list[int], list[int]]:
        left = [i for i in region if self.boxes[i][2] <= x]
        right = [i for i in region if self.boxes[i][0] >= x and self.boxes[i][2] > x]
        return left, right

    def _bands_between(self, cut: _Cut) -> list[list[int]]:
        """The boxes from top to bottom, in runs that all lie across the gutter or all beside it."""
        across = set(cut.across)
        bands: list[list[int]] = []
        was_across: bool | None = None
        for i in sorted([*cut.left, *cut.right, *cut.across], key=self._middle):
            if (i in across) is not was_across:
                bands.append([])
                was_across = i in across
            bands[-1].append(i)
        return bands

    def _are_columns(self, left: list[int], right: list[int]) -> bool:
        """Whether the sides are two columns of text and not the cells of a table."""
        fewer, more = sorted((left, right), key=len)
        if len(fewer) < MIN_PROSE_LINES or not self._stand_side_by_side(fewer, more):
            return False
        if self._are_level_groups(fewer, more):
            return False
        if self._is_prose(more) and (self._is_prose(fewer) or len(fewer) < SPARSE_SIDE * len(more)):
            return True
        if len(fewer) < MIN_OTHER_LINES:
            return False
        is_aligned = self.is_level[np.ix_(fewer, more)].any(axis=1)
        return bool(is_aligned.mean() < TABLE_ALIGNED)

    def _are_level_groups(self, fewer: list[int], more: list[int]) -> bool:
        """Whether short groups of lines stand in rows across the gutter: the boxes of a chart, or addresses."""
        groups = self._groups(fewer)
        if len(groups) < MIN_GROUPS or len(fewer) < 2 * len(groups):
            return False
        if max(len(self._rows(group)) for group in groups) > MAX_GROUP_LINES:  # one may hold boxes side by side
            return False
        others = [self._extent(group) for group in self._groups(more)]
        near = GROUP_SHIFT * self.line_height
        level = [
            any(abs(top - y0) < near and abs(bottom - y1) < near for y0, y1 in others)
            for top, bottom in map(self._extent, groups)
        ]
        return sum(level) >= MIN_LEVEL * len(level)

    def _groups(self, side: list[int]) -> list[list[int]]:
        """The boxes in lots with more white above and below than between lines."""
        groups: list[list[int]] = []
        bottom = -math.inf
        for i in sorted(side, key=lambda i: self.boxes[i][1]):
            if self.boxes[i][1] - bottom > GROUP_GAP * self.line_height:
                groups.append([])
            groups[-1].append(i)
            bottom = max(bottom, self.boxes[i][3])
        return groups

    def _extent(self, group: list[int]) -> tuple[float, float]:
        return min(self.boxes[i][1] for i in group), max(self.boxes[i][3] for i in group)

    def _stand_side_by_side(self, left: list[int], right: list[int]) -> bool:
        """Whether the sides share most of the height of the lower one."""
        tops = [min(self.boxes[i][1] for i in side) for side in (left, right)]
        bottoms = [max(self.boxes[i][3] for i in side) for side in (left, right)]
        heights = [bottom - top for top, bottom in zip(tops, bottoms, strict=True)]
        return min(bottoms) - max(tops) > 0.5 * min(heights)

    def _is_prose(self, side: list[int]) -> bool:
        boxes = [self.boxes[i] for i in side]
        widths = sorted(x1 - x0 for x0, _, x1, _ in boxes)
        full = widths[int(0.9 * (len(widths) - 1))]
        aspect = median((x1 - x0) / max(y1 - y0, 1.0) for x0, y0, x1, y1 in boxes)
        return aspect >= PROSE_ASPECT and median(widths) >= PROSE_FILL * full

    def _cut_bands(self, region: list[int]) -> list[list[int]]:
        """The region above and below its widest white band; empty where there is none."""
        order = sorted(region, key=lambda i: self.boxes[i][1])
        best, at, bottom = MIN_BAND_GAP * self.line_height, 0, self.boxes[order[0]][3]
        for position, i in enumerate(order):
            gap = self.boxes[i][1] - bottom
            if gap > best:
                best, at = gap, position
            bottom = max(bottom, self.boxes[i][3])
        return [order[:at], order[at:]] if at else []

    def _rows(self, region: list[int]) -> list[Row]:
        rows: list[Row] = []
        for i in sorted(region, key=self._middle):
            if rows and self.is_level[rows[-1][0], i]:
                rows[-1].append(i)
            else:
                rows.append([i])
        return [sorted(row, key=lambda i: self.boxes[i][0]) for row in rows]

    def _middle(self, i: int) -> float:
        return self.boxes[i][1] + self.boxes[i][3]
