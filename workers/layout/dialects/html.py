"""Tables that a language model wrote as HTML, as cells."""

from __future__ import annotations

from workers.layout.blocks import Cell
from workers.layout.dialects.tags import Tag, pieces

MOST_SPAN = 100  # rows or columns of one cell; no page has more
MOST_FIELDS = 20_000
LINES = frozenset({"br", "p", "div", "li", "h1", "h2", "h3", "h4", "h5", "h6"})  # in a cell: they begin and end a line


class TableReader:
    """The cells of the one table that is fed, and `loose`, the texts that stand in none.

    `is_alone` says that there was no second table, and none in a cell.
    """

    def __init__(self) -> None:
        self.cells: list[Cell] = []
        self.loose: list[str] = []
        self.is_alone = True
        self._taken: set[tuple[int, int]] = set()
        self._row, self.depth, self._head = -1, 0, False
        self._next = 0  # column of the row, before which all are taken
        self._open: dict[str, int | bool] | None = None
        self._text: list[str] = []

    def feed(self, text: str) -> None:
        """Take a whole text; a cell that is not closed ends with it."""
        for piece in pieces(text):
            self.take(piece)
        self.close()

    def take(self, piece: Tag | str) -> None:
        if isinstance(piece, str):
            self._say(piece)
        elif piece.is_end:
            self._end_tag(piece.name)
        else:
            self._start_tag(piece)

    def close(self) -> None:
        self._end_cell()

    @property
    def is_open(self) -> bool:
        return self.depth > 0

    def _start_tag(self, tag: Tag) -> None:
        if tag.name == "table":
            self.depth += 1
            self.is_alone &= self.depth == 1 and not self.cells
        elif tag.name == "tr":
            self._end_cell()
            self._row, self._next = self._row + 1, 0
        elif tag.name in ("td", "th"):
            self._end_cell()
            self._row = max(self._row, 0)
            self._open = self._place(tag)
        elif tag.name in LINES:
            self._text.append("\n")
        elif tag.name == "thead":
            self._head = True
        elif tag.name in ("img", "input"):
            self._say(shown(tag))

    def _say(self, text: str) -> None:
        (self.loose if self._open is None else self._text).append(text)

    def _end_tag(self, name: str) -> None:
        if name in ("td", "th", "tr", "table"):
            self._end_cell()
        elif name in LINES:
            self._text.append("\n")
        if name == "thead":
            self._head = False
        self.depth -= name == "table"

    def _place(self, tag: Tag) -> dict[str, int | bool]:
        """A cell takes the next free column of its row."""
        column = self._next
        while (self._row, column) in self._taken:
            column += 1
        rows, columns = span_of(tag.value("rowspan")), span_of(tag.value("colspan"))
        if len(self._taken) + rows * columns > MOST_FIELDS:
            self.is_alone = False
            rows = columns = 1
        self._taken.update((self._row + r, column + c) for r in range(rows) for c in range(columns))
        self._next = column + columns
        is_header = tag.name == "th" or self._head
        return {"row": self._row, "column": column, "row_span": rows, "column_span": columns, "is_header": is_header}

    def _end_cell(self) -> None:
        if self._open is not None:
            lines = (" ".join(line.split()) for line in "".join(self._text).split("\n"))
            text = "\n".join(filter(None, lines))
            if text:
                self.cells.append(Cell(text=text, **self._open))  # type: ignore[arg-type]
        self._open = None
        self._text = []


def span_of(value: str) -> int:
    return min(max(int(value), 1), MOST_SPAN) if value.strip().isdecimal() and len(value) < 10 else 1


def shown(tag: Tag) -> str:
    """What an image says, or whether a box is ticked."""
    if tag.name == "img":
        return f" {tag.value('alt')} "
    is_box = tag.value("type") in ("checkbox", "radio")
    return f" [{'x' if tag.has('checked') else ' '}] " if is_box else f" {tag.value('value')} "


def read_html_table(text: str) -> tuple[Cell, ...]:
    """The cells of a text that is one table and nothing else; none where it is more, as that would be lost."""
    if not text.lstrip().lower().startswith("<table"):
        return ()
    reader = TableReader()
    reader.feed(text)
    is_all = reader.is_alone and not "".join(reader.loose).strip()
    return tuple(reader.cells) if is_all else ()
