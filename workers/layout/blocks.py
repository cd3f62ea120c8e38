"""The blocks of a page: what stands between lines of text and a document. All engines end in these.

Boxes are x0, y0, x1, y1 in pixels of the page image, y downwards, as those of `workers.engines.Line`. Places of lines
are 0-based indexes into the page's lines. What holds for every page (a property test): each line stands in exactly one
block, once, and no character is lost or invented between lines and blocks, white space aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from workers.lines import Line

Box = tuple[float, float, float, float]
BlockKind = Literal[
    "title",  # the document's
    "heading",
    "paragraph",
    "list_item",
    "table",
    "figure",  # a picture, with the text inside it
    "caption",  # of the figure or table before or after it
    "formula",
    "code",
    "footnote",
    "page_header",  # furniture: what stands on many pages and belongs to none
    "page_footer",
]
KINDS: tuple[str, ...] = get_args(BlockKind)
FURNITURE = frozenset({"page_header", "page_footer"})


def figure_name(page_number: int, number: int) -> str:
    """The name of a page's picture among the job's figures; both count from 1."""
    return f"p{page_number:03d}-{number}.png"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell of a table at its first row and column, 0-based; empty cells are left out."""

    row: int
    column: int
    text: str
    row_span: int = 1
    column_span: int = 1
    is_header: bool = False

    def to_json(self) -> dict[str, Any]:
        """A record without spans of one and without what is false."""
        record = {"row": self.row, "column": self.column, "text": self.text}
        spans = {"row_span": self.row_span, "column_span": self.column_span}
        record |= {name: span for name, span in spans.items() if span != 1}
        return record | ({"is_header": True} if self.is_header else {})

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return cls(**value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block, in the reading order of its page.

    `text` is that of its lines, a line each; for a list item without its `marker` ("-", "3.", "[x]"), for a table its
    cells by rows. The `marker` of code is its language, where a model names it. Where `markup` is "markdown" or "latex"
    the text is written in that, by a model, and is shown as such; where it is empty the text is plain and is escaped
    wherever it is shown.
    `level` counts from 1: of a heading, and the nesting of a list item. `figure` names the crop of a figure among the
    job's files ("p012-1.png"), empty where there is none. `size` is the font's, in pixels (the height of a line where
    the page is a scan), 0 where it is not known, and `is_bold` says whether most of the text is: what levels of
    headings are made of.
    """

    kind: BlockKind
    text: str
    box: Box | None = None
    lines: tuple[int, ...] = ()
    level: int = 0
    marker: str = ""
    cells: tuple[Cell, ...] = ()
    markup: Literal["", "markdown", "latex"] = ""
    figure: str = ""
    confidence: float | None = None
    size: float = 0.0
    is_bold: bool = False

    def to_json(self) -> dict[str, Any]:
        """A record without what is empty; `from_json` is the inverse."""
        record = {name: getattr(self, name) for name in self.__slots__}
        record["cells"] = [cell.to_json() for cell in self.cells]
        return {"kind": self.kind, "text": self.text} | {
            key: value for key, value in record.items() if value not in (None, (), [], "", 0, False)
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        known = dict(value)
        known["cells"] = tuple(map(Cell.from_json, known.get("cells", ())))
        known["lines"] = tuple(known.get("lines", ()))
        known["box"] = tuple(known["box"]) if known.get("box") else None
        return cls(**known)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageLayout:
    """The lines of a page, and the blocks that they make, both in reading order; pictures by their name in `figure`."""

    lines: tuple[Line, ...]
    blocks: tuple[Block, ...]
    crops: Mapping[str, bytes] = field(default_factory=dict)  # PNG
