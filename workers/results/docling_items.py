"""Records of a DoclingDocument, as version 1.1.0 of its schema has them: docling-core reads it from 2.20 on.

That schema refuses keys it does not know on an item, labels it does not know, and items without a parent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workers.layout.blocks import Block, Box, Cell
from workers.results.flow import Item
from workers.results.grid import num_header_rows, size_of
from workers.results.items import NUMBER, TICK
from workers.results.page import PageResult
from workers.results.plain import plain_text

Record = dict[str, Any]
Sizes = Mapping[int, tuple[int, int]]  # width and height of the pages, in pixels, by their numbers

BODY = "#/body"
LABELS = {
    "title": "title",
    "heading": "section_header",
    "paragraph": "text",
    "table": "text",  # one whose cells are not known
    "caption": "caption",
    "formula": "formula",
    "code": "code",
    "footnote": "footnote",
    "page_header": "page_header",
    "page_footer": "page_footer",
}
MOST_LEVELS = 100
LANGUAGES = (
    "Bash", "C", "C#", "C++", "CSS", "Dart", "Elixir", "Erlang", "Go", "HTML", "Haskell", "Java", "JavaScript", "Julia",
    "Kotlin", "Lisp", "Lua", "PHP", "Pascal", "Perl", "Prolog", "Python", "Ruby", "Rust", "SQL", "Scala", "Swift",
    "TypeScript", "XML", "YAML",
)  # fmt: skip
KNOWN = {name.lower(): name for name in LANGUAGES} | {
    "cpp": "C++", "cs": "C#", "csharp": "C#", "golang": "Go", "js": "JavaScript", "py": "Python", "rb": "Ruby",
    "rs": "Rust", "sh": "Bash", "shell": "Bash", "ts": "TypeScript", "yml": "YAML",
}  # fmt: skip


def node(ref: str, parent: str, layer: str = "body") -> Record:
    return {"self_ref": ref, "parent": {"$ref": parent}, "children": [], "content_layer": layer}


def text_record(ref: str, parent: str, layer: str, label: str, item: Item, sizes: Sizes) -> Record:
    """`text` is without the marks of Markdown; `orig` is what was read."""
    text = plain_text(item.block, item.text)
    record = node(ref, parent, layer)
    return record | {"label": label, "orig": item.text, "text": text, "prov": places(item, sizes, len(text))}


def list_values(block: Block) -> tuple[str, Record]:
    """The label of a list item and what else its record has; boxes to tick have labels of their own."""
    if TICK.fullmatch(block.marker):
        return ("checkbox_unselected" if block.marker == "[ ]" else "checkbox_selected"), {}
    return "list_item", {"enumerated": bool(NUMBER.fullmatch(block.marker)), "marker": block.marker or "-"}


def code_values(block: Block) -> Record:
    language = KNOWN.get(block.marker.strip().lower(), "unknown")
    return {"code_language": language, "captions": [], "references": [], "footnotes": []}


def floating_record(ref: str, label: str, item: Item, sizes: Sizes) -> Record:
    """A picture or a table, without its data."""
    names = ("captions", "references", "footnotes")
    return node(ref, BODY) | {"label": label, "prov": places(item, sizes, 0)} | {name: [] for name in names}


def table_data(block: Block) -> Record:
    """The cells, and the same as a grid in which a cell stands in each of its fields, for those who read only that."""
    num_rows, num_columns = size_of(block.cells)
    head = num_header_rows(block.cells)
    cells = [cell_record(cell, plain_text(block, cell.text), is_column=cell.row < head) for cell in block.cells]
    fields = {
        (row, column): record
        for record in reversed(cells)
        for row in range(record["start_row_offset_idx"], record["end_row_offset_idx"])
        for column in range(record["start_col_offset_idx"], record["end_col_offset_idx"])
    }
    empty = (Cell(row=row, column=column, text="") for row in range(num_rows) for column in range(num_columns))
    places = [fields.get((cell.row, cell.column)) or cell_record(cell, "", is_column=False) for cell in empty]
    grid = [places[row * num_columns : (row + 1) * num_columns] for row in range(num_rows)]
    return {"table_cells": cells, "num_rows": num_rows, "num_cols": num_columns, "grid": grid}


def cell_record(cell: Cell, text: str, *, is_column: bool) -> Record:
    """`is_column` says of a header whether it is that of columns; else it is that of its row. Ends are exclusive."""
    return {
        "text": text,
        "row_span": cell.row_span,
        "col_span": cell.column_span,
        "start_row_offset_idx": cell.row,
        "end_row_offset_idx": cell.row + cell.row_span,
        "start_col_offset_idx": cell.column,
        "end_col_offset_idx": cell.column + cell.column_span,
        "column_header": cell.is_header and is_column,
        "row_header": cell.is_header and not is_column,
        "row_section": False,
    }


def places(item: Item, sizes: Sizes, num_chars: int) -> Sequence[Record]:
    """One for each page and column; the whole page where no box is known, for the schema wants one."""
    starts = [min(place.start, num_chars) for place in item.places]
    ends = [*starts[1:], num_chars]
    return [
        place_record(place.page_number, within(place.box, sizes[place.page_number]), (start, max(start, end)))
        for place, start, end in zip(item.places, starts, ends, strict=True)
    ]


def within(box: Box | None, size: tuple[int, int]) -> Box:
    """The part of the box that is on the page."""
    width, height = size
    left, top, right, bottom = box or (0, 0, width, height)
    return (min(max(left, 0), width), min(max(top, 0), height), min(max(right, 0), width), min(max(bottom, 0), height))


def place_record(page_number: int, box: Sequence[float], span: tuple[int, int]) -> Record:
    left, top, right, bottom = box
    sides = {"l": left, "t": top, "r": right, "b": bottom}
    return {"page_no": page_number, "bbox": sides | {"coord_origin": "TOPLEFT"}, "charspan": list(span)}


def page_record(page: PageResult) -> Record:
    return {"page_no": page.page_number, "size": {"width": page.width, "height": page.height}}
