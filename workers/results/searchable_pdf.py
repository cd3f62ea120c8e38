"""The document as PDF with what was read as an invisible text layer, to be searched and selected in a viewer.

Runs in a process of `workers.sandbox`, for it opens the source. A PDF keeps its pages as they are; images become pages.
Text lies where the engine saw it or, from engines that give no places, line by line from the top of the page.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from workers.documents.kinds import DocumentLimits, Kind
from workers.documents.layer_text import text_of
from workers.documents.open import open_reader
from workers.documents.pdf import open_own_pdf
from workers.documents.text_layer import is_healthy, recall
from workers.light_pymupdf import pymupdf
from workers.results.image_page import add_image
from workers.results.invisible_font import add_font, add_object, encode, text_width

logger = logging.getLogger(__name__)

Record = Mapping[str, Any]  # a page as workers.results.page.page_record has it

FONT = "PagefanText"
FLUSH_PAGES = 32  # after which MuPDF forgets the images that it has met
FLUSH_BYTES = 32_000_000  # of images in memory at once
OWN_TEXT_SHARE = 0.5  # of what was read: a sound text layer that has as much is left alone
BLOCK_SIZE = 12  # pt, largest height of a line whose place is not known
BLOCK_MARGIN = 0.05  # of the page's sides


def write(source: Path, pages: Path, out: Path, *, password: str, limits: DocumentLimits) -> None:
    """Write `out` from the source and from `pages`, a file of one page record a line, in page order.

    Raises DocumentError for a source that cannot be opened.
    """
    kind, _ = open_reader(source)
    with pages.open(encoding="utf-8") as lines:
        records: Iterator[Record] = map(json.loads, lines)
        if kind == "pdf":
            write_pages(source, [int(record["page_number"]) - 1 for record in records], out, password)
            lines.seek(0)
            add_text_layers(out, map(json.loads, lines))
        else:
            write_images(source, kind, records, out, limits)


def write_pages(source: Path, indexes: list[int], out: Path, password: str) -> None:
    """A copy with these pages only, repaired where it was damaged, and without a password."""
    with open_own_pdf(source, password) as document:
        if indexes != list(range(document.page_count)):
            document.select(indexes)
        document.save(out, garbage=1, encryption=pymupdf.PDF_ENCRYPT_NONE)


def add_text_layers(path: Path, records: Iterable[Record]) -> None:
    with pymupdf.open(path, filetype="pdf") as document:
        font = add_font(document)
        for position, record in enumerate(records):
            try:
                page = document.load_page(position)
                if not has_own_text(page, record["text"]):
                    add_text(page, record, font)
                if position % FLUSH_PAGES == 0:
                    pymupdf.TOOLS.store_shrink(100)  # else images it has met stay, up to 256 MiB
            except Exception:  # MuPDF raises many kinds at damaged pages, which stay as they are
                logger.warning("page %d gets no text layer", record["page_number"], exc_info=True)
        document.save(path, incremental=True, encryption=pymupdf.PDF_ENCRYPT_KEEP)


def has_own_text(page: pymupdf.Page, text: str) -> bool:
    layer = text_of(page)
    return is_healthy(layer) and recall(text, layer) >= OWN_TEXT_SHARE


def write_images(source: Path, kind: Kind, records: Iterable[Record], out: Path, limits: DocumentLimits) -> None:
    """A PDF of the source's images; what is done goes to disk now and then, so that memory stays flat."""
    document, font, held = pymupdf.open(), 0, 0
    for record in records:
        font = font or add_font(document)
        page, num_bytes = add_image(document, source, kind, record, limits)
        add_text(page, record, font)
        held += num_bytes
        if held > FLUSH_BYTES:
            document, held = put_down(document, out), 0
    put_down(document, out).close()


def put_down(document: pymupdf.Document, out: Path) -> pymupdf.Document:
    """The document, written to disk and opened again from there."""
    if out.exists():
        document.save(out, incremental=True, encryption=pymupdf.PDF_ENCRYPT_KEEP)
    else:
        document.save(out, deflate=True, use_objstms=True)
    document.close()
    return pymupdf.open(out, filetype="pdf")


def add_text(page: pymupdf.Page, record: Record, font: int) -> None:
    """Put the record's text over the page, invisible."""
    lines = list(placed_lines(page, record) if record["lines"] else block_lines(page, record["text"]))
    if not lines:
        return
    to_pdf = seen_to_pdf(page)
    shown = (show_line(text, matrix * to_pdf) for text, matrix in lines)
    stream = f"q BT /{FONT} 1 Tf 3 Tr\n{''.join(shown)}ET Q".encode()
    page.wrap_contents()
    document = page.parent
    enter_font(document, page.xref, font)
    content = add_object(document, "<<>>", stream)
    contents = " ".join(f"{number} 0 R" for number in (*page.get_contents(), content))
    document.xref_set_key(page.xref, "Contents", f"[{contents}]")


def seen_to_pdf(page: pymupdf.Page) -> pymupdf.Matrix:
    """From points of the page as it is seen to the page's own space: Rotate, CropBox and UserUnit undone.

    PyMuPDF's own `transformation_matrix` forgets the CropBox of a page that is turned.
    """
    to_seen = pymupdf.mupdf.FzMatrix()
    pymupdf.mupdf.pdf_page_transform(page._pdf_page(), pymupdf.mupdf.FzRect(), to_seen)
    return ~pymupdf.Matrix(to_seen)


def show_line(text: str, matrix: pymupdf.Matrix) -> str:
    return f"{' '.join(f'{value:.4f}' for value in matrix)} Tm <{encode(text).hex()}> Tj\n"


def placed_lines(page: pymupdf.Page, record: Record) -> Iterator[tuple[str, pymupdf.Matrix]]:
    """Each line with the matrix that stretches text of size 1 to the line's box on the page as it is seen."""
    across, down = page.rect.width / record["width"], page.rect.height / record["height"]
    for line in record["lines"]:
        x0, y0, x1, y1 = line["box"]
        box = pymupdf.Rect(x0 * across, y0 * down, x1 * across, y1 * down)
        if line["text"].strip() and box.is_valid and not box.is_empty:
            yield line["text"], line_matrix(line["text"], box, record["rotation"])


def line_matrix(text: str, box: pymupdf.Rect, rotation: int) -> pymupdf.Matrix:
    """`rotation` is the clockwise turn that makes the text upright: before it, text runs the other way round."""
    along, up, start = {
        0: ((1, 0), (0, -1), (box.x0, box.y1)),
        90: ((0, -1), (-1, 0), (box.x1, box.y1)),
        180: ((-1, 0), (0, 1), (box.x1, box.y0)),
        270: ((0, 1), (1, 0), (box.x0, box.y0)),
    }[rotation % 360]
    length, height = (box.width, box.height) if along[0] else (box.height, box.width)
    stretch, rise = length / text_width(text), 0.2 * height  # a fifth of a line is below the letters' feet
    return pymupdf.Matrix(
        along[0] * stretch, along[1] * stretch, up[0] * height, up[1] * height,
        start[0] + up[0] * rise, start[1] + up[1] * rise,
    )  # fmt: skip


def block_lines(page: pymupdf.Page, text: str) -> Iterator[tuple[str, pymupdf.Matrix]]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    left, top = BLOCK_MARGIN * page.rect.width, BLOCK_MARGIN * page.rect.height
    size = min(BLOCK_SIZE, (page.rect.height - 2 * top) / max(1, len(lines)))
    for row, line in enumerate(lines):
        width = min(size * text_width(line), page.rect.width - 2 * left)
        yield line, line_matrix(line, pymupdf.Rect(left, top + row * size, left + width, top + (row + 1) * size), 0)


def enter_font(document: pymupdf.Document, page: int, font: int) -> None:
    """Name the font in the page's resources, which may be the page's own, shared, or inherited."""
    holder = page
    while (found := document.xref_get_key(holder, "Resources"))[0] == "null":
        kind, parent = document.xref_get_key(holder, "Parent")
        if kind != "xref":
            found = ("dict", "<<>>")
            break
        holder = reference(parent)
    if holder != page or found[0] == "null":
        document.xref_set_key(page, "Resources", found[1])
    place, path = (reference(found[1]), "") if found[0] == "xref" else (page, "Resources/")
    kind, fonts = document.xref_get_key(place, f"{path}Font")
    if kind == "xref":
        document.xref_set_key(reference(fonts), FONT, f"{font} 0 R")
    else:
        document.xref_set_key(place, f"{path}Font/{FONT}", f"{font} 0 R")


def reference(value: str) -> int:
    return int(value.split()[0])
