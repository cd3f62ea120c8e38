"""Bullets that a PDF draws instead of writing them, as browsers do: dots on the left of a line, as words of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from workers.layout.words import Row, Word, pieces_of
from workers.light_pymupdf import pymupdf
from workers.reading_order import Box

BULLET = "•"
SIDES = 0.15, 0.7  # of the type's size
MOST_LONG = 1.3  # the longer side over the shorter
NEAR = 2.5  # sizes of type between a dot and its line
MOST_BYTES = 300_000  # of drawing commands: beyond that, a page is a plan or a plot
LEAST_DOTS = 2


def with_bullets(words: Sequence[Word], page: pymupdf.Page) -> list[Word]:
    """The words of a page that is not turned, and a bullet before each line that has a dot drawn on its left."""
    if not words or sum(len(page.parent.xref_stream_raw(x) or b"") for x in page.get_contents()) > MOST_BYTES:
        return list(words)
    dots = list(dots_of(page))
    if len(dots) < LEAST_DOTS:
        return list(words)
    lines = [line for line in pieces_of(words) if not line[0].angle]
    found = [bullet for line in lines if (bullet := bullet_of(line, dots, words))]
    return [*found, *words] if len(found) >= LEAST_DOTS else list(words)


def dots_of(page: pymupdf.Page) -> Iterator[Box]:
    """Small round or square shapes; a square that is drawn as a rectangle is no bullet for sure."""
    for path in page.get_cdrawings():
        x0, y0, x1, y1 = path["rect"]
        short, long = sorted((x1 - x0, y1 - y0))
        if short > 0 and long <= MOST_LONG * short and any(item[0] == "c" for item in path["items"]):
            yield x0, y0, x1, y1


def bullet_of(line: Row, dots: Sequence[Box], words: Sequence[Word]) -> Word | None:
    first = line[0]
    for x0, y0, x1, y1 in dots:
        middle, gap = (y0 + y1) / 2, first.box[0] - x1
        is_sized = SIDES[0] * first.size <= x1 - x0 <= SIDES[1] * first.size
        is_beside = 0 <= gap <= NEAR * first.size and first.box[1] <= middle <= first.box[3]
        if is_sized and is_beside and not any(is_left(word, x1, middle) for word in words):
            return replace(first, text=BULLET, box=(x0, first.box[1], x1, first.box[3]), is_bold=False, is_mono=False)
    return None


def is_left(word: Word, x: float, middle: float) -> bool:
    """Whether a word on this level begins left of `x`: then a dot is a sign within a line."""
    return word.box[1] <= middle <= word.box[3] and word.box[0] < x
