"""Tables without rules that the model takes for text: found by their columns of figures, and nothing else is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from workers.layout.bare_tables import find_bare_tables
from workers.layout.detect import Region
from workers.layout.words import Word

STATEMENT = [
    ["Date", "Description", "Debit", "Credit"],
    ["1 May", "Balance forward", "", "1,200.50"],
    ["2 May", "Cheque", "36.07", ""],
    ["3 May", "Transfer out", "60.93", ""],
    ["4 May", "Deposit", "", "90.00"],
    ["5 May", "Cheque", "800.04", "7.20"],
]
AUTHORS = [["Ann Lee", "Bo Ray", "Cy Poe"]] + [[f"{c} {n}" for c in ("Dept", "Inst", "Univ")] for n in "abcde"]
CONTENTS = [[str(n), f"Chapter about things {n}", str(10 * n)] for n in range(1, 8)]
PROSE = [["many words of running text here 19", "and 20 more of them in this one", "so that it is prose 7"]] * 8


def words_of(rows: Sequence[Sequence[str]], *, head_gap: float = 0.0) -> list[Word]:
    """Columns of 150 points, rows of 14; letters are 5 wide and 10 high."""
    words = []
    for r, row in enumerate(rows):
        for c, text in enumerate(row):
            x, y = 40.0 + 150 * c, 100.0 + 14 * r + (head_gap if r else 0.0)
            for part in text.split():
                words.append(Word(text=part, box=(x, y, x + 5 * len(part), y + 10), line=r, size=10.0))
                x += 5 * len(part) + 3
    return words


def cells(rows: Sequence[Sequence[str]]) -> list[tuple[int, int, str]]:
    return [(r, c, text) for r, row in enumerate(rows) for c, text in enumerate(row) if text]


@pytest.mark.parametrize("head_gap", [0.0, 15.0])
def test_a_statement_is_a_table_with_its_head(head_gap: float) -> None:
    (table,) = find_bare_tables(words_of(STATEMENT, head_gap=head_gap), [])
    assert [(cell.span[0], cell.span[2], cell.text) for cell in table.cells] == cells(STATEMENT)
    assert {cell.span[0] for cell in table.cells if cell.is_header} == {0}


@pytest.mark.parametrize("rows", [AUTHORS, CONTENTS, PROSE, STATEMENT[:4]], ids=["authors", "contents", "prose", "few"])
def test_other_things_in_columns_are_none(rows: list[list[str]]) -> None:
    assert find_bare_tables(words_of(rows), []) == []


@pytest.mark.parametrize("label", ["table", "picture"])
def test_what_the_model_found_is_its_own(label: str) -> None:
    assert find_bare_tables(words_of(STATEMENT), [Region(label=label, box=(0, 0, 700, 700))]) == []


def test_a_narrow_gap_parts_two_columns_where_the_head_has_a_wide_one() -> None:
    rows = [["Date", "Text", "Debit", "Credit"], *([f"0{n}Aug2018", "Cheque", f"{n}6.07", f"{n}.50"] for n in range(7))]
    words = []
    for word in words_of(rows):
        x0, y0, x1, y1 = word.box
        shift = 101.0 if x0 > 180 else 0.0  # the second column begins four points after the dates
        words.append(replace(word, box=(x0 - shift, y0, x1 - shift, y1)))
    (table,) = find_bare_tables(words, [])
    assert [(cell.span[0], cell.span[2], cell.text) for cell in table.cells] == cells(rows)
