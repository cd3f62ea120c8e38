"""The layout of one page: of a PDF with its own text, or of lines that an engine read. Runs in the sandbox.

What needs no model is here too, for a page whose layout fails or takes too long: its lines as plain paragraphs.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from workers.documents.pdf import open_pdf
from workers.engines import Line
from workers.layout.blocks import PageLayout
from workers.layout.build import build
from workers.layout.bullets import with_bullets
from workers.layout.canvas import Canvas
from workers.layout.code import is_typed
from workers.layout.detect import Found, find_regions
from workers.layout.drawn import drawn_rules
from workers.layout.rules import Grey, find_bars, find_rules
from workers.layout.scan_page import LONGEST_SIDE, make_document
from workers.layout.scan_words import split_line
from workers.layout.spaces import agree_on_spaces
from workers.layout.ticks import with_ticks
from workers.layout.words import Word, holds, words_of_page
from workers.light_pymupdf import pymupdf
from workers.png import open_png

COVERED = 0.5  # of a read line's letters: then the page's own words stand for it
JPEG_QUALITY = 95
APART = 1_000_000  # added to the numbers of read lines, so that none is that of a line of the page


def warm_up() -> None:
    """Load the models and use them once, so that the first page does not wait; for `workers.sandbox`."""
    line = Line(text="warm", box=(10.0, 10.0, 60.0, 25.0), confidence=1.0)
    layout_of_lines(None, [line], width=200, height=200)


def layout_of_pdf_page(
    path: Path | str, index: int, *, width: int, height: int, password: str = "", lines: Sequence[Line] = ()
) -> PageLayout:
    """The layout of the page at this 0-based index by its own text; boxes are pixels of its image of this size.

    `lines` were read on that image: those that the page's own words are not half of come to them.
    """
    document = open_pdf(Path(path), password)
    page = document.load_page(index)
    if page.rotation == 0:
        words = with_bullets(with_ticks(words_of_page(page), page), page)
        if main_angle(words) == 0:
            canvas = canvas_of(page, width, height, 0)
            found, is_prose = find_regions(page), is_typed(words) and has_prose(document, index)
            rules = drawn_rules(page)
            return build(with_lines(words, lines, canvas), found, canvas, rules, is_prose_elsewhere=is_prose)
    return layout_of_turned_page(document, index, width, height, lines)


def has_prose(document: pymupdf.Document, index: int) -> bool:
    """Whether a page next to this one is not all in a monospaced font."""
    others = [other for other in (index - 1, index + 1) if 0 <= other < document.page_count]
    return any(words and not is_typed(words) for other in others if (words := words_of_page(document.load_page(other))))


def layout_of_turned_page(
    document: pymupdf.Document, index: int, width: int, height: int, lines: Sequence[Line]
) -> PageLayout:
    """The same on a copy of the page that is turned until its text stands upright."""
    with pymupdf.open() as copy:
        copy.insert_pdf(document, from_page=index, to_page=index, annots=True)
        page = copy.load_page(0)
        page.remove_rotation()
        turn = (360 - main_angle(words_of_page(page))) % 360
        if turn:
            page.set_rotation(turn)
            page.remove_rotation()
        page = copy.load_page(0)
        words, canvas = words_of_page(page), canvas_of(page, width, height, turn)
        return build(with_lines(words, lines, canvas), find_regions(page), canvas)


def with_lines(words: list[Word], lines: Sequence[Line], canvas: Canvas) -> list[Word]:
    """The page's own words, in points, and those of read lines that they have less than half of, none twice."""
    if not lines:
        return words
    boxes = [canvas.to_points(line.box) for line in lines]
    places = [next((i for i, box in enumerate(boxes) if holds(box, word)), -1) for word in words]
    letters = Counter[int]()
    for word, place in zip(words, places, strict=True):
        letters[place] += len(word.text)
    bare = [i for i, line in enumerate(lines) if letters[i] < COVERED * len("".join(line.text.split()))]
    own = [word for word, place in zip(words, places, strict=True) if place not in bare]
    read = words_of_lines([lines[i] for i in bare], canvas, None)
    return own + [replace(word, line=word.line + APART) for word in read]


def main_angle(words: Sequence[Word]) -> int:
    """The way that most letters of the page run."""
    letters: Counter[int] = Counter()
    for word in words:
        letters[word.angle] += len(word.text)
    return letters.most_common(1)[0][0] if letters else 0


def canvas_of(page: pymupdf.Page, width: int, height: int, turn: int) -> Canvas:
    across, down = (height, width) if turn in (90, 270) else (width, height)
    return Canvas(
        width=width, height=height, turn=turn, scale_x=across / page.rect.width, scale_y=down / page.rect.height
    )


def layout_of_lines(
    png: bytes | None, lines: Sequence[Line], *, width: int, height: int, rotation: int = 0
) -> PageLayout:
    """The layout of a page image by the lines read on it; `rotation` clockwise makes it upright."""
    scale = max(width, height) / LONGEST_SIDE
    canvas = Canvas(width=width, height=height, turn=rotation, scale_x=scale, scale_y=scale)
    image = upright_image(png, rotation)
    grey = np.asarray(image.convert("L")) if image else None
    words = words_of_lines(lines, canvas, grey)
    rules = [scaled(rule, 1 / scale) for rule in find_rules(grey)] if grey is not None else []
    bars = [scaled(bar, 1 / scale) for bar in find_bars(grey)] if grey is not None else []
    across, down = canvas.upright_size
    document = make_document(encode(image) if image else None, words, rules, across / scale, down / scale)
    with document:
        return build(words, find_regions(document.load_page(0)), canvas, rules, bars)


def upright_image(png: bytes | None, rotation: int) -> Image.Image | None:
    if png is None:
        return None
    image = open_png(png)
    return image.rotate(-rotation, expand=True) if rotation else image


def encode(image: Image.Image) -> bytes:
    """As JPEG: PyMuPDF packs any other image anew for the layout model, which takes a quarter of the model's time."""
    out = io.BytesIO()
    image.convert("L").save(out, "JPEG", quality=JPEG_QUALITY)
    return out.getvalue()


def words_of_lines(lines: Sequence[Line], canvas: Canvas, grey: Grey | None) -> list[Word]:
    """The words of read lines, in points of the upright page."""
    words = []
    for number, line in enumerate(lines):
        upright = scaled(canvas.to_points(line.box), canvas.scale_x)
        for word in split_line(line.text, upright, grey, number, line.confidence, line.doubts):
            words.append(in_points(word, canvas.scale_x))
    return agree_on_spaces(words)


def in_points(word: Word, scale: float) -> Word:
    return Word(
        text=word.text,
        box=scaled(word.box, 1 / scale),
        line=word.line,
        size=word.size / scale,
        is_glued=word.is_glued,
        confidence=word.confidence,
        is_doubted=word.is_doubted,
    )


def scaled(box: tuple[float, float, float, float], by: float) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box
    return x0 * by, y0 * by, x1 * by, y1 * by


def plain_layout(lines: Sequence[Line], *, width: int, height: int, rotation: int = 0) -> PageLayout:
    """Paragraphs of the lines by their distances alone, without a model."""
    canvas = Canvas(width=width, height=height, turn=rotation, scale_x=1.0, scale_y=1.0)
    return build(words_of_lines(lines, canvas, None), Found(regions=()), canvas)
