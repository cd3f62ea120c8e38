"""Tables: rows, columns, cells that span several, and headers, from a region's words and two opinions on its grid.

The layout model gives a grid. PyMuPDF's finder gives tables from drawn rules and that grid: where they fill about as
many cells as the grid does, they are exact; where they fill fewer they found a part. Whole words go into cells by their
centres, so that no word is cut. A region whose words do not fit a grid is no table and keeps its plain lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from workers.layout.columns import part_spans, split_columns
from workers.layout.detect import FoundTable, Region, Span
from workers.layout.grid import Grid
from workers.layout.rows import split_rows
from workers.layout.words import Row, Word, holds, rows_of, text_of_row
from workers.reading_order import Box

LEAST_FIT = 0.8  # share of words in exactly one cell
SIMILAR = (0.85, 1.15)  # filled cells of the finder over those of the grid
MOST_OVERLAP = 0.5  # of a found table's words: then it belongs to the region
ONE_CELL_ROWS = 0.6  # share of rows that the model took for one cell: monospaced text
CORRIDOR = 1.4  # letters: white that parts the columns of monospaced text
LEADER = re.compile(r"[-_=.·]{3,}")
NUMBER = re.compile(r"^[^A-Za-z]*\d[^A-Za-z]*$")
MOST_HEADER_ROWS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCell:
    span: Span
    words: tuple[Word, ...]
    is_header: bool = False

    @property
    def rows(self) -> list[Row]:
        return rows_of(self.words)

    @property
    def text(self) -> str:
        return " ".join(map(text_of_row, self.rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    box: Box
    cells: tuple[TableCell, ...]  # by rows, the filled ones only

    @property
    def shape(self) -> tuple[int, int]:
        return max(cell.span[1] for cell in self.cells), max(cell.span[3] for cell in self.cells)


def read_tables(region: Region, words: Sequence[Word], found: Sequence[FoundTable]) -> tuple[list[Table], list[Word]]:
    """The tables of a region, and its words that belong to none; no table where the words fit none."""
    own = grid_of(region, words)
    tables = [table for table in found if share_inside(table.box, words) >= MOST_OVERLAP]
    rival, rest = fill_found(tables, words)
    filled = sum(len(table.cells) for table in rival)
    is_sound = own is not None and min(own.shape) >= 2
    if rival and (own is None or not is_sound or SIMILAR[0] <= filled / max(1, own.num_filled) <= SIMILAR[1]):
        return rival, rest
    if own is not None and is_sound and own.fit >= LEAST_FIT:
        table = with_headers(table_of(own))
        return ([table], []) if has_rows_and_columns(table) else ([], list(words))
    return (rival, rest) if rival else ([], list(words))


def share_inside(box: Box, words: Sequence[Word]) -> float:
    """The share of the region's words that lie in `box`."""
    return sum(holds(box, word) for word in words) / max(1, len(words))


def grid_of(region: Region, words: Sequence[Word]) -> Grid | None:
    """The model's grid with the words in it, or one from white corridors where the model saw rows without columns."""
    if region.grid is None:
        return None
    grid = Grid(region.grid.ys, region.grid.xs, region.grid.spans)
    grid.put(words)
    if len(grid.xs) > 2 and num_whole_rows(grid) >= ONE_CELL_ROWS * grid.shape[0]:
        return corridor_grid(region.box, words) or grid
    return split_rows(split_columns(part_spans(grid, words), words), words)


def num_whole_rows(grid: Grid) -> int:
    last = len(grid.xs) - 1
    return sum(span[2] == 0 and span[3] == last and len(grid.words[i]) > 2 for i, span in enumerate(grid.cells))


def corridor_grid(box: Box, words: Sequence[Word]) -> Grid | None:
    """A row for each line of text, a border at each white corridor through the lines of three words and more."""
    rows = [[word for word in row if not LEADER.fullmatch(word.text)] for row in rows_of(words)]
    rows = [row for row in rows if row]
    many = [row for row in rows if len(row) >= 3]
    if len(many) < 4:
        return None
    ys = row_borders(box, rows)
    letter = median((w.box[2] - w.box[0]) / len(w.text) for row in many for w in row)
    grid = Grid(ys, [box[0], *corridors([w for row in many for w in row], CORRIDOR * letter), box[2]])
    grid.put(words)
    return grid


def row_borders(box: Box, rows: Sequence[Row]) -> list[float]:
    """The edges of the box, and between them the middle between each row and the next."""
    middles = [(min(word.middle for word in row), max(word.middle for word in row)) for row in rows]
    return [box[1], *((above[1] + below[0]) / 2 for above, below in pairwise(middles)), box[3]]


def corridors(words: Sequence[Word], least: float) -> list[float]:
    """The middles of the vertical strips, `least` wide and more, that no word reaches into."""
    found, edge = [], min(word.box[2] for word in words)
    for x0, x1 in sorted((word.box[0], word.box[2]) for word in words):
        if x0 - edge >= least:
            found.append((edge + x0) / 2)
        edge = max(edge, x1)
    return found


def table_of(grid: Grid) -> Table:
    cells = [TableCell(span=span, words=tuple(grid.words[i])) for i, span in enumerate(grid.cells) if grid.words[i]]
    cells.sort(key=lambda cell: (cell.span[0], cell.span[2]))
    return Table(box=(grid.xs[0], grid.ys[0], grid.xs[-1], grid.ys[-1]), cells=tuple(cells))


def fill_found(tables: Sequence[FoundTable], words: Sequence[Word]) -> tuple[list[Table], list[Word]]:
    """The found tables of two rows and columns at least, with the words in their cells, and the words outside all."""
    rest = list(words)
    filled = []
    for table in tables:
        mine = [word for word in rest if holds(table.box, word)]
        rest = [word for word in rest if not holds(table.box, word)]
        placed: dict[int, Row] = {}
        boxes = [(i, cell.box) for i, cell in enumerate(table.cells) if cell.box is not None]
        for word in mine:
            if boxes:
                i = min(boxes, key=lambda pair: distance(pair[1], word))[0]
                placed.setdefault(i, []).append(word)
        cells = tuple(
            TableCell(span=cell.span, words=tuple(placed[i]), is_header=cell.is_header)
            for i, cell in enumerate(table.cells)
            if i in placed
        )
        found = Table(box=table.box, cells=cells)
        if cells and min(found.shape) >= 2 and has_rows_and_columns(found):
            filled.append(found)
        else:  # a frame around text
            rest += mine
    return filled, rest


def has_rows_and_columns(table: Table) -> bool:
    """Whether words stand in two rows and in two columns at least, and not all in one cell of an empty grid."""
    return min(len({cell.span[at] for cell in table.cells}) for at in (0, 2)) >= 2


def distance(box: Box, word: Word) -> float:
    x, y = word.centre
    return max(box[0] - x, 0.0, x - box[2]) + max(box[1] - y, 0.0, y - box[3])


def with_headers(table: Table) -> Table:
    """The first rows marked as headers: those in bold, or without numbers over columns that have them."""
    num_rows = table.shape[0]
    rows = [[cell for cell in table.cells if cell.span[0] == row] for row in range(num_rows)]
    count = num_header_rows(rows)
    cells = tuple(replace(cell, is_header=True) if cell.span[0] < count else cell for cell in table.cells)
    return replace(table, cells=cells)


def num_header_rows(rows: Sequence[Sequence[TableCell]]) -> int:
    def is_body(row: Sequence[TableCell]) -> bool:
        return sum(NUMBER.match(cell.text) is not None for cell in row if cell.span[2] > 0) * 2 > len(row) - 1 > 0

    bold = [bool(row) and all(word.is_bold for cell in row for word in cell.words) for row in rows]
    if bold[0] and not all(bold):
        return min(bold.index(False), MOST_HEADER_ROWS)
    first = next((number for number, row in enumerate(rows) if is_body(row)), 0)
    return first if 0 < first <= MOST_HEADER_ROWS else 1
