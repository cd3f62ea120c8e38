"""What a writer must know of the whole document before it writes the first page; a first look over all pages.

It keeps little of each page, so that a long document costs a few kB of memory a page and not its text.
"""

from __future__ import annotations

from collections import deque
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
        return tuple(map(settled_block, blocks, found))


class Survey:
    """A first look over the pages of a document, in any order, each once; `outline` when all have been seen."""

    def __init__(self) -> None:
        self._slim: dict[int, tuple[Block, ...]] = {}
        self._hyphens = Hyphens()
        self._num_scans = 0

    def seeing(self, pages: Iterable[PageResult]) -> Iterator[PageResult]:
        """The same pages, each looked at as it goes by."""
        for page in pages:
            self._look(page)
            yield page

    def _look(self, page: PageResult) -> None:
        self._slim[page.index] = tuple(map(slimmed, page.blocks))
        self._num_scans += page.engine != TEXT_LAYER
        self._hyphens.look(block.text for block in page.blocks if not block.markup)

    def outline(self) -> Outline:
        slim = self._slim
        found = settle(list(slim.values()), is_scan=2 * self._num_scans > len(slim))
        pairs = zip(slim.items(), found, strict=True)
        settled = {index: tuple(map(settled_of, own, page)) for (index, own), page in pairs}
        headings = (
            (level, block.text)
            for index, own in slim.items()
            for block, (kind, level) in zip(own, settled[index], strict=True)
            if kind in HEADINGS and block.text.strip()
        )
        return Outline(settled=settled, compounds=self._hyphens.compounds(), headings=tuple(headings))


def outline_of(pages: Iterable[PageResult]) -> Outline:
    """The outline of a document whose pages come in any order, each once."""
    survey = Survey()
    deque(survey.seeing(pages), maxlen=0)
    return survey.outline()


def settled_block(block: Block, found: Settled) -> Block:
    return block if (block.kind, block.level) == found else replace(block, kind=found[0], level=found[1])


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
