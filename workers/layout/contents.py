"""Tables of contents: entries with leaders of dots before the number of a page, each a line of its own.

A model takes them for tables with a column for each dot, or for one paragraph.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from workers.layout.drafts import Draft
from workers.layout.words import Row, Word, box_of, rows_of, union

DOT = re.compile(r"[.·․‥…]+")
LEADER_DOTS = 4
PAGE = re.compile(r"\d{1,4}|[ivxlc]{1,7}", re.IGNORECASE)
LEAST_ENTRIES = 3


def find_contents(words: Sequence[Word]) -> list[Draft]:
    """A paragraph for each entry of the page's table of contents, with the rows between them; none without one."""
    rows = rows_of([word for word in words if not word.angle])
    entries = [number for number, row in enumerate(rows) if is_entry(row)]
    if len(entries) < LEAST_ENTRIES:
        return []
    first, last = entries[0], entries[-1]
    edge = rows[first][-1].box[2]
    while first > 0 and is_aligned(rows[first - 1], edge):
        first -= 1
    while last + 1 < len(rows) and is_aligned(rows[last + 1], edge):
        last += 1
    drafts: list[Draft] = []
    waiting: list[Row] = []
    for row in rows[first : last + 1]:
        waiting.append(row)
        if PAGE.fullmatch(row[-1].text):
            drafts.append(Draft(kind="paragraph", box=union(map(box_of, waiting)), rows=tuple(waiting)))
            waiting = []
    return drafts


def is_entry(row: Row) -> bool:
    """Whether a row ends in a leader and the number of a page, and has no other leader, as rows of two columns have."""
    if len(row) < 3 or not PAGE.fullmatch(row[-1].text):
        return False
    runs = ["".join(word.text for word in run) for is_dots, run in groupby(row, is_dots) if is_dots]
    leaders = [run for run in runs if len(run) >= LEADER_DOTS]
    return len(leaders) == 1 and is_dots(row[-2])


def is_aligned(row: Row, edge: float) -> bool:
    """Whether a row without a leader ends in the number of a page where the entries do, as those of chapters do."""
    number = row[-1]
    return len(row) > 1 and PAGE.fullmatch(number.text) is not None and abs(number.box[2] - edge) < number.size


def is_dots(word: Word) -> bool:
    return DOT.fullmatch(word.text) is not None
