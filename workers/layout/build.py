"""Blocks of a page from its words and the regions of the layout model, in reading order.

The model groups and labels. Every word goes to one region or to none, and what belongs to none is put together by its
distances; then each group becomes a block whose lines are made of its words, so that no word is lost or stands twice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from workers.engines import Line
from workers.layout.blocks import Block, BlockKind, Cell, PageLayout
from workers.layout.canvas import Canvas
from workers.layout.detect import Found, Region
from workers.layout.order import order_blocks
from workers.layout.tables import Table, read_tables
from workers.layout.words import Row, Word, box_of, pieces_of, rows_of, text_of_row, union
from workers.reading_order import Box, order_rows

KINDS: dict[str, BlockKind] = {
    "text": "paragraph",
    "title": "title",
    "section-header": "heading",
    "list-item": "list_item",
    "table": "table",
    "picture": "figure",
    "caption": "caption",
    "formula": "formula",
    "footnote": "footnote",
    "page-header": "page_header",
    "page-footer": "page_footer",
}
EDGE = 1.0  # points around a region that still belong to it
WIDE_GAP = 1.5  # line heights between words that may be of two regions
NEAR = 0.8  # line heights between lines of one paragraph that the model missed
WHOLE = frozenset({"table", "figure", "formula"})  # read as one thing, whatever its lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A block to be: `rows` are its lines of words; a table has cells, whose rows of words are its lines."""

    kind: BlockKind
    box: Box
    rows: tuple[Row, ...] = ()
    table: Table | None = None


def build(words: Sequence[Word], found: Found, canvas: Canvas) -> PageLayout:
    groups = assign(words, found.regions)
    drafts = []
    for number, region in enumerate(found.regions):
        drafts += drafts_of(region, groups.get(number, []), found)
    drafts += loose_drafts(groups.get(None, []))
    boxes = [draft.box for draft in drafts]
    line_boxes = [[] if draft.kind in WHOLE else [box_of(row) for row in draft.rows] for draft in drafts]
    return finish([drafts[i] for i in order_blocks(boxes, line_boxes)], canvas)


def assign(words: Sequence[Word], regions: Sequence[Region]) -> dict[int | None, list[Word]]:
    """Words by the number of their region, None for those outside; a line is not torn but at a wide gap."""
    by_size = sorted(range(len(regions)), key=lambda i: area(regions[i].box))
    groups: dict[int | None, list[Word]] = defaultdict(list)
    for line in pieces_of(words):
        places = [next((i for i in by_size if is_inside(word, regions[i].box)), None) for word in line]
        for start, end in runs(line):
            votes: Counter[int | None] = Counter()
            for word, place in zip(line[start:end], places[start:end], strict=True):
                votes[place] += len(word.text)
            for word, place in zip(line[start:end], places[start:end], strict=True):
                is_cell = place is not None and regions[place].label == "table"
                groups[place if is_cell else votes.most_common(1)[0][0]].append(word)
    return groups


def runs(line: Sequence[Word]) -> list[tuple[int, int]]:
    """Starts and ends of the parts of a line between wide gaps."""
    cuts = [
        position + 1
        for position, (before, after) in enumerate(pairwise(line))
        if after.box[0] - before.box[2] > WIDE_GAP * (before.box[3] - before.box[1])
    ]
    return list(pairwise([0, *cuts, len(line)]))


def area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def is_inside(word: Word, box: Box) -> bool:
    x, y = word.centre
    return box[0] - EDGE <= x <= box[2] + EDGE and box[1] - EDGE <= y <= box[3] + EDGE


def drafts_of(region: Region, words: Sequence[Word], found: Found) -> list[Draft]:
    kind = KINDS.get(region.label, "paragraph")
    if kind == "figure":
        return [Draft(kind=kind, box=region.box, rows=tuple(rows_in_order(words)))]
    if not words:
        return []
    if kind == "table":
        tables, rest = read_tables(region, words, found.tables)
        drafts = [Draft(kind="table", box=table.box, table=table) for table in tables]
        return drafts + loose_drafts(rest)
    return [Draft(kind=kind, box=box_of(words), rows=tuple(rows_in_order(words)))]


def rows_in_order(words: Sequence[Word]) -> list[Row]:
    """The rows of a group of words, columns one after another where it has any."""
    rows = rows_of(words)
    if len(rows) < 4 or not any(has_gap(row) for row in rows):
        return rows
    pieces = [piece for row in rows for piece in split_row(row)]
    order = order_rows([box_of(piece) for piece in pieces])
    return [[word for i in row for word in pieces[i]] for row in order]


def has_gap(row: Row) -> bool:
    return len(runs(row)) > 1


def split_row(row: Row) -> list[Row]:
    return [row[start:end] for start, end in runs(row)]


def loose_drafts(words: Sequence[Word]) -> list[Draft]:
    """Paragraphs of the words in no region: lines that follow one another closely."""
    pieces = [piece for row in rows_of(words) for piece in split_row(row)]
    groups: list[list[Row]] = []
    for piece in pieces:
        box = box_of(piece)
        home = next((group for group in groups if follows(box, box_of(group[-1]))), None)
        if home is None:
            groups.append([piece])
        else:
            home.append(piece)
    return [Draft(kind="paragraph", box=union(map(box_of, group)), rows=tuple(group)) for group in groups]


def follows(box: Box, above: Box) -> bool:
    height = min(box[3] - box[1], above[3] - above[1])
    shared = min(box[2], above[2]) - max(box[0], above[0])
    return (
        box[1] - above[3] < NEAR * height
        and box[3] > above[3]
        and shared > 0.5 * min(box[2] - box[0], above[2] - above[0])
    )


def finish(drafts: Sequence[Draft], canvas: Canvas) -> PageLayout:
    """Lines and blocks of the drafts, in their order, in pixels of the page image."""
    lines: list[Line] = []
    blocks: list[Block] = []
    for draft in drafts:
        if draft.table is not None:
            blocks.append(table_block(draft, draft.table, lines, canvas))
            continue
        start = len(lines)
        lines += [line_of(row, canvas) for row in draft.rows]
        words = [word for row in draft.rows for word in row]
        blocks.append(
            Block(
                kind=draft.kind,
                text="\n".join(line.text for line in lines[start:]),
                box=canvas.to_pixels(draft.box),
                lines=tuple(range(start, len(lines))),
                size=round(median(word.size for word in words) * canvas.scale_y, 2) if words else 0.0,
                is_bold=2 * sum(len(w.text) for w in words if w.is_bold) > sum(len(w.text) for w in words),
            )
        )
    return PageLayout(lines=tuple(lines), blocks=tuple(blocks))


def table_block(draft: Draft, table: Table, lines: list[Line], canvas: Canvas) -> Block:
    start = len(lines)
    texts: list[list[str]] = []
    for cell in table.cells:
        lines += [line_of(row, canvas) for row in cell.rows]
        while len(texts) <= cell.span[0]:
            texts.append([])
        texts[cell.span[0]].append(cell.text)
    return Block(
        kind="table",
        text="\n".join("\t".join(row) for row in texts if row),
        box=canvas.to_pixels(draft.box),
        lines=tuple(range(start, len(lines))),
        cells=tuple(
            Cell(
                row=cell.span[0],
                column=cell.span[2],
                text=cell.text,
                row_span=cell.span[1] - cell.span[0],
                column_span=cell.span[3] - cell.span[2],
                is_header=cell.is_header,
            )
            for cell in table.cells
        ),
    )


def line_of(row: Row, canvas: Canvas) -> Line:
    return Line(
        text=text_of_row(row),
        box=canvas.to_pixels(box_of(row)),
        confidence=round(min(word.confidence for word in row), 4),
    )
