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
MIN_ROMAN = 3  # headings that begin like "IV.": fewer may be names
MOST_TITLE = 300  # characters
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
    if block.box is None or after.box is None or after.kind not in ("paragraph", "list_item"):
        return False
    return (
        block.box[1] + block.box[3] > 2 * after.box[1] and block.box[0] <= after.box[2] and after.box[0] <= block.box[2]
    )


def find_title(pages: Pages, ratio: float) -> Place | None:
    """The largest of the first page's titles; else what stands over all headings there, in larger type than they."""
    if not pages:
        return None
    titles = [i for i, block in enumerate(pages[0]) if block.kind == "title"]
    if titles:
        return 0, max(titles, key=lambda i: (pages[0][i].size, -i))
    heads = [(p, i) for p, blocks in enumerate(pages) for i, block in enumerate(blocks) if block.kind == "heading"]
    first = next((i for p, i in heads if p == 0), len(pages[0]))
    above = [i for i, block in enumerate(pages[0][: first + 1]) if block.kind in ("heading", "paragraph")]
    best = max(above, key=lambda i: (pages[0][i].size, -i), default=None)
    if best is None or number_depth(pages[0][best].text) or len(pages[0][best].text) > MOST_TITLE:
        return None
    others = max((pages[p][i].size for p, i in heads if (p, i) != (0, best)), default=0.0)
    return (0, best) if pages[0][best].size > max(others * ratio, body_size(pages) * LARGER) else None


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
    groups: dict[int, list[Head]] = defaultdict(list)
    for head in heads:
        groups[styles[head.place]].append(head)
    has_roman = sum(ROMAN.match(head.text) is not None for head in heads) >= MIN_ROMAN
    levels = style_levels([groups[style] for style in sorted(groups)], has_roman)
    is_numbered = any(is_counted(group, has_roman) for group in groups.values())
    found = {}
    for style, group in groups.items():
        is_trusted = is_counted(group, has_roman)
        for head in group:
            depth = number_depth(head.text, has_roman=has_roman)
            is_top = TOP.match(head.text) and (is_numbered or all(TOP.match(each.text) for each in group))
            found[head.place] = 1 if is_top else depth if depth > 1 or (depth and is_trusted) else levels[style]
    return found


def style_levels(groups: Sequence[Sequence[Head]], has_roman: bool) -> list[int]:
    """The level of each kind of type, from the first rank down: by its numbers, else one below the rank before."""
    levels: list[int] = []
    for group in groups:
        depths = [number_depth(head.text, has_roman=has_roman) for head in group]
        deepest = max(levels, default=0)
        if is_counted(group, has_roman) and (max(depths) > 1 or not deepest):
            levels.append(round(median(depth for depth in depths if depth)))
        elif all(TOP.match(head.text) for head in group):
            levels.append(deepest or 0)
        else:
            levels.append(deepest + 1)
    return [max(level, 1) for level in levels]


def is_counted(group: Sequence[Head], has_roman: bool) -> bool:
    """Whether most headings of one kind of type have a number, so that the numbers are those of the sections."""
    depths = [number_depth(head.text, has_roman=has_roman) for head in group if not TOP.match(head.text)]
    return bool(depths) and 2 * sum(depth > 0 for depth in depths) > len(depths) and not group[0].is_run_in


def rank_styles(heads: Sequence[Head], ratio: float) -> dict[Place, int]:
    """The rank from 0 of each heading's type: the larger the higher, bold before light, that of run-in ones last."""
    sizes = cluster((head.size for head in heads), ratio)
    types = {head.place: (-nearest(sizes, head.size), not head.is_bold) for head in heads}
    run_in = {types[head.place] for head in heads if head.is_run_in}
    keys = {
        head.place: (types[head.place] in run_in and number_depth(head.text) == 0, *types[head.place]) for head in heads
    }
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
