"""The regions of a page by the layout model in PyMuPDF's wheel: what stands where, and the grids of its tables.

Only the process that finds layout calls this: the models take time and memory to load. Boxes are points of the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from workers.light_pymupdf import load_models, pymupdf
from workers.reading_order import Box

LEAST_PICTURE, MOST_PICTURE = 0.01, 0.85  # of the page
MOST_WORDS = 3  # of the page's text over a picture
MOST_SHARED = 0.2  # of a picture, with a region of the model
Span = tuple[int, int, int, int]  # first row, row after the last, first column, column after the last


@dataclass(frozen=True, slots=True, kw_only=True)
class GridLines:
    """Borders of the rows and columns of a table, with its outer ones, and the cells that span several."""

    ys: tuple[float, ...]
    xs: tuple[float, ...]
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCell:
    box: Box | None
    span: Span
    is_header: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTable:
    """A table as PyMuPDF's own finder has it, from drawn rules and the model's grid."""

    box: Box
    cells: tuple[FoundCell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """`label` is the model's: text, title, section-header, list-item, table, picture, caption, formula and so on."""

    label: str
    box: Box
    grid: GridLines | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    regions: tuple[Region, ...]
    tables: tuple[FoundTable, ...] = ()


def find_regions(page: pymupdf.Page) -> Found:
    """The regions of a page that is not rotated; nothing where it has no text."""
    load_models()
    page.get_layout(return_raw=True)
    groups = page.layout_information or []
    regions = tuple(Region(label=g["class_name"], box=box_of(g["group_bbox"]), grid=grid_of(g)) for g in groups)
    regions += tuple(find_pictures(page, regions))
    has_table = any(region.label == "table" for region in regions)
    return Found(regions=regions, tables=find_tables(page) if has_table else ())


def find_pictures(page: pymupdf.Page, regions: Sequence[Region]) -> Iterator[Region]:
    """Pictures on the page that the model has no region for; none that is the page itself or a ground for text."""
    seen = [pymupdf.Rect(region.box) for region in regions]
    for picture in page.get_image_info():
        box = pymupdf.Rect(picture["bbox"]) & page.rect
        share = abs(box) / max(abs(page.rect), 1.0)
        is_apart = all(abs(box & each) < MOST_SHARED * abs(box) for each in seen)
        if LEAST_PICTURE < share < MOST_PICTURE and is_apart and len(page.get_text("words", clip=box)) <= MOST_WORDS:
            seen.append(box)
            yield Region(label="picture", box=box_of(box))


def box_of(values: Any) -> Box:
    x0, y0, x1, y1 = (float(value) for value in tuple(values)[:4])
    return x0, y0, x1, y1


def grid_of(group: dict[str, Any]) -> GridLines | None:
    """The model's grid of a table; its lines count from the corner of the table."""
    grid, cells = group.get("table_grid"), group.get("table_cells")
    if grid is None or not cells:
        return None
    x0, y0, x1, y1 = box_of(group["group_bbox"])
    ys = (y0, *(y0 + float(y) for y in grid.h_lines), y1)
    xs = (x0, *(x0 + float(x) for x in grid.v_lines), x1)
    spans = [
        (c.row_start, min(c.row_end, len(ys) - 1), c.col_start, min(c.col_end, len(xs) - 1))
        for c in cells
        if c.row_end - c.row_start > 1 or c.col_end - c.col_start > 1
    ]
    return GridLines(ys=ys, xs=xs, spans=tuple(s for s in spans if s[0] < s[1] and s[2] < s[3]))


def find_tables(page: pymupdf.Page) -> tuple[FoundTable, ...]:
    finder = page.find_tables(union=True, refine=True)
    return tuple(table_of(table) for table in finder.tables if table.placements) if finder else ()


def table_of(table: Any) -> FoundTable:
    """Rows of placed cells as HTML has them: each takes the next free columns."""
    taken: set[tuple[int, int]] = set()
    cells = []
    for row, placed in enumerate(table.placements):
        column = 0
        for cell in placed:
            while (row, column) in taken:
                column += 1
            span = (row, row + cell.rowspan, column, column + cell.colspan)
            taken.update((r, c) for r in range(*span[:2]) for c in range(*span[2:]))
            box = box_of(cell.bbox) if cell.bbox is not None else None
            cells.append(FoundCell(box=box, span=span, is_header=cell.tag == "th"))
            column += cell.colspan
    return FoundTable(box=box_of(table.bbox), cells=tuple(cells))
