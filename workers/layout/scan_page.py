"""A page of a PDF made of a page image and the words read on it, for the layout model to look at.

The model wants text with places and a picture. Words are written without colour over the image, at their places, and
rules that were found in the image are drawn, so that tables are found as on a page that has them as lines.
"""

from __future__ import annotations

from collections.abc import Sequence

from workers.layout.words import Word
from workers.light_pymupdf import pymupdf
from workers.reading_order import Box

LONGEST_SIDE = 842.0  # points, A4: the model was made for pages of about that size
FONT, UNIT = "helv", 1000.0
BASELINE = 0.22  # of a line's height, from its lower edge


def make_document(
    png: bytes | None, words: Sequence[Word], rules: Sequence[Box], width: float, height: float
) -> pymupdf.Document:
    """A document of one page of `width` x `height` points."""
    document = pymupdf.open()
    page = document.new_page(width=width, height=height)
    if png is not None:
        page.insert_image(page.rect, stream=png)
    page.insert_font(fontname=FONT)
    content = [draw_rule(rule, height) for rule in rules]
    content += ["BT 3 Tr", *(draw_word(word, height) for word in words), "ET"]
    xref = document.get_new_xref()
    document.update_object(xref, "<<>>")
    document.update_stream(xref, "\n".join(content).encode("latin-1"))
    page.set_contents(join_contents(document, page, xref))
    return document


def join_contents(document: pymupdf.Document, page: pymupdf.Page, xref: int) -> int:
    """One stream of what the page has and of `xref`."""
    before = page.read_contents()
    document.update_stream(xref, b"q\n" + before + b"\nQ\n" + document.xref_stream(xref))
    return xref


def draw_rule(rule: Box, height: float) -> str:
    x0, y0, x1, y1 = rule
    return f"0 g {x0:.2f} {height - y1:.2f} {max(x1 - x0, 0.5):.2f} {max(y1 - y0, 0.5):.2f} re f"


def draw_word(word: Word, height: float) -> str:
    x0, _, x1, y1 = word.box
    text = word.text.encode("latin-1", "replace").decode("latin-1")
    size = max(word.box[3] - word.box[1], 1.0) * 0.8
    natural = pymupdf.get_text_length(text, fontname=FONT, fontsize=size) or size
    baseline = height - y1 + BASELINE * (word.box[3] - word.box[1])
    escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)").replace("\r", " ").replace("\n", " ")
    return (
        f"/{FONT} {size:.2f} Tf {100 * max(x1 - x0, 1.0) / natural:.2f} Tz "
        f"1 0 0 1 {x0:.2f} {baseline:.2f} Tm ({escaped}) Tj"
    )
