"""The document as it is read: pages follow one another, paragraphs and tables go on over their breaks.

A stream: a page is held back only until the next one shows whether it continues its last block.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace

from workers.layout.blocks import FURNITURE, Block, Box, Cell
from workers.results.grid import size_of
from workers.results.line_ends import keeps_lines
from workers.results.page import PageResult, in_order
from workers.results.prose import FIRST_WORD, TORN, goes_on, join_lines, join_two

VERBATIM = frozenset({"code", "table"})  # whose lines are not joined
BESIDE = FURNITURE | {"footnote"}  # what stands at a page's edge, while the text goes on around it
NEXT_LINE = 0.5  # sizes of type between two lines of one paragraph
SAME_TYPE = 0.25  # of the size
MOST_HELD = 100  # pages that one table may go on over


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part of an item stands: its page, its box there, and the 0-based place of its first character in `text`.

    A part that begins in the middle of a torn word begins after the word.
    """

    page_number: int
    box: Box | None
    start: int = 0


@dataclass(slots=True)
class Item:
    """A block with its lines joined, what other pages add to it, by their numbers, and all places that it stands at."""

    block: Block
    more: list[tuple[int, str]] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)

    @property
    def last_text(self) -> str:
        return self.more[-1][1] if self.more else self.block.text

    @property
    def text(self) -> str:
        """The whole text, over pages."""
        return " ".join(filter(None, (self.block.text, *(text for _, text in self.more))))


@dataclass(slots=True)
class Flowed:
    """A page and what is written in its place. `is_marked`: its mark stands inside the paragraph before."""

    page: PageResult
    items: list[Item]
    is_marked: bool = False


def flow(
    pages: Iterable[PageResult], *, keep_furniture: bool = False, compounds: Collection[str] = ()
) -> Iterator[Flowed]:
    """The pages, in order, with their blocks as they stand in the document. Raises ValueError for another order."""
    held: list[Flowed] = []
    last: Item | None = None
    for page in in_order(pages):
        flowed = Flowed(page, items_of(page, keep_furniture=keep_furniture, compounds=compounds))
        first = body_of(flowed)[:1]
        is_next = bool(held) and held[-1].page.index + 1 == page.index  # pages between may be left out
        if last and first and is_next and len(held) < MOST_HELD and continues(last, first[0]):
            flowed.is_marked = first[0].block.kind != "table"
            extend(last, first[0], page.page_number, compounds)
            flowed.items.remove(first[0])
        else:
            yield from held
            held.clear()
            last = None
        held.append(flowed)
        if body := body_of(flowed):
            yield from held[:-1]
            del held[:-1]
            last = body[-1]
    yield from held


def items_of(page: PageResult, *, keep_furniture: bool, compounds: Collection[str]) -> list[Item]:
    items: list[Item] = []
    for block in page.blocks if page.has_text else ():
        if block.kind in FURNITURE and not keep_furniture:
            continue
        item = Item(joined(block, page, compounds))
        if items and is_next_column(items[-1].block, item.block):
            before = items[-1]
            before.block = replace(before.block, text=join_two(before.block.text, item.block.text, compounds))
            before.block = replace(before.block, box=item.block.box)
            start = len(before.block.text) - len(item.block.text)
            before.places.append(Place(page.page_number, block.box, start))
        else:
            item.places.append(Place(page.page_number, block.box))
            items.append(item)
    return items


def joined(block: Block, page: PageResult, compounds: Collection[str]) -> Block:
    """The block with its lines joined, or with those that are meant as they are."""
    if is_verbatim(block):
        return block
    if not page.rotation and keeps_lines(block, page.lines):
        return replace(block, text="\n".join(join_lines(line) for line in block.text.split("\n")))
    return replace(block, text=join_lines(block.text, compounds))


def is_verbatim(block: Block) -> bool:
    return block.kind in VERBATIM or bool(block.markup)


def is_next_column(before: Block, after: Block) -> bool:
    """Whether a paragraph goes on at the head of the next column."""
    is_prose = before.kind == after.kind == "paragraph" and not before.markup and not after.markup
    if not is_prose or before.box is None or after.box is None:
        return False
    is_beside = after.box[0] >= before.box[2] or after.box[3] <= before.box[1]
    is_next = (is_beside and after.box[1] < before.box[3]) or is_close_below(before, after)
    return is_next and not is_count(before.text) and goes_on(before.text, after.text)


def is_close_below(before: Block, after: Block) -> bool:
    """Whether `after` begins on the next line, in the same type, under what stands before."""
    if before.box is None or after.box is None or not before.size:
        return False
    gap = after.box[1] - before.box[3]
    is_under = before.box[0] < after.box[2] and after.box[0] < before.box[2]
    is_alike = abs(before.size - after.size) <= SAME_TYPE * before.size
    return is_under and is_alike and -before.size < gap < NEXT_LINE * before.size


def is_count(text: str) -> bool:
    """Whether a text is the numbers of lines that stand in a margin."""
    return text.replace(" ", "").isdigit()


def body_of(flowed: Flowed) -> list[Item]:
    return [item for item in flowed.items if item.block.kind not in BESIDE]


def continues(before: Item, after: Item) -> bool:
    one, two = before.block, after.block
    if one.markup or two.markup:
        return False
    if one.kind == two.kind == "table":
        return size_of(one.cells)[1] == size_of(two.cells)[1] > 1
    return one.kind in ("paragraph", "list_item") and two.kind == "paragraph" and goes_on(before.last_text, two.text)


def extend(before: Item, after: Item, page_number: int, compounds: Collection[str]) -> None:
    """Add to an item what the next page has of it; a torn word stands whole before the mark of the page."""
    if after.block.kind == "table":
        before.places.append(Place(page_number, after.block.box, len(before.block.text)))
        before.block = joined_tables(before.block, after.block)
        return
    text = after.block.text
    word = FIRST_WORD.match(text)
    if TORN.search(before.last_text) and word:
        whole = join_two(before.last_text, word[0], compounds)
        text = text[word.end() :].lstrip() if text[word.end() :][:1].isspace() else text[word.end() :]
        if before.more:
            before.more[-1] = (before.more[-1][0], whole)
        else:
            before.block = replace(before.block, text=whole)
    before.places += [
        replace(place, start=len(before.text) + 1 if text else len(before.text)) for place in after.places
    ]
    before.more.append((page_number, text))


def joined_tables(one: Block, two: Block) -> Block:
    """One table of both; a head that is repeated on the second page is left out there."""
    skipped = num_repeated(one, two)
    shift = size_of(one.cells)[0] - skipped
    rest = tuple(moved(cell, shift) for cell in two.cells if cell.row >= skipped)
    lines = two.text.split("\n")[skipped:]
    return replace(one, cells=one.cells + rest, text="\n".join([one.text, *lines]))


def num_repeated(one: Block, two: Block) -> int:
    """How many rows of the head stand again on the second page: the first row, and more that are marked as heads."""
    heads = {cell.row for block in (one, two) for cell in block.cells if cell.is_header} | {0}
    count = 0
    while count in heads and row_of(one, count) == row_of(two, count):
        count += 1
    return count


def row_of(block: Block, row: int) -> list[tuple[int, str]]:
    return sorted((cell.column, " ".join(cell.text.split())) for cell in block.cells if cell.row == row)


def moved(cell: Cell, rows: int) -> Cell:
    return replace(cell, row=cell.row + rows)
