"""Writes tests/data/sample.pdf: six pages of our own prose: plain, columns, a table, blank, a scan, and an end.

Run `python -m tools.sample` to make it again; the bytes change only with PyMuPDF or Pillow.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pymupdf
from PIL import Image, ImageFilter

A4 = pymupdf.paper_rect("a4")
SAMPLE = Path(__file__).parents[1] / "tests" / "data" / "sample.pdf"
MARGIN = 64  # pt
SCAN_DPI = 150

OPENING = """\
A lighthouse keeper writes down every ship that passes. The book is plain: a date, an hour, the weather, a \
name. Nobody reads it while the weather is good. When a ship is late, the book is the first thing that \
anyone asks for.

This document is such a book in small. It has six pages and each of them is hard in its own way. One has \
columns, one has a table, one is empty, and one was laid on a scanner by a careless hand. A program that \
reads it should give back six pages, in this order, and should say of the empty page that it is empty.

Page numbers stand at the foot of every page that has text. They are printed so that a reader can see at \
once whether a page is missing or stands in the wrong place.
"""

LEFT = """\
The left column comes first. It tells how the lamp is lit. At dusk the keeper climbs ninety-two steps with \
a can of oil, trims the wick, fills the tank and winds the clockwork that turns the lens. The lens weighs \
more than two tons and floats on a ring of mercury, so that a finger can move it.

A flash is seen every ten seconds. Sailors count the dark between the flashes and know from it which light \
they see. The left column ends here.
"""

RIGHT = """\
The right column comes second. It tells how the lamp is put out. At dawn the keeper draws the curtains \
before the lens, for the sun in a lens can start a fire as well as any match. Then the brass is polished \
and the night is written into the book.

A reader that goes straight across the page mixes the lighting with the putting out, and the keeper would \
not know what to do. The right column ends here.
"""

TABLE = [
    ("Night", "Weather", "Ships", "Oil (litres)"),
    ("3 March", "Clear, light wind", "14", "8.5"),
    ("4 March", "Fog until four", "6", "9.2"),
    ("5 March", "Gale from the west", "2", "9.0"),
    ("6 March", "Rain, then clear", "11", "8.7"),
]

SCANNED = """\
LETTER TO THE HARBOUR OFFICE

Sirs, the spare lens has come in one piece and stands in the lower store. The crate was wet on one side \
but the glass is dry. I ask for four cans of oil, a new rope for the hoist, and paper for the book, of \
which there are only nine leaves left.

The winter has been long. I have seen two hundred and six ships since the first of the year, and lost none \
of them from sight before they rounded the point.
"""

CLOSING = """\
The last page is short. If you read these words at the end of the text, the pages are in order. If the \
letter to the harbour office stands just before them, the scanned page was read as well. Between the table \
and the letter there should be a note that a page is blank, and nothing else.
"""


def write(page: pymupdf.Page, rect: pymupdf.Rect, text: str, *, size: float = 12, font: str = "tiro") -> None:
    room = page.insert_textbox(rect, text.strip(), fontsize=size, fontname=font, lineheight=1.4)
    if room < 0:
        raise ValueError(f"the text does not fit in {rect}")


def add_page(document: pymupdf.Document, title: str) -> pymupdf.Page:
    page = document.new_page(width=A4.width, height=A4.height)
    page.insert_text((MARGIN, MARGIN + 12), title, fontsize=18, fontname="hebo")
    page.insert_text((A4.width / 2 - 20, A4.height - 40), f"Page {page.number + 1}", fontsize=10, fontname="helv")
    return page


def body(top: float = MARGIN + 40, left: float = MARGIN, right: float = A4.width - MARGIN) -> pymupdf.Rect:
    return pymupdf.Rect(left, top, right, A4.height - MARGIN)


def draw_table(page: pymupdf.Page, rows: Sequence[tuple[str, ...]], top: float) -> None:
    widths, height = (110, 170, 80, 107), 28
    for row_number, row in enumerate(rows):
        x, y = float(MARGIN), top + row_number * height
        for width, cell in zip(widths, row, strict=True):
            page.draw_rect(pymupdf.Rect(x, y, x + width, y + height), width=0.7)
            font = "hebo" if row_number == 0 else "helv"
            page.insert_text((x + 8, y + 19), cell, fontsize=11, fontname=font)
            x += width


def scanned_image(text: str) -> bytes:
    """A JPEG of `text` on A4 as a scanner gives it: a little crooked, soft and speckled."""
    with pymupdf.open() as document:
        page = document.new_page(width=A4.width, height=A4.height)
        write(page, body(), text, size=13, font="cour")
        page.insert_text((A4.width / 2 - 20, A4.height - 40), "Page 5", fontsize=10, fontname="cour")
        pixmap = page.get_pixmap(dpi=SCAN_DPI, colorspace=pymupdf.csGRAY)
    image = Image.frombytes("L", (pixmap.width, pixmap.height), pixmap.samples)
    image = image.rotate(0.6, resample=Image.Resampling.BICUBIC, fillcolor=255).filter(ImageFilter.GaussianBlur(0.6))
    noise = np.random.default_rng(1863).normal(0, 7, (image.height, image.width))
    grey = np.clip(np.asarray(image, dtype=np.float64) * 0.9 + 12 + noise, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "JPEG", quality=55, dpi=(SCAN_DPI, SCAN_DPI))
    return buffer.getvalue()


def make_sample() -> pymupdf.Document:
    document = pymupdf.open()
    write(add_page(document, "The Keeper's Book"), body(), OPENING)
    columns = add_page(document, "Two Columns")
    middle = A4.width / 2
    write(columns, body(right=middle - 14), LEFT, size=11)
    write(columns, body(left=middle + 14), RIGHT, size=11)
    nights = add_page(document, "Four Nights in March")
    write(nights, body(), "What the book says of one week in spring:")
    draw_table(nights, TABLE, top=MARGIN + 80)
    document.new_page(width=A4.width, height=A4.height)
    scan = document.new_page(width=A4.width, height=A4.height)
    scan.insert_image(scan.rect, stream=scanned_image(SCANNED))
    write(add_page(document, "The End"), body(), CLOSING)
    document.set_metadata({"title": "The Keeper's Book", "author": "Pagefan", "creationDate": "D:20261121000000Z"})
    return document


if __name__ == "__main__":
    with make_sample() as made:
        made.save(SAMPLE, garbage=4, deflate=True, no_new_id=True)
