"""Running heads, feet and page numbers: what stands on many pages of a document and belongs to none.

A pure function over the blocks of all pages, for assembly. The layout model proposes, repetition decides: what it calls
a page header stays text where no other page has it, so that a letterhead or the stamp of a single page is not lost.
What it calls a heading, as "Section 3" at the head of a page, stays one unless the same stands on other pages.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from workers.layout.blocks import FURNITURE, Block, BlockKind

Pages = Sequence[Sequence[Block]]
Key = tuple[str, str]

EDGE = 0.12  # of the page's height, above and below
MOST_LETTERS = 200
NUMBERS = re.compile(r"\d+|\b[ivxlc]+\b")
PAGE_NUMBER = re.compile(  # of a text with single spaces
    r"(?:(?:page|seite|p\.) ?)?(?:[-–—\[(] ?)?(?:\d{1,4}|[ivxlc]{1,7})(?: ?[-–—\])])?(?: ?(?:of|/|von) ?\d{1,4})?",
    re.IGNORECASE,
)


def mark_furniture(pages: Pages) -> list[tuple[Block, ...]]:
    """The blocks of all pages, with the kinds of page headers and footers set by repetition."""
    bottom = max((block.box[3] for blocks in pages for block in blocks if block.box), default=1.0)
    seen: Counter[Key] = Counter()
    for blocks in pages:
        seen.update({key for block in blocks if (key := key_of(block, bottom))})
    return [tuple(marked(block, bottom, seen, len(pages)) for block in blocks) for blocks in pages]


def key_of(block: Block, bottom: float) -> Key | None:
    """What makes two blocks the same on two pages: the edge they stand at, and their text but for its numbers.

    Headings keep theirs.
    """
    if block.box is None or len(block.text) > MOST_LETTERS or block.kind in ("table", "figure"):
        return None
    edge, text = edge_of(block, bottom), " ".join(block.text.casefold().split())
    if block.kind not in ("title", "heading"):
        text = NUMBERS.sub("#", text)
    return (edge, text) if edge else None


def edge_of(block: Block, bottom: float) -> str:
    """Where the block stands; what the model calls furniture may stand anywhere, as line numbers do."""
    assert block.box is not None
    if block.box[3] < EDGE * bottom:
        return "page_header"
    if block.box[1] > (1 - EDGE) * bottom:
        return "page_footer"
    return block.kind if block.kind in FURNITURE else ""


def marked(block: Block, bottom: float, seen: Counter[Key], num_pages: int) -> Block:
    key = key_of(block, bottom)
    is_proposed = block.kind in FURNITURE
    times = max(seen[key], seen[key[0], NUMBERS.sub("#", key[1])]) if key else 0
    is_repeated = times >= (2 if is_proposed else max(3, num_pages // 3))
    is_number = is_proposed and PAGE_NUMBER.fullmatch(" ".join(block.text.split())) is not None and num_pages > 1
    if key is not None and (is_repeated or is_number):
        kind: BlockKind = "page_header" if key[0] == "page_header" else "page_footer"
        return replace(block, kind=kind, level=0)
    return replace(block, kind="paragraph") if is_proposed else block
