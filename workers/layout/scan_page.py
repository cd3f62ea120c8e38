"""A page of a PDF made of a page image and the words read on it, for the layout model to look at.

The model wants text with places and a picture. Words are written without colour over the image, at their places, and
rules that were found in the image are drawn, so that tables are found as on a page that has them as lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from workers.layout.columns import is_gap
from workers.layout.words import Row, Word, box_of, pieces_of, text_of_row
from workers.light_pymupdf import pymupdf
from workers.reading_order import Box

LONGEST_SIDE = 842.0  # points, A4: the model was made for pages of about that size
FONT = "helv"
FONT_SIZE = 0.65  # of the height of a read line's box, which is larger than its type
BASELINE = 0.22  # of that height, from its lower edge
APART = 0.7  # heights between two words that are written apart, as cells are


def make_document(
    picture: bytes | None, words: Sequence[Word], rules: Sequence[Box], width: float, height: float
) -> pymupdf.Document:
    """A document of one page of `width` x `height` points."""
    document = pymupdf.open()
    page = document.new_page(width=width, height=height)
    if picture is not None:
        page.insert_image(page.rect, stream=picture)
    page.insert_font(fontname=FONT)
    content = [draw_rule(rule, height) for rule in rules]
    content += ["BT 3 Tr", *(draw_run(run, height) for run in runs_of(words)), "ET"]
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


def runs_of(words: Sequence[Word]) -> list[Row]:
    """The lines cut at wide gaps: the model takes lines torn into words for titles, and runs for text and cells."""
    runs: list[Row] = []
    for line in pieces_of(words):
        runs.append([line[0]])
        for before, after in pairwise(line):
            if is_apart(before, after):
                runs.append([])
            runs[-1].append(after)
    return runs


def is_apart(before: Word, after: Word) -> bool:
    gap = (after.box[0] - before.box[2]) / (before.box[3] - before.box[1])
    return gap > APART or is_gap(before, after)


def draw_run(run: Row, height: float) -> str:
    x0, y0, x1, y1 = box_of(run)
    text = text_of_row(run).encode("latin-1", "replace").decode("latin-1")
    size = max(y1 - y0, 1.0) * FONT_SIZE
    natural = pymupdf.get_text_length(text, fontname=FONT, fontsize=size) or size
    baseline = height - y1 + BASELINE * (y1 - y0)
    escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)").replace("\r", " ").replace("\n", " ")
    return (
        f"/{FONT} {size:.2f} Tf {100 * max(x1 - x0, 1.0) / natural:.2f} Tz "
        f"1 0 0 1 {x0:.2f} {baseline:.2f} Tm ({escaped}) Tj"
    )
