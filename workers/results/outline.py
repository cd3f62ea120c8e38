"""What a writer must know of the whole document before it writes the first page; a first look over all pages.

It keeps little of each page, so that a long document costs a few kB of memory a page and not its text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from workers.documents.text_layer import TEXT_LAYER
from workers.layout.blocks import Block, BlockKind
from workers.layout.document import settle
from workers.results.page import PageResult
from workers.results.prose import compounds_of

MOST_KEPT = 301  # characters of a block: one more than a title may have, so that what is longer still shows

Settled = tuple[BlockKind, int]  # what the document makes of a block: its kind and its level


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """`settled` has a kind and a level for each block, by the page's 0-based index; `compounds` see `prose`."""

    settled: dict[int, tuple[Settled, ...]]
    compounds: frozenset[str]


def outline_of(pages: Iterable[PageResult]) -> Outline:
    """The outline of a document whose pages come in any order, each once."""
    slim: dict[int, tuple[Block, ...]] = {}
    compounds: set[str] = set()
    num_scans = 0
    for page in pages:
        slim[page.index] = tuple(map(slimmed, page.blocks))
        num_scans += page.engine != TEXT_LAYER
        compounds |= compounds_of(block.text for block in page.blocks if not block.markup)
    settled = settle(list(slim.values()), is_scan=2 * num_scans > len(slim))
    return Outline(
        settled={
            index: tuple(map(settled_of, own, found)) for (index, own), found in zip(slim.items(), settled, strict=True)
        },
        compounds=frozenset(compounds),
    )


def slimmed(block: Block) -> Block:
    """What decides of a block. A model's own headings are no matter of type and are left as they are."""
    kind: BlockKind = "paragraph" if block.markup and block.kind in ("heading", "title") else block.kind
    return Block(
        kind=kind,
        text=block.text[:MOST_KEPT],
        box=block.box,
        level=block.level,
        markup=block.markup,
        size=block.size,
        is_bold=block.is_bold,
    )


def settled_of(block: Block, found: Block) -> Settled:
    if block.markup and block.level and block.kind == "paragraph":  # as `slimmed` calls a model's own headings
        return ("heading", block.level)
    return (found.kind, found.level)


def with_outline(pages: Iterable[PageResult], outline: Outline) -> Iterator[PageResult]:
    """The pages with the kinds and levels that their blocks have in the document."""
    for page in pages:
        found = outline.settled.get(page.index, ())
        if len(found) == len(page.blocks):
            blocks = (
                replace(block, kind=kind, level=level) for block, (kind, level) in zip(page.blocks, found, strict=True)
            )
            yield replace(page, blocks=tuple(blocks))
        else:  # the page was read anew since
            yield page
