"""Names and addresses between a paper's title and its abstract: large and bold as headings are, and none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from workers.layout.blocks import Block

Pages = Sequence[Sequence[Block]]

ABSTRACT = re.compile(r"(?:abstract|summary|zusammenfassung|résumé)\b", re.IGNORECASE)
NUMBERED = re.compile(r"\d|[IVX]{1,8}\.")


def without_authors(pages: Pages) -> list[tuple[Block, ...]]:
    """The blocks of all pages; what looks like a heading before the abstract, the first one apart, is a paragraph."""
    if not pages:
        return []
    first = list(pages[0])
    heads = [i for i, block in enumerate(first) if block.kind in ("title", "heading") and not block.markup]
    end = next((i for i, block in enumerate(first) if ABSTRACT.match(block.text)), 0)
    top = max((block.size for block in first[:end]), default=0.0)
    for i in heads:
        if i < end and first[i].size < top and not NUMBERED.match(first[i].text):
            first[i] = replace(first[i], kind="paragraph")
    return [tuple(first), *map(tuple, pages[1:])]
