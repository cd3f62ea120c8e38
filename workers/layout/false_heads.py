"""What a layout model calls a heading and is none: a number, an address, half a sentence, in the type of the text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from workers.layout.blocks import Block

Pages = Sequence[Sequence[Block]]

SAME_TYPE = 1.3  # times the size of the text: the height of a read line depends on its letters
NO_HEADING = re.compile(r"[\d\W]+|(?:https?://|www\.)\S+", re.IGNORECASE)
SENTENCE_END = re.compile(r"\A[a-z][^.!?]*[.?!,;]")  # from a small letter on


def without_false_heads(pages: Pages) -> list[tuple[Block, ...]]:
    """The blocks of all pages, those headings as paragraphs."""
    size = text_size(pages)
    return [tuple(replace(b, kind="paragraph") if is_false(b, size) else b for b in blocks) for blocks in pages]


def is_false(block: Block, size: float) -> bool:
    if block.kind not in ("title", "heading") or block.markup or block.is_bold or block.size > SAME_TYPE * size:
        return False
    text = " ".join(block.text.split())
    return (NO_HEADING.fullmatch(text) or SENTENCE_END.fullmatch(text)) is not None


def text_size(pages: Pages) -> float:
    """The size of the letter in the middle of all paragraphs; 0 where there are none."""
    sizes = sorted(
        (block.size, len(block.text))
        for blocks in pages
        for block in blocks
        if block.kind in ("paragraph", "list_item")
    )
    left = sum(letters for _, letters in sizes) / 2
    for size, letters in sizes:
        left -= letters
        if left <= 0:
            return size
    return 0.0
