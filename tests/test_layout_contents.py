"""Tables of contents: each entry a line of its own, whatever the leaders look like; other things are left alone."""

from __future__ import annotations

from workers.layout.build import build
from workers.layout.canvas import Canvas
from workers.layout.contents import find_contents
from workers.layout.detect import Found, Region
from workers.layout.words import Word, text_of_row
from workers.results.prose import join_lines

CONTENTS = [
    "1 Lamps 3",
    "1.1 Oil . . . . . . . . 4",
    "1.2 Wicks and what",
    "they are for ..... 5",
    "1.3 Glass ........ 12",
    "Index 20",
]


def words_of(lines: list[str]) -> list[Word]:
    """Lines of letters 5 wide whose last word ends at 400."""
    words = []
    for number, line in enumerate(lines):
        *parts, last = line.split()
        x, y = 50.0, 100.0 + 15 * number
        for part in parts:
            words.append(Word(text=part, box=(x, y, x + 5 * len(part), y + 10), line=number, size=10.0))
            x += 5 * len(part) + 3
        words.append(Word(text=last, box=(400.0 - 5 * len(last), y, 400.0, y + 10), line=number, size=10.0))
    return words


def test_each_entry_is_a_line_and_none_is_lost() -> None:
    entries = [[text_of_row(row) for row in draft.rows] for draft in find_contents(words_of(CONTENTS))]
    assert [join_lines("\n".join(entry)) for entry in entries] == [
        "1 Lamps 3", "1.1 Oil ... 4", "1.2 Wicks and what they are for ... 5", "1.3 Glass ... 12", "Index 20",
    ]  # fmt: skip


def test_a_model_that_sees_a_table_does_not_make_one() -> None:
    canvas = Canvas(width=600, height=800, turn=0, scale_x=1.0, scale_y=1.0)
    table = Region(label="table", box=(0, 0, 600, 800))
    blocks = build(words_of(CONTENTS), Found(regions=(table,)), canvas).blocks
    assert [block.kind for block in blocks] == ["paragraph"] * 5


def test_prose_with_numbers_and_two_entries_are_none() -> None:
    assert find_contents(words_of(["In the year 1999", "there were 12", "and . . . . . . 5", "of ....... 7"])) == []
