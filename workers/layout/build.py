"""Blocks of a page from its words and the regions of the layout model, in reading order.

The model groups and labels. Every word goes to one region or to none, and what belongs to none is put together by its
distances; then each group becomes a block whose lines are made of its words, so that no word is lost or stands twice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from workers.layout.bare_tables import find_bare_tables
from workers.layout.blocks import BlockKind, PageLayout
from workers.layout.canvas import Canvas
from workers.layout.code import find_code, is_typed
from workers.layout.contents import find_contents
from workers.layout.detect import Found, Region
from workers.layout.drafts import Draft, finish
from workers.layout.frames import Frames
from workers.layout.lists import mark_of, nest, split_items
from workers.layout.loose import loose_drafts, runs, split_row
from workers.layout.margin import find_line_numbers
from workers.layout.order import in_order
from workers.layout.speakers import is_transcript, split_speeches
from workers.layout.tables import read_tables
from workers.layout.torn import cut_around
from workers.layout.words import Row, Word, box_of, pieces_of, rows_of, union
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
MOST_IN_FIGURE = 0.5  # of a page's words: with more of them it is a page of text over a picture
MIN_TEXT = 40  # words
MOST_RUN_IN = 14  # words
RUN_IN_GAP = 0.7  # font sizes; LaTeX's \\paragraph leaves 1, a space between words has 0.3 to 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is true of the whole page: whether its lines are numbered, and whether it is a transcript."""

    num_words: int
    has_numbers: bool
    is_spoken: bool
    has_prose: bool  # in another font than a monospaced one


@dataclass(frozen=True, slots=True)
class Loose:
    """What becomes of words in no region: those in drawn boxes wait in `boxed` for the others of their box."""

    frames: Frames
    boxed: list[Word]

    def drafts(self, words: Sequence[Word]) -> list[Draft]:
        parts = self.frames.parts(words)
        free = parts.pop(None, [])
        self.boxed.extend(word for part in parts.values() for word in part)
        return loose_drafts(free)


def build(
    words: Sequence[Word],
    found: Found,
    canvas: Canvas,
    rules: Sequence[Box] = (),
    bars: Sequence[Box] = (),
    *,
    is_prose_elsewhere: bool = False,
) -> PageLayout:
    frames = Frames(rules)
    numbers = find_line_numbers(words)
    drafts = [draft_of("page_header", [[word] for word in column]) for column in numbers]
    words = without(words, (word for column in numbers for word in column))
    listings = outside_tables(find_code(words, is_prose_elsewhere=is_prose_elsewhere), words, found.regions)
    drafts += [draft_of("code", listing) for listing in listings]
    words = without(words, (word for listing in listings for row in listing for word in row))
    entries = find_contents(words)
    drafts += entries
    words = without(words, (word for entry in entries for row in entry.rows for word in row))
    bare = find_bare_tables(words, found.regions)
    drafts += [Draft(kind="table", box=table.box, table=table) for table in bare]
    words = without(words, (word for table in bare for cell in table.cells for word in cell.words))
    pictures = [region.box for region in found.regions if region.label == "picture"]
    turned = [word for word in words if word.angle and not any(is_inside(word, box) for box in pictures)]
    page = About(
        num_words=len(words),
        has_numbers=bool(numbers),
        is_spoken=is_transcript(words),
        has_prose=is_prose_elsewhere or not is_typed(words),
    )
    drafts += [draft_of("page_header", [line]) for line in pieces_of(turned)]
    groups = assign(without(words, turned), found.regions)
    boxed: list[Word] = []  # in drawn boxes, and in no table
    for number, region in enumerate(found.regions):
        for part in parts_of(groups.get(number, []), region, frames):
            drafts += drafts_of(region, part, found, page, Loose(frames, boxed))
    drafts += Loose(frames, boxed).drafts(groups.get(None, []))
    for part in by_frame(boxed, frames) if boxed else []:
        drafts += loose_drafts(part)
    return finish(nested(in_order(cut_around(drafts), frames, [*rules, *bars])), canvas)


def parts_of(words: Sequence[Word], region: Region, frames: Frames) -> list[list[Word]]:
    """A region's words by the drawn boxes they stand in; a table and a picture have boxes of their own."""
    return [list(words)] if region.label in ("table", "picture") else by_frame(words, frames)


def by_frame(words: Sequence[Word], frames: Frames) -> list[list[Word]]:
    return list(frames.parts(words).values()) or [[]]


def without(words: Iterable[Word], taken: Iterable[Word]) -> list[Word]:
    ids = set(map(id, taken))
    return [word for word in words if id(word) not in ids]


def draft_of(kind: BlockKind, rows: Sequence[Row]) -> Draft:
    return Draft(kind=kind, box=union(map(box_of, rows)), rows=tuple(rows))


def outside_tables(listings: Sequence[list[Row]], words: Sequence[Word], regions: Sequence[Region]) -> list[list[Row]]:
    """The listings without those in tables that have other type as well, such as a column of names of files."""
    mixed = [
        region.box
        for region in regions
        if region.label == "table" and not all(word.is_mono for word in words if is_inside(word, region.box))
    ]
    return [
        listing
        for listing in listings
        if not any(is_inside(word, box) for box in mixed for row in listing for word in row)
    ]


def nested(drafts: Sequence[Draft]) -> list[Draft]:
    """The drafts with the levels of list items that follow one another."""
    done: list[Draft] = []
    for is_list, group in groupby(drafts, key=lambda draft: draft.kind == "list_item"):
        run = list(group)
        if is_list:
            firsts = [draft.marker or draft.rows[0][0] for draft in run]
            levels = nest([word.box[0] for word in firsts], [word.size for word in firsts])
            run = [replace(draft, level=level) for draft, level in zip(run, levels, strict=True)]
        done += run
    return done


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


def area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def is_inside(word: Word, box: Box) -> bool:
    x, y = word.centre
    return box[0] - EDGE <= x <= box[2] + EDGE and box[1] - EDGE <= y <= box[3] + EDGE


def drafts_of(region: Region, words: Sequence[Word], found: Found, page: About, loose: Loose) -> list[Draft]:
    kind = KINDS.get(region.label, "paragraph")
    if kind == "figure":
        if len(words) > MOST_IN_FIGURE * page.num_words and len(words) > MIN_TEXT:
            return [Draft(kind=kind, box=region.box), *loose.drafts(words)]
        return [Draft(kind=kind, box=region.box, rows=tuple(rows_in_order(words)))]
    if not words:
        return []
    if kind == "table":
        tables, rest = read_tables(region, words, found.tables)
        drafts = [Draft(kind="table", box=table.box, table=table) for table in tables]
        return drafts + loose.drafts(rest)
    rows = rows_in_order(words)
    if kind in ("title", "heading") and page.has_prose and all(word.is_mono and not word.is_bold for word in words):
        return [draft_of("code", rows)]
    if kind in ("list_item", "paragraph"):
        if page.is_spoken:
            return [draft_of("paragraph", part) for part in split_speeches(rows)]
        parts = split_items(rows, is_list=kind == "list_item")
        return [draft for part in parts for draft in text_drafts(kind, part, has_numbers=page.has_numbers)]
    return [draft_of(kind, rows)]


def text_drafts(kind: BlockKind, rows: Sequence[Row], *, has_numbers: bool) -> list[Draft]:
    """A list item with its mark apart, or a paragraph and the heading that its first line begins with."""
    marker = mark_of(rows[0], is_list=kind == "list_item")
    if marker is not None:
        return [replace(draft_of("list_item", rows), rows=(rows[0][1:], *rows[1:]), marker=marker)]
    if kind == "list_item" and not has_numbers:
        return [draft_of(kind, rows)]
    if cut := run_in_end(rows[0]):
        rest = [rows[0][cut:], *rows[1:]]
        return [draft_of("heading", [rows[0][:cut]]), draft_of("paragraph", rest)]
    return [draft_of("paragraph", rows)]


def run_in_end(row: Row) -> int:
    """How many words of a paragraph's first row are a heading: bold, and set off by more than a space; 0 for none."""
    cut = next((i for i, word in enumerate(row) if not word.is_bold), 0)
    if not 0 < cut <= MOST_RUN_IN or row[cut].box[0] - row[cut - 1].box[2] < RUN_IN_GAP * row[0].size:
        return 0
    return cut


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
