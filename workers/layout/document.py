"""What only a whole document tells about its blocks: furniture, the title, and the levels of headings."""

from __future__ import annotations

from collections.abc import Sequence

from workers.layout.authors import without_authors
from workers.layout.blocks import Block
from workers.layout.false_heads import without_false_heads
from workers.layout.furniture import mark_furniture
from workers.layout.headings import with_levels
from workers.layout.missed_heads import with_missed_heads


def settle(pages: Sequence[Sequence[Block]], *, is_scan: bool = False) -> list[tuple[Block, ...]]:
    """The blocks of all pages, in order, as they stand in the document; to be called once, at assembly."""
    headed = with_missed_heads(without_false_heads(mark_furniture(pages)))
    return with_levels(without_authors(headed), is_scan=is_scan)
