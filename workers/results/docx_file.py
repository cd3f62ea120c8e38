"""The document as a Word file: headings, paragraphs, lists, tables with their spans, and figures as pictures.

It is loaded only where somebody asks for a Word file, for python-docx and lxml take 20 MB of memory. They keep the
whole document there. Numbers of lists are written as the page has them; Word would count by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from io import BytesIO
from itertools import chain
from typing import IO, Any

import docx
from docx.enum.style import WD_STYLE_TYPE
from docx.image.exceptions import InvalidImageStreamError, UnexpectedEndOfFileError, UnrecognizedImageError
from docx.image.image import Image
from docx.oxml import OxmlElement
from docx.shared import Pt

from workers.documents.text_layer import TEXT_LAYER
from workers.layout.blocks import Block, Cell
from workers.results.flow import Flowed, Item, flow
from workers.results.grid import num_header_rows, size_of
from workers.results.items import TICK, mark_of
from workers.results.outline import Outline, with_outline
from workers.results.page import PageResult, missing_text
from workers.results.plain import Run, runs_of
from workers.results.xml_text import xml_text

Pictures = Callable[[str], bytes | None]  # a figure's PNG by its name, None where it is gone

DEEPEST_HEADING = 9  # of Word
DEEPEST_LIST = 3  # of the styles in python-docx's template
MOST_COLUMNS = 63  # of Word
LEAST_SHARE = 0.05  # of the width of the text, for a picture
OWN_STYLES = {"Code": ("Courier New", 9), "Footnote": ("", 8), "Formula": ("Cambria Math", 11)}  # font and points
STYLES = {"caption": "Caption", "footnote": "Footnote", "formula": "Formula", "code": "Code", "title": "Title"}
BAD_PICTURES = (InvalidImageStreamError, UnexpectedEndOfFileError, UnrecognizedImageError)


def write_docx(name: str, pages: Iterable[PageResult], outline: Outline, pictures: Pictures, out: IO[bytes]) -> None:
    """Write the document; the pages come in order, and `outline` is of the same pages."""
    has_title = any(kind == "title" for kind, _ in chain.from_iterable(outline.settled.values()))
    writer = DocxWriter(name, pictures, levels_above=1 if has_title else 0)
    for flowed in flow(with_outline(pages, outline), compounds=outline.compounds):
        writer.add_page(flowed)
    writer.document.save(out)


class DocxWriter:
    """The document so far. `levels_above` are those of the title, which is no heading here."""

    def __init__(self, name: str, pictures: Pictures, *, levels_above: int) -> None:
        self.document = docx.Document()
        properties = self.document.core_properties
        properties.title, properties.author, properties.comments = xml_text(name)[:255], "", ""
        properties.created = properties.modified = datetime.now(UTC)
        for style, (font, points) in OWN_STYLES.items():
            made = self.document.styles.add_style(style, WD_STYLE_TYPE.PARAGRAPH)
            made.font.name, made.font.size = font or None, Pt(points)
        self._styles = {style.name: style.style_id for style in self.document.styles}
        self._pictures = pictures
        self._levels_above = levels_above

    def add_page(self, flowed: Flowed) -> None:
        page = flowed.page
        if not page.has_text:
            self._add_text([Run(missing_text(page))], "Intense Quote")
        for item in flowed.items:
            self._add(item, page)

    def _add(self, item: Item, page: PageResult) -> None:
        block = item.block
        match block.kind:
            case "table" if block.cells and size_of(block.cells)[1] <= MOST_COLUMNS:
                self._add_table(block)
            case "figure" | "formula" if block.figure:
                self._add_figure(item, page)
            case "heading":
                level = min(max(1, block.level - self._levels_above), DEEPEST_HEADING)
                self._add_text(runs_of(block, " ".join(item.text.split())), f"Heading {level}")
            case "list_item":
                self._add_list_item(item)
            case kind:
                self._add_text(runs_of(block, item.text), STYLES.get(kind, "Normal"))

    def _add_text(self, runs: Iterable[Run], style: str) -> None:
        runs = list(runs)
        if any(run.text.strip() for run in runs):
            paragraph = self.document.add_paragraph()
            if style != "Normal":
                paragraph._p.style = self._styles[style]  # by its id: half the time goes into looking styles up
            fill(paragraph, runs)

    def _add_list_item(self, item: Item) -> None:
        """With a bullet of Word's, or else with its own mark."""
        block = item.block
        depth = min(max(block.level, 1), DEEPEST_LIST)
        is_bullet = mark_of(block.marker) == "-"
        mark = {"": "", "[ ]": "☐\t"}.get(block.marker, "☑\t" if TICK.fullmatch(block.marker) else f"{block.marker}\t")
        style = "List Bullet" if is_bullet else "List"
        runs = [*([] if is_bullet else [Run(mark)]), *runs_of(block, item.text)]
        self._add_text(runs, style if depth == 1 else f"{style} {depth}")

    def _add_figure(self, item: Item, page: PageResult) -> None:
        """The picture, as wide as it is on its page; what was read in it follows unless it is the PDF's own text."""
        data = self._pictures(item.block.figure)
        section = self.document.sections[0]
        room = section.page_width - section.left_margin - section.right_margin
        box, has_picture = item.block.box, is_picture(data)
        share = (box[2] - box[0]) / page.width if box and page.width else 1.0
        if has_picture:
            self.document.add_picture(BytesIO(data or b""), width=int(room * min(max(share, LEAST_SHARE), 1.0)))
        if not has_picture or page.engine != TEXT_LAYER:
            self._add_text(runs_of(item.block, item.text), "Normal")

    def _add_table(self, block: Block) -> None:
        num_rows, num_columns = size_of(block.cells)
        table = self.document.add_table(num_rows, num_columns, "Table Grid")
        fields = {(r, c): field for r, row in enumerate(table.rows) for c, field in enumerate(row.cells)}
        taken: dict[tuple[int, int], Any] = {}
        for cell in block.cells:
            fill_cell(block, cell, fields, taken)
        for row in list(table.rows)[: num_header_rows(block.cells)]:
            row._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))
        self.document.add_paragraph()  # Word joins tables with nothing between them


def is_picture(data: bytes | None) -> bool:
    try:
        Image.from_blob(data or b"")
    except BAD_PICTURES:
        return False
    return True


def fill_cell(block: Block, cell: Cell, fields: dict[tuple[int, int], Any], taken: dict[tuple[int, int], Any]) -> None:
    """Put a cell's text into its fields, as one; where another has one of them, only into the first."""
    first = (cell.row, cell.column)
    area = [(cell.row + r, cell.column + c) for r in range(cell.row_span) for c in range(cell.column_span)]
    runs = [Run(run.text, run.is_bold or cell.is_header, run.is_italic) for run in runs_of(block, cell.text)]
    if first in taken:
        fill(taken[first].add_paragraph(), runs)
        return
    if any(place in taken for place in area):
        area = [first]
    field = fields[first] if len(area) == 1 else fields[first].merge(fields[area[-1]])
    taken.update(dict.fromkeys(area, field))
    fill(field.paragraphs[0], runs)


def fill(paragraph: Any, runs: Iterable[Run]) -> None:
    for run in runs:
        made = paragraph.add_run(xml_text(run.text))
        made.bold, made.italic = run.is_bold or None, run.is_italic or None
