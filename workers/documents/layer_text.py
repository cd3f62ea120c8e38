"""The text a PDF has for a page, as plain text: listings keep their indentation, boxes to tick become [x] and [ ].

PyMuPDF gives the text line by line. Only a page with a monospaced font, or with a form's boxes, is looked at more
closely, for that takes a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from workers.layout.code import PITCH, code_text, empty_lines, find_code
from workers.layout.words import MONO, MONO_NAME, Row, Word, angle_of, box_of
from workers.light_pymupdf import pymupdf
from workers.line_text import EMPTY, TICKED, find_listings, indents, tidy

BASE_FONT = 3  # place in what `Page.get_fonts` gives
TICKS = (pymupdf.PDF_WIDGET_TYPE_CHECKBOX, pymupdf.PDF_WIDGET_TYPE_RADIOBUTTON)
OFF = ("Off", "", "false", False, None)  # values of a box that is not ticked
NEAR = 20.0  # sides of a box, to the line that it belongs to


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLine:
    """A line of the page: its text, and its words, or pieces of equal print, with their places in points."""

    text: str
    rect: pymupdf.Rect
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TickBox:
    rect: pymupdf.Rect
    is_ticked: bool

    @property
    def text(self) -> str:
        return TICKED if self.is_ticked else EMPTY


def text_of(page: pymupdf.Page) -> str:
    ticks = tick_boxes(page)
    has_mono = any(MONO_NAME.search(font[BASE_FONT]) for font in page.get_fonts())
    if not ticks and not has_mono:
        return "".join(tidy(line) for line in str(page.get_text("text")).splitlines(keepends=True))
    lines = lines_of(page)
    if has_mono:
        lines = with_listings(lines)
    return "".join(f"{tidy(line.text)}\n" for line in with_ticks(lines, ticks))


def tick_boxes(page: pymupdf.Page) -> list[TickBox]:
    if page.first_widget is None:
        return []
    return [
        TickBox(rect=pymupdf.Rect(widget.rect), is_ticked=widget.field_value not in OFF)
        for widget in page.widgets(types=TICKS)
    ]


def lines_of(page: pymupdf.Page) -> list[TextLine]:
    """The lines as `get_text("text")` has them."""
    blocks = page.get_text("dict", flags=pymupdf.TEXTFLAGS_TEXT)["blocks"]
    found = []
    for number, line in enumerate(line for block in blocks for line in block.get("lines", ())):
        text = "".join(span["text"] for span in line["spans"])
        words = tuple(words_of(line["spans"], number, angle_of(line["dir"])))
        found.append(TextLine(text=text, rect=pymupdf.Rect(line["bbox"]), words=words))
    return found


def words_of(spans: Sequence[dict[str, object]], line: int, angle: int) -> Iterator[Word]:
    """The spans without the spaces around them; in a monospaced font a space is as wide as a letter."""
    for span in spans:
        text, size = str(span["text"]), float(str(span["size"]))
        if not text.strip():
            continue
        x0, y0, x1, y1 = pymupdf.Rect(span["bbox"])
        letter = (x1 - x0) / len(text)
        left = x0 + letter * (len(text) - len(text.lstrip()))
        right = x1 - letter * (len(text) - len(text.rstrip()))
        is_mono = bool(int(str(span["flags"])) & MONO) or MONO_NAME.search(str(span["font"])) is not None
        box = (left, y0, right, y1)
        yield Word(text=text.strip(), box=box, line=line, size=size, is_mono=is_mono, angle=angle)


def with_listings(lines: Sequence[TextLine]) -> list[TextLine]:
    """The lines, with those of each listing indented as they stand; what stands on one row becomes one line."""
    texts: dict[int, str] = {}
    listings = find_code([word for line in lines for word in line.words])
    if not listings:
        return with_indents(lines)
    for rows in listings:
        for row, text, empty in zip(rows, code_text(rows), empty_lines(rows), strict=True):
            texts |= dict.fromkeys(places(row), "")
            texts[min(places(row))] = "\n" * empty + text
    changed = (replace(line, text=texts.get(number, line.text)) for number, line in enumerate(lines))
    return [line for number, line in enumerate(changed) if line.text or number not in texts]


def with_indents(lines: Sequence[TextLine]) -> list[TextLine]:
    """The lines of a page that is all in one font, with what looks like a program indented."""
    found = list(lines)
    steps = [below.rect.y1 - above.rect.y1 for above, below in pairwise(found)]
    is_near = [0 < step <= PITCH * line.rect.height for step, line in zip(steps, found, strict=False)]
    for listing in find_listings([line.text for line in found], [False, *is_near]):
        rows = [number for number in listing if found[number].words]
        bare = [found[number].text.strip() for number in rows]
        columns = indents([box_of(found[number].words) for number in rows], bare)
        for number, column, text in zip(rows, columns, bare, strict=True):
            found[number] = replace(found[number], text=" " * column + text)
    return found


def places(row: Row) -> set[int]:
    return {word.line for word in row}


def with_ticks(lines: Sequence[TextLine], ticks: Sequence[TickBox]) -> list[TextLine]:
    """The lines, each box beside the one that it stands nearest to; the sign of a font that ticks it is left out."""
    found = [line for line in lines if not any(is_within(line.rect, tick.rect) for tick in ticks)]
    for tick in ticks:
        near = min(found, key=lambda line: distance(line.rect, tick.rect), default=None)
        if near is None or distance(near.rect, tick.rect) > NEAR * tick.rect.height:
            found.append(TextLine(text=tick.text, rect=tick.rect))
            continue
        is_before = tick.rect.x0 < near.rect.x0
        text = f"{tick.text} {near.text}" if is_before else f"{near.text.rstrip()} {tick.text}"
        found[found.index(near)] = replace(near, text=text, rect=near.rect | tick.rect)
    return found


def is_within(rect: pymupdf.Rect, box: pymupdf.Rect) -> bool:
    x, y = (rect.x0 + rect.x1) / 2, (rect.y0 + rect.y1) / 2
    return bool(box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1 and rect.width <= 1.5 * box.width)


def distance(rect: pymupdf.Rect, box: pymupdf.Rect) -> float:
    """Between a line and a box on its level, in points; that of lines above and below is beyond all others."""
    middle = (box.y0 + box.y1) / 2
    if not rect.y0 <= middle <= rect.y1:
        return float("inf")
    return float(max(rect.x0 - box.x1, box.x0 - rect.x1, 0.0))
