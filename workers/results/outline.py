"""What a writer must know of the whole document before it writes the first page; a first look over all pages.

It keeps little of each page, so that a long document costs a few kB of memory a page and not its text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from workers.documents.text_layer import TEXT_LAYER
from workers.layout.blocks import Block, BlockKind
from workers.layout.document import settle
from workers.results.hyphens import Hyphens
from workers.results.page import PageResult

HEADINGS = frozenset({"title", "heading"})
MOST_KEPT = 301  # characters of a block that is no heading: one more than a title may have, so that this shows

Settled = tuple[BlockKind, int]  # what the document makes of a block: its kind and its level


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """`settled` has a kind and a level for each block, by the page's 0-based index; `compounds` see `prose`.

    `headings` are those of the table of contents, the title too: level and text, in their order.
    """

    settled: dict[int, tuple[Settled, ...]]
    compounds: frozenset[str]
    headings: tuple[tuple[int, str], ...] = ()

    def blocks_of(self, index: int, blocks: Sequence[Block]) -> tuple[Block, ...]:
        """The blocks of the page at this index as they stand in the document; as they are if it was read anew since."""
        found = self.settled.get(index, ())
        if len(found) != len(blocks):
            return tuple(blocks)
        return tuple(replace(block, kind=kind, level=level) for block, (kind, level) in zip(blocks, found, strict=True))


def outline_of(pages: Iterable[PageResult]) -> Outline:
    """The outline of a document whose pages come in any order, each once."""
    slim: dict[int, tuple[Block, ...]] = {}
    hyphens = Hyphens()
    num_scans = 0
    for page in pages:
        slim[page.index] = tuple(map(slimmed, page.blocks))
        num_scans += page.engine != TEXT_LAYER
        hyphens.look(block.text for block in page.blocks if not block.markup)
    found = settle(list(slim.values()), is_scan=2 * num_scans > len(slim))
    settled = {index: tuple(map(settled_of, own, page)) for (index, own), page in zip(slim.items(), found, strict=True)}
    headings = (
        (level, block.text)
        for index, own in slim.items()
        for block, (kind, level) in zip(own, settled[index], strict=True)
        if kind in HEADINGS and block.text.strip()
    )
    return Outline(settled=settled, compounds=hyphens.compounds(), headings=tuple(headings))


def slimmed(block: Block) -> Block:
    """What decides of a block. A model's own headings are no matter of type and are left as they are."""
    is_heading = block.kind in HEADINGS
    kind: BlockKind = "paragraph" if block.markup and is_heading else block.kind
    return Block(
        kind=kind,
        text=block.text if is_heading else block.text[:MOST_KEPT],
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
        yield replace(page, blocks=outline.blocks_of(page.index, page.blocks))
