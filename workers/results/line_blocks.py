"""A page as archives' formats have it: blocks, their lines as they were read, and words with boxes.

Engines give a box and a confidence for a line, and none for a word. So a word has the confidence of its line, and a
box that is interpolated: as far along the line as its characters, all taken to be equally wide.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workers.layout.blocks import Block, BlockKind, Box
from workers.results.page import PageResult, missing_text
from workers.results.xml_text import xml_text

WORD = re.compile(r"\S+")
TALL = 2.0  # times as high as wide: a line of several characters that runs downwards


@dataclass(frozen=True, slots=True)
class TextLine:
    """`box` and `confidence` (0 to 1) are None where a language model wrote the text, which gives none."""

    text: str
    box: Box | None
    confidence: float | None


@dataclass(frozen=True, slots=True)
class LineBlock:
    """`box` is None where it is not known; `figure` names the picture of a figure."""

    kind: BlockKind
    box: Box | None
    lines: list[TextLine]
    figure: str = ""


def blocks_of_page(page: PageResult) -> Iterator[LineBlock]:
    """All blocks with their lines, furniture too, in reading order; lines that no block has come last."""
    if not page.has_text:
        yield LineBlock("paragraph", None, [TextLine(missing_text(page), None, None)])
        return
    taken: set[int] = set()
    for block in page.blocks:
        places = [place for place in block.lines if 0 <= place < len(page.lines) and place not in taken]
        taken.update(places)
        lines = lines_at(page, places) or lines_of_text(block, has_lines=bool(page.lines))
        if lines or block.kind == "figure":
            yield LineBlock(block.kind, block.box or around(lines), lines, block.figure)
    if left := lines_at(page, [place for place in range(len(page.lines)) if place not in taken]):
        yield LineBlock("paragraph", around(left), left)


def lines_at(page: PageResult, places: Iterable[int]) -> list[TextLine]:
    lines = (line_of(page.lines[place]) for place in places)
    return [line for line in lines if line.text]


def line_of(record: Mapping[str, Any]) -> TextLine:
    box = record.get("box")
    return TextLine(clean(record["text"]), tuple(box) if box else None, record.get("confidence"))


def lines_of_text(block: Block, *, has_lines: bool) -> list[TextLine]:
    """The lines of a block whose page has none with boxes; else they stand elsewhere."""
    texts = [] if has_lines else [clean(line) for line in block.text.split("\n")]
    return [TextLine(text, None, None) for text in texts if text]


def clean(text: str) -> str:
    """Without what XML cannot have, and with single spaces."""
    return " ".join(xml_text(text).split())


def around(lines: list[TextLine]) -> Box | None:
    boxes = [line.box for line in lines if line.box]
    if not boxes:
        return None
    left, top, right, bottom = zip(*boxes, strict=True)
    return (min(left), min(top), max(right), max(bottom))


def words_of(line: TextLine, rotation: int) -> list[tuple[str, Box | None]]:
    """The words of a line; `rotation` is the page's, the clockwise turn that makes its text upright."""
    box, length = line.box, len(line.text)
    found = [(word[0], word.start() / length, word.end() / length) for word in WORD.finditer(line.text)]
    if box is None:
        return [(word, None) for word, _, _ in found]
    direction = direction_of(line.text, box, rotation)
    return [(word, part_of(box, start, end, direction)) for word, start, end in found]


def direction_of(text: str, box: Box, rotation: int) -> int:
    """Where a line runs to: 0 right, 90 up, 180 left, 270 down."""
    if rotation == 0 and len(text) > 1 and box[3] - box[1] > TALL * (box[2] - box[0]):
        return 270
    kinds = [unicodedata.bidirectional(letter) for letter in text if letter.isalpha()]
    is_leftwards = 2 * sum(kind in ("R", "AL") for kind in kinds) > len(kinds)
    return (rotation + (180 if is_leftwards else 0)) % 360


def part_of(box: Box, start: float, end: float, direction: int) -> Box:
    """The part of a box between two shares of its length, in the direction in which its text runs."""
    left, top, right, bottom = box
    if direction in (90, 180):
        start, end = 1 - end, 1 - start
    if direction in (0, 180):
        return (left + (right - left) * start, top, left + (right - left) * end, bottom)
    return (left, top + (bottom - top) * start, right, top + (bottom - top) * end)
