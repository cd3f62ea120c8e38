"""Tables that the model took for text: rows of figures under one another, with white between the columns.

Statements and price lists without any rule are read across, row by row, not down each column. Two columns of figures
at least tell them from prose in columns, and rows with few words in each cell from lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from workers.layout.columns import is_figure
from workers.layout.detect import Region
from workers.layout.grid import Grid
from workers.layout.loose import runs, split_row
from workers.layout.tables import LEAST_FIT, Table, corridors, row_borders, table_of, with_headers
from workers.layout.words import Row, Word, box_of, holds, rows_of, union

LEAST_ROWS = 5
LEAST_COLUMNS = 3
LEAST_FIGURES = 2  # columns of figures, the first column apart
FIGURES = 0.6  # of a column's filled cells, that are figures
MOST_WORDS = 3.0  # of a cell, on the average
ROW_GAP = 1.6  # heights between the rows of a table
HEAD_GAP = 3.5  # heights between the first row and a head over a rule
CORRIDOR = 0.6  # heights of white between two columns
HEAD_CORRIDOR = 0.25  # the same where the head has a wide gap
OWN = frozenset({"table", "picture"})  # regions that are read as one thing already


def find_bare_tables(words: Sequence[Word], regions: Sequence[Region]) -> list[Table]:
    """The tables among the words outside the model's own tables and pictures."""
    taken = [region.box for region in regions if region.label in OWN]
    free = [word for word in words if not word.angle and not any(holds(box, word) for box in taken)]
    tables = (table_in(run) for run in runs_of_rows(rows_of(free)))
    return [table for table in tables if table is not None]


def runs_of_rows(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows that follow one another closely and have several parts each, with a head that stands a little above."""
    run: list[Row] = []
    for row in rows:
        is_parted = len(split_row(row)) > 1
        most = HEAD_GAP if len(run) == 1 else ROW_GAP
        if run and not (is_parted and gap_between(run[-1], row) <= most * height_of(row)):
            yield run
            run = []
        if is_parted:
            run.append(row)
    yield run


def gap_between(above: Row, below: Row) -> float:
    return box_of(below)[1] - box_of(above)[3]


def height_of(row: Row) -> float:
    return max(word.box[3] - word.box[1] for word in row)


def table_in(rows: Sequence[Row]) -> Table | None:
    """The table that the rows make, if columns of figures stand in them."""
    if len(rows) < LEAST_ROWS:
        return None
    words = [word for row in rows for word in row]
    box = union(map(box_of, rows))
    height = min(map(height_of, rows))
    wide, narrow = (corridors(words, least * height) for least in (CORRIDOR, HEAD_CORRIDOR))
    xs = sorted({*wide, *(x for x in narrow if is_parted_at(rows[0], x))})
    grid = Grid(row_borders(box, rows), [box[0], *xs, box[2]])
    grid.put(words)
    if grid.fit < LEAST_FIT or not is_table(grid):
        return None
    return with_headers(table_of(grid))


def is_parted_at(head: Row, x: float) -> bool:
    """Whether the first row has a wide gap at `x`."""
    gaps = ((head[start - 1].box[2], head[start].box[0]) for start, _ in runs(head) if start)
    return any(left <= x <= right for left, right in gaps)


def is_table(grid: Grid) -> bool:
    num_columns = grid.shape[1]
    if num_columns < LEAST_COLUMNS or sum(map(len, grid.words.values())) > MOST_WORDS * grid.num_filled:
        return False
    columns: list[list[bool]] = [[] for _ in range(num_columns)]
    for cell, span in enumerate(grid.cells):
        if span[0] > 0 and grid.words[cell]:  # below the head
            columns[span[2]].append(is_figure("".join(word.text for word in grid.words[cell])))
    figures = [len(found) >= 2 and sum(found) >= FIGURES * len(found) for found in columns[1:]]
    return sum(figures) >= LEAST_FIGURES
