"""Tables that a language model wrote as HTML, as cells."""

from __future__ import annotations

from html.parser import HTMLParser

from workers.layout.blocks import Cell

MOST_SPAN = 100  # rows or columns of one cell; no page has more
MOST_FIELDS = 20_000
LINES = frozenset({"br", "p", "div", "li", "h1", "h2", "h3", "h4", "h5", "h6"})  # in a cell: they begin and end a line


class TableReader(HTMLParser):
    """The cells of the one table that is fed; `is_alone` says whether nothing else was."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.cells: list[Cell] = []
        self.is_alone = True
        self._taken: set[tuple[int, int]] = set()
        self._row, self._depth, self._head = -1, 0, False
        self._open: dict[str, int | bool] | None = None
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._depth += 1
            self.is_alone &= self._depth == 1 and not self.cells
        elif tag == "tr":
            self._end_cell()
            self._row += 1
        elif tag in ("td", "th") and self._row >= 0:
            self._end_cell()
            self._open = self._place(tag, dict(attrs))
        elif tag in LINES:
            self._text.append("\n")
        elif tag == "thead":
            self._head = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "tr", "table"):
            self._end_cell()
        elif tag in LINES:
            self._text.append("\n")
        if tag == "thead":
            self._head = False
        self._depth -= tag == "table"

    def handle_data(self, data: str) -> None:
        if self._open is None:
            self.is_alone &= not data.strip()
        else:
            self._text.append(data)

    def _place(self, tag: str, attributes: dict[str, str | None]) -> dict[str, int | bool]:
        """A cell takes the next free column of its row."""
        column = 0
        while (self._row, column) in self._taken:
            column += 1
        rows, columns = span_of(attributes.get("rowspan")), span_of(attributes.get("colspan"))
        if len(self._taken) + rows * columns > MOST_FIELDS:
            self.is_alone = False
            rows = columns = 1
        self._taken.update((self._row + r, column + c) for r in range(rows) for c in range(columns))
        is_header = tag == "th" or self._head
        return {"row": self._row, "column": column, "row_span": rows, "column_span": columns, "is_header": is_header}

    def _end_cell(self) -> None:
        if self._open is not None:
            lines = (" ".join(line.split()) for line in "".join(self._text).split("\n"))
            text = "\n".join(filter(None, lines))
            if text:
                self.cells.append(Cell(text=text, **self._open))  # type: ignore[arg-type]
        self._open = None
        self._text = []


def span_of(value: str | None) -> int:
    return min(max(int(value), 1), MOST_SPAN) if value and value.strip().isdecimal() else 1


def read_html_table(text: str) -> tuple[Cell, ...]:
    """The cells of a text that is one table and nothing else; none where it is more, as that would be lost."""
    if not text.lstrip().lower().startswith("<table"):
        return ()
    reader = TableReader()
    reader.feed(text)
    reader.close()
    return tuple(reader.cells) if reader.is_alone else ()
