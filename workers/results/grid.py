"""A table's cells as rows: as a pipe table, as HTML, and as CSV."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Callable, Sequence

from workers.layout.blocks import Cell
from workers.results.escape import escape_cell

Write = Callable[[str], str]  # the text of a cell in the form of the whole


def size_of(cells: Sequence[Cell]) -> tuple[int, int]:
    """Rows and columns."""
    return (
        max((cell.row + cell.row_span for cell in cells), default=0),
        max((cell.column + cell.column_span for cell in cells), default=0),
    )


def rows_of(cells: Sequence[Cell]) -> list[list[str]]:
    """The texts by rows, each row as long as the others; a cell over several fields stands in its first."""
    num_rows, num_columns = size_of(cells)
    rows = [[""] * num_columns for _ in range(num_rows)]
    for cell in cells:
        rows[cell.row][cell.column] = cell.text
    return rows


def has_spans(cells: Sequence[Cell]) -> bool:
    return any(cell.row_span > 1 or cell.column_span > 1 for cell in cells)


def num_header_rows(cells: Sequence[Cell]) -> int:
    """The rows from the top whose cells are all headers."""
    num_rows, _ = size_of(cells)
    for row in range(num_rows):
        found = [cell for cell in cells if cell.row == row]
        if not found or not all(cell.is_header for cell in found):
            return row
    return num_rows


def write_pipes(cells: Sequence[Cell], *, is_markdown: bool = False) -> str:
    """A pipe table, whose first row is its head; for cells without spans."""
    write = (lambda text: " ".join(text.split())) if is_markdown else escape_cell
    head, *body = [[write(text) for text in row] for row in rows_of(cells)]
    return "\n".join(pipe_row(row) for row in (head, ["---"] * len(head), *body))


def pipe_row(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def write_html(cells: Sequence[Cell], write: Write = html.escape) -> str:
    """A table of HTML with its spans; `write` gives the text of a cell as HTML."""
    num_rows, num_columns = size_of(cells)
    starts = {(cell.row, cell.column): cell for cell in cells}
    filled = {
        (cell.row + r, cell.column + c) for cell in cells for r in range(cell.row_span) for c in range(cell.column_span)
    }
    head = num_header_rows(cells)
    rows = [
        "<tr>"
        + "".join(
            html_cell(starts.get((row, column)), write)
            for column in range(num_columns)
            if (row, column) in starts or (row, column) not in filled
        )
        + "</tr>"
        for row in range(num_rows)
    ]
    parts = [("thead", rows[:head]), ("tbody", rows[head:])]
    return "\n".join(["<table>", *(f"<{tag}>\n{chr(10).join(own)}\n</{tag}>" for tag, own in parts if own), "</table>"])


def html_cell(cell: Cell | None, write: Write) -> str:
    if cell is None:
        return "<td></td>"
    tag = "th" if cell.is_header else "td"
    rows = f' rowspan="{cell.row_span}"' if cell.row_span > 1 else ""
    columns = f' colspan="{cell.column_span}"' if cell.column_span > 1 else ""
    return f"<{tag}{rows}{columns}>{write(cell.text)}</{tag}>"


def write_csv(cells: Sequence[Cell]) -> str:
    """RFC 4180. A text that a spreadsheet would take for a formula gets an apostrophe, as OWASP advises."""
    out = io.StringIO()
    csv.writer(out).writerows([[harmless(text) for text in row] for row in rows_of(cells)])
    return out.getvalue()


def harmless(text: str) -> str:
    text = " ".join(text.split())
    is_formula = (
        text.startswith(("=", "+", "-", "@"))
        and not text.lstrip("+-").replace(",", "").replace(".", "").strip("%€$£ ").isdigit()
    )
    return f"'{text}" if is_formula and len(text) > 1 else text
