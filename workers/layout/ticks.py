"""The boxes of a form that can be ticked, as words beside the text that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf
from operator import itemgetter

from workers.documents.layer_text import NEAR, TickBox, distance, is_within, tick_boxes
from workers.layout.words import Word
from workers.light_pymupdf import pymupdf


def with_ticks(words: Sequence[Word], page: pymupdf.Page) -> list[Word]:
    """The words of a page that is not turned and its boxes as "[x]" and "[ ]", in place of the sign that ticks one."""
    ticks = tick_boxes(page)
    if not ticks:
        return list(words)
    rects = [pymupdf.Rect(word.box) for word in words]
    kept = [
        (word, rect)
        for word, rect in zip(words, rects, strict=True)
        if not any(is_within(rect, tick.rect) for tick in ticks)
    ]
    last = max((word.line for word in words), default=-1)
    return [word for word, _ in kept] + [tick_word(tick, kept, last + place) for place, tick in enumerate(ticks, 1)]


def tick_word(tick: TickBox, words: Sequence[tuple[Word, pymupdf.Rect]], free_line: int) -> Word:
    """In the line of the nearest word on its level, or in one of its own, `free_line`."""
    gaps = ((distance(rect, tick.rect), word) for word, rect in words)
    gap, near = min(gaps, key=itemgetter(0), default=(inf, None))
    x0, y0, x1, y1 = tick.rect
    own = Word(text=tick.text, box=(x0, y0, x1, y1), line=free_line, size=tick.rect.height)
    if near is None or gap > NEAR * tick.rect.height:
        return own
    return replace(own, line=near.line, size=near.size)
