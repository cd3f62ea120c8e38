"""Levels of headings that agree over a whole document, from their numbers and their type.

Pure functions over the blocks of all pages, for assembly: no page can tell by itself how deep its headings are. A
number says the depth ("2.3" is two deep). Headings without one take the depth of numbered ones in the same type, else
their rank by size, with bold before light. The title is level 1 and stands once; with one, sections begin at level 2.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from workers.layout.blocks import Block

Pages = Sequence[Sequence[Block]]
Place = tuple[int, int]  # page and block, 0-based

SAME_SIZE = 1.06  # ratio of two sizes of one kind of type
SAME_LINE_HEIGHT = 1.2  # the same for scans, where the height of a line depends on its letters
LARGER = 1.15  # times the body's size: type of a title
MAX_LEVEL = 6
DECIMAL = re.compile(r"(?:(?:section|chapter|appendix|part)\s+)?(\d{1,2}(?:\.\d{1,2})*)[.:)]?\s+\S", re.IGNORECASE)
APPENDIX = re.compile(r"(?:appendix\s+)?[A-Z]((?:\.\d{1,2})+)[.:]?\s+\S|appendix\s+[A-Z]\b", re.IGNORECASE)
ROMAN = re.compile(r"[IVX]{1,5}[.:]?\s+\S")
LETTER = re.compile(r"[A-Z][.)]\s+\S")
TOP = re.compile(
    r"(abstract|references|bibliography|acknowledge?ments?|appendi(x|ces)|contents|introduction|conclusions?"
    r"|summary|preface|index|glossary)\W*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A heading's place in the document and what tells its level. `is_run_in`: its paragraph begins on its line."""

    place: Place
    text: str
    size: float
    is_bold: bool
    is_run_in: bool


def with_levels(pages: Pages, *, is_scan: bool = False) -> list[tuple[Block, ...]]:
    """The blocks of all pages with the levels of title and headings set, and one title at most."""
    ratio = SAME_LINE_HEIGHT if is_scan else SAME_SIZE
    heads = [head for page, blocks in enumerate(pages) for head in heads_of(page, blocks)]
    title = find_title(pages, ratio)
    levels = levels_of([head for head in heads if head.place != title], ratio)
    if title is not None:
        largest = pages[title[0]][title[1]].size
        levels = {
            head.place: 1 if head.size * ratio >= largest and not head.is_run_in and is_unnumbered(head) else level + 1
            for head in heads
            if (level := levels.get(head.place))
        }
        levels[title] = 1
    return [
        tuple(leveled(block, levels.get((p, b)), (p, b) == title) for b, block in enumerate(blocks))
        for p, blocks in enumerate(pages)
    ]


def heads_of(page: int, blocks: Sequence[Block]) -> Iterable[Head]:
    for number, block in enumerate(blocks):
        if block.kind in ("title", "heading"):
            after = blocks[number + 1] if number + 1 < len(blocks) else None
            yield Head(
                place=(page, number),
                text=" ".join(block.text.split()),
                size=block.size,
                is_bold=block.is_bold,
                is_run_in=after is not None and is_run_in(block, after),
            )


def is_run_in(block: Block, after: Block) -> bool:
    """Whether the paragraph `after` begins beside the heading `block`."""
    if block.box is None or after.box is None or after.kind != "paragraph":
        return False
    return (
        block.box[1] + block.box[3] > 2 * after.box[1] and block.box[0] <= after.box[2] and after.box[0] <= block.box[2]
    )


def find_title(pages: Pages, ratio: float) -> Place | None:
    """The largest of the first page's titles; else its first heading, where that is in larger type than all others."""
    if not pages:
        return None
    titles = [i for i, block in enumerate(pages[0]) if block.kind == "title"]
    if titles:
        return 0, max(titles, key=lambda i: (pages[0][i].size, -i))
    heads = [(p, i) for p, blocks in enumerate(pages) for i, block in enumerate(blocks) if block.kind == "heading"]
    if not heads or heads[0][0] != 0 or number_depth(pages[0][heads[0][1]].text):
        return None
    first, others = heads[0], heads[1:]
    size = pages[0][first[1]].size
    largest = max((pages[p][i].size for p, i in others), default=body_size(pages))
    return first if size > largest * ratio else None


def body_size(pages: Pages) -> float:
    letters: Counter[float] = Counter()
    for blocks in pages:
        for block in blocks:
            if block.kind == "paragraph":
                letters[block.size] += len(block.text)
    return letters.most_common(1)[0][0] if letters else 0.0


def levels_of(heads: Sequence[Head], ratio: float) -> dict[Place, int]:
    """A level from 1 for each heading."""
    styles = rank_styles(heads, ratio)
    depths = {head.place: depth_of(head.text, heads) for head in heads}
    known: dict[int, list[int]] = defaultdict(list)
    for head in heads:
        if (depth := depths[head.place]) and not head.is_run_in:
            known[styles[head.place]].append(depth)
    usual = {style: round(median(found)) for style, found in known.items()}
    levels = {}
    for head in heads:
        style = styles[head.place]
        levels[head.place] = depths[head.place] or usual.get(style) or between(style, usual)
    return levels


def rank_styles(heads: Sequence[Head], ratio: float) -> dict[Place, int]:
    """The rank from 0 of each heading's type: the larger the higher, bold before light, run-in ones last."""
    sizes = cluster((head.size for head in heads), ratio)
    keys = {head.place: (head.is_run_in, -nearest(sizes, head.size), not head.is_bold) for head in heads}
    ranks = {key: rank for rank, key in enumerate(sorted(set(keys.values())))}
    return {place: ranks[key] for place, key in keys.items()}


def cluster(values: Iterable[float], ratio: float) -> list[float]:
    """The values put together where neighbours differ by less than `ratio`; the mean of each lot."""
    lots: list[list[float]] = []
    for value in sorted(values):
        if lots and value <= lots[-1][-1] * ratio:
            lots[-1].append(value)
        else:
            lots.append([value])
    return [sum(lot) / len(lot) for lot in lots]


def nearest(values: Sequence[float], value: float) -> float:
    return min(values, key=lambda each: abs(each - value))


def between(style: int, usual: dict[int, int]) -> int:
    """The level of a type without numbers: one below the next larger numbered type, or its rank where none is."""
    above = [other for other in usual if other < style]
    if not usual:
        return style + 1
    if not above:
        return 1
    return usual[max(above)] + style - max(above)


def depth_of(text: str, heads: Sequence[Head]) -> int:
    if TOP.match(text):
        return 1
    return number_depth(text, has_roman=sum(ROMAN.match(head.text) is not None for head in heads) >= 3)


def number_depth(text: str, *, has_roman: bool = False) -> int:
    """How deep a heading's number is: 1 for "2", 2 for "2.3" and "A.1"; 0 without one."""
    if found := DECIMAL.match(text):
        return found[1].rstrip(".").count(".") + 1
    if has_roman and ROMAN.match(text):
        return 1
    if has_roman and LETTER.match(text):
        return 2
    if found := APPENDIX.match(text):
        return (found[1] or "").count(".") + 1
    return 0


def is_unnumbered(head: Head) -> bool:
    return number_depth(head.text) == 0


def leveled(block: Block, level: int | None, is_title: bool) -> Block:
    if block.kind not in ("title", "heading") and not is_title:
        return block
    return replace(block, kind="title" if is_title else "heading", level=min(level or 1, MAX_LEVEL))
