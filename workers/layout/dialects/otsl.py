"""Tables in OTSL, the "optimised table structure language" that DocTags and MinerU's model write, as cells.

A token before each cell, in rows: `<fcel>` a cell with text, `<ecel>` an empty one, `<ched>`, `<rhed>` and `<srow>` the
heads of a column, a row and a section, `<lcel>` belongs to the cell at its left, `<ucel>` to the one above, `<xcel>` to
both, and `<nl>` ends a row (Lysak et al. 2023; docling-core, types/doc/tokens.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from workers.layout.blocks import Block, Box, Cell

TOKEN = re.compile(r"<(fcel|ecel|lcel|ucel|xcel|nl|ched|rhed|srow)>")
ACROSS, DOWN = frozenset({"lcel", "xcel"}), frozenset({"ucel", "xcel"})
SPANNED = ACROSS | DOWN


class Field(NamedTuple):
    """One place of the grid."""

    token: str
    text: str


def read_otsl(text: str) -> tuple[str, tuple[Cell, ...]]:
    """What stands before the first cell, and the cells. Text at a place that should have none makes it a cell."""
    before, rows = rows_of(text)
    return before, tuple(cells_of(rows))


def rows_of(text: str) -> tuple[str, list[list[Field]]]:
    before, *parts = TOKEN.split(text)
    rows: list[list[Field]] = [[]]
    for token, said in zip(parts[::2], parts[1::2], strict=True):
        own = " ".join(said.split())
        if token == "nl":
            rows.append([])
        if token != "nl" or own:
            rows[-1].append(Field("fcel" if own and token in (*SPANNED, "nl", "ecel") else token, own))
    return " ".join(before.split()), rows


def cells_of(rows: list[list[Field]]) -> Iterator[Cell]:
    for row, fields in enumerate(rows):
        for column, field in enumerate(fields):
            if not field.text:
                continue
            width = width_of(fields, column)
            height = height_of(rows, row, column, width)
            yield Cell(
                row=row,
                column=column,
                text=field.text,
                row_span=height,
                column_span=width,
                is_header=field.token == "ched",
            )


def width_of(fields: list[Field], column: int) -> int:
    end = column + 1
    while end < len(fields) and fields[end].token in ACROSS:
        end += 1
    return end - column


def height_of(rows: list[list[Field]], row: int, column: int, width: int) -> int:
    """Rows that the cell spans: those in which all of its places belong to it."""
    end = row + 1
    while end < len(rows):
        below = rows[end][column : column + width]
        if len(below) < width or below[0].token not in DOWN or any(f.token not in SPANNED for f in below):
            break
        end += 1
    return end - row


def table_block(text: str, box: Box | None = None) -> list[Block]:
    """The table that the text is, after a paragraph of what stands before it."""
    before, cells = read_otsl(text)
    blocks = [Block(kind="paragraph", text=before)] if before else []
    if cells:
        blocks.append(Block(kind="table", text=text_of(cells), cells=cells, box=box))
    return blocks


def text_of(cells: tuple[Cell, ...]) -> str:
    """The cells by rows, as a block of a table has them."""
    rows: dict[int, list[str]] = {}
    for cell in cells:
        rows.setdefault(cell.row, []).append(cell.text)
    return "\n".join("\t".join(rows[row]) for row in sorted(rows))
