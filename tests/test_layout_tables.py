"""Tables: rows, columns and spans from two opinions on a grid, and no table where words fit none."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from workers.layout.detect import FoundCell, FoundTable, GridLines, Region
from workers.layout.grid import Grid, merge_overlapping
from workers.layout.tables import Table, read_tables
from workers.layout.words import Word

LEFT, TOP, COLUMN, ROW = 50.0, 100.0, 100.0, 20.0


def put(rows: Sequence[Sequence[str]], *, indent: float = 5.0) -> list[Word]:
    """Words of each text in its row and column; an empty text is an empty cell."""
    words = []
    for r, row in enumerate(rows):
        for c, text in enumerate(row):
            x = LEFT + c * COLUMN + indent
            for part in text.split():
                box = (x, TOP + r * ROW + 4, x + 6 * len(part), TOP + r * ROW + 16)
                words.append(Word(text=part, box=box, line=r * 10 + c, size=10.0))
                x += 6 * len(part) + 3
    return words


def region(num_rows: int, num_columns: int, spans: Sequence[tuple[int, int, int, int]] = ()) -> Region:
    ys = tuple(TOP + ROW * i for i in range(num_rows + 1))
    xs = tuple(LEFT + COLUMN * i for i in range(num_columns + 1))
    return Region(label="table", box=(xs[0], ys[0], xs[-1], ys[-1]), grid=GridLines(ys=ys, xs=xs, spans=tuple(spans)))


def found(num_rows: int, num_columns: int) -> FoundTable:
    cells = [
        FoundCell(
            box=(LEFT + c * COLUMN, TOP + r * ROW, LEFT + (c + 1) * COLUMN, TOP + (r + 1) * ROW),
            span=(r, r + 1, c, c + 1),
            is_header=r == 0,
        )
        for r in range(num_rows)
        for c in range(num_columns)
    ]
    return FoundTable(box=(LEFT, TOP, LEFT + num_columns * COLUMN, TOP + num_rows * ROW), cells=tuple(cells))


def texts(table: Table) -> list[list[str]]:
    rows, columns = table.shape
    grid = [["" for _ in range(columns)] for _ in range(rows)]
    for cell in table.cells:
        grid[cell.span[0]][cell.span[2]] = cell.text
    return grid


ROWS = [["Year", "Cars", "Bikes"], ["2019", "12", "7"], ["2020", "", "9"]]


def test_words_stand_in_their_cells() -> None:
    tables, rest = read_tables(region(3, 3), put(ROWS), [])
    assert [texts(table) for table in tables] == [ROWS]
    assert rest == []


def test_rows_without_figures_over_rows_with_them_are_headers() -> None:
    (table,), _ = read_tables(region(3, 3), put(ROWS), [])
    assert {cell.text for cell in table.cells if cell.is_header} == {"Year", "Cars", "Bikes"}


def test_a_heading_over_two_columns_spans_them() -> None:
    words = put([["", "Both kinds together", ""], *ROWS])
    (table,), _ = read_tables(region(4, 3, [(0, 1, 1, 3)]), words, [])
    assert next(cell.span for cell in table.cells if cell.text == "Both kinds together") == (0, 1, 1, 3)


def test_a_wide_cell_is_cut_where_its_figures_stand_apart() -> None:
    (table,), _ = read_tables(region(3, 3, [(1, 2, 0, 3)]), put(ROWS), [])
    assert texts(table)[1] == ["2019", "12", "7"]


def test_a_column_of_two_figures_in_every_row_is_two_columns() -> None:
    rows = [["Year", "Cars  Bikes"], *([str(2000 + i), f"{10 + i} {20 + i}"] for i in range(5))]
    words = put(rows)
    gap = [
        Word(text=w.text, box=(w.box[0] + 20, w.box[1], w.box[2] + 20, w.box[3]), line=w.line, size=w.size)
        for w in words
    ]
    second = {id(b): c for a, b, c in zip(words, words[1:], gap[1:], strict=False) if a.line == b.line}
    (table,), _ = read_tables(region(6, 2), [second.get(id(word), word) for word in words], [])
    assert table.shape == (6, 3)
    assert texts(table)[3] == ["2002", "12", "22"]


def test_the_finder_wins_where_it_fills_about_as_many_cells() -> None:
    (table,), _ = read_tables(region(3, 3), put(ROWS), [found(3, 3)])
    assert [cell.is_header for cell in table.cells] == [True] * 3 + [False] * 5


def test_the_finder_loses_where_it_found_a_part_of_the_table() -> None:
    (table,), _ = read_tables(region(3, 3), put(ROWS), [found(3, 2)])
    assert table.shape == (3, 3)


def test_words_outside_the_found_table_are_given_back() -> None:
    note = Word(text="Note", box=(LEFT, 400, LEFT + 24, 412), line=99, size=10.0)
    _, rest = read_tables(region(3, 3), [*put(ROWS), note], [found(3, 3)])
    assert rest == [note]


@pytest.mark.parametrize("shape", [(1, 3), (3, 1)])
def test_one_row_or_one_column_is_no_table(shape: tuple[int, int]) -> None:
    words = put(ROWS[: shape[0]])
    tables, rest = read_tables(region(*shape), words, [])
    assert (tables, len(rest)) == ([], len(words))


def test_words_across_the_borders_are_no_table() -> None:
    words = put([["", "", ""]] * 3) + [
        Word(text="prose" * 6, box=(LEFT + 10, TOP + 20 * i, LEFT + 190, TOP + 12 + 20 * i), line=i, size=10.0)
        for i in range(3)
    ]
    tables, rest = read_tables(region(3, 3), words, [])
    assert (tables, rest) == ([], words)


def test_monospaced_rows_are_cut_at_white_corridors() -> None:
    """The model's grid takes each row for one cell, as it does with tables of typed text."""
    rows = [
        ["alpha", "10", "11"],
        ["beta", "20", "21"],
        ["gamma", "30", "31"],
        ["delta", "40", "41"],
        ["eps", "5", "6"],
    ]
    grid = region(5, 3, [(r, r + 1, 0, 3) for r in range(5)])
    words = [Word(text=w.text, box=w.box, line=int(w.box[1]), size=w.size) for w in put(rows)]
    (table,), _ = read_tables(grid, words, [])
    assert texts(table) == rows


def test_spans_that_overlap_become_one() -> None:
    assert merge_overlapping([(0, 1, 0, 2), (0, 2, 1, 3), (4, 5, 0, 1)]) == [(0, 2, 0, 3), (4, 5, 0, 1)]


def test_a_word_beyond_the_grid_goes_to_the_nearest_cell() -> None:
    grid = Grid([0, 10, 20], [0, 50, 100])
    grid.put([Word(text="out", box=(120, 25, 140, 35), line=0, size=10.0)])
    assert grid.words[grid.cells.index((1, 2, 1, 2))]


def test_figures_under_one_another_in_a_cell_are_two_rows() -> None:
    rows = [["Name", "Cost"], ["Mail", "$8"], ["Web", "$6"], ["Centre", "$4"]]
    grid = GridLines(ys=(TOP, TOP + ROW, TOP + 2 * ROW, TOP + 4 * ROW), xs=(LEFT, LEFT + COLUMN, LEFT + 2 * COLUMN))
    area = Region(label="table", box=(LEFT, TOP, LEFT + 2 * COLUMN, TOP + 4 * ROW), grid=grid)
    (table,), _ = read_tables(area, put(rows), [])
    assert texts(table) == rows


def test_words_under_one_another_in_a_cell_are_one_row() -> None:
    rows = [["Name", "Cost"], ["Mail and", "$8"], ["parcels", ""]]
    grid = GridLines(ys=(TOP, TOP + ROW, TOP + 3 * ROW), xs=(LEFT, LEFT + COLUMN, LEFT + 2 * COLUMN))
    area = Region(label="table", box=(LEFT, TOP, LEFT + 2 * COLUMN, TOP + 3 * ROW), grid=grid)
    (table,), _ = read_tables(area, put(rows), [])
    assert texts(table) == [["Name", "Cost"], ["Mail and parcels", "$8"]]
