"""What a layout model calls a heading and is none: a number, an address, half a sentence, in the type of the text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

from workers.layout.blocks import Block
from workers.layout.headings import TOP, is_run_in, number_depth

Pages = Sequence[Sequence[Block]]

SAME_TYPE = 1.3  # times the size of the text: the height of a read line depends on its letters
NO_HEADING = re.compile(r"[\d\W]+|(?:https?://|www\.)\S+", re.IGNORECASE)
PROMPT = re.compile(r"(?:[A-Za-z]{0,7}>{1,3}|\$|In \[\d*\]:) \S.*")  # R's, Python's, a shell's
MIN_NUMBERED = 3  # headings, of a document whose sections are numbered
SENTENCE_END = re.compile(r"\A[a-z][^.!?]*[.?!,;]")  # from a small letter on


def without_false_heads(pages: Pages) -> list[tuple[Block, ...]]:
    """The blocks of all pages, those headings as paragraphs."""
    size = text_size(pages)
    heads = [block for blocks in pages for block in blocks if block.kind == "heading"]
    is_numbered = sum(number_depth(block.text) > 0 for block in heads) >= MIN_NUMBERED
    return [
        tuple(
            replace(b, kind="paragraph") if is_false(b, size) or (is_numbered and is_label(b, after)) else b
            for b, after in zip_longest(blocks, blocks[1:])
        )
        for blocks in pages
    ]


def is_false(block: Block, size: float) -> bool:
    if block.kind not in ("title", "heading") or block.markup:
        return False
    text = " ".join(block.text.split())
    if PROMPT.fullmatch(text):
        return True
    if block.is_bold or block.size > SAME_TYPE * size:
        return False
    return (NO_HEADING.fullmatch(text) or SENTENCE_END.fullmatch(text)) is not None


def is_label(block: Block, after: Block | None) -> bool:
    """Whether it names what comes next and no section, such as "Affiliation:" among numbered headings."""
    if block.kind != "heading" or block.markup or not block.text.rstrip().endswith(":") or number_depth(block.text):
        return False
    return not TOP.match(block.text) and not (after is not None and is_run_in(block, after))


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
