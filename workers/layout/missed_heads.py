"""Headings that a layout model takes for text, such as one at the foot of its page: they are in the type of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from workers.layout.blocks import Block
from workers.layout.false_heads import PROMPT, text_size

Pages = Sequence[Sequence[Block]]

SAME_SIZE = 1.03
LARGER = 1.1  # times the size of the text; bold text of that size is no heading for sure
MOST_LETTERS = 100
NO_END = ".,;:"


def with_missed_heads(pages: Pages) -> list[tuple[Block, ...]]:
    """The blocks of all pages; single bold lines in the type of the document's headings are headings too."""
    least = LARGER * text_size(pages)
    heads = {
        block.size
        for blocks in pages
        for block in blocks
        if block.kind == "heading" and block.is_bold and not block.markup and block.size >= least > 0
    }
    return [tuple(replace(b, kind="heading") if is_missed(b, heads) else b for b in blocks) for blocks in pages]


def is_missed(block: Block, heads: set[float]) -> bool:
    text = block.text.strip()
    if block.kind != "paragraph" or block.markup or not block.is_bold or "\n" in text or len(text) > MOST_LETTERS:
        return False
    is_alike = any(head / SAME_SIZE <= block.size <= head * SAME_SIZE for head in heads)
    return is_alike and any(map(str.isalpha, text)) and text[-1] not in NO_END and not PROMPT.fullmatch(text)
