"""A page that a person corrected: what was left alone stays as it was, and words keep their places."""

from __future__ import annotations

from typing import Any

import pytest
from documents import BLOCKS, LINES

from workers.layout.blocks import Block
from workers.results.corrected import Corrected, correct
from workers.results.flow import items_of
from workers.results.markdown import MarkdownOptions, items_markdown
from workers.results.page import PageResult
from workers.results.prose import compounds_of

RECORDS: list[dict[str, Any]] = [{"text": line.text, "box": line.box, "confidence": line.confidence} for line in LINES]


def markdown_of(blocks: tuple[Block, ...]) -> str:
    page = PageResult(index=0, state="ok", blocks=blocks)
    compounds = compounds_of(block.text for block in blocks if not block.markup)
    items = items_of(page, keep_furniture=False, compounds=compounds)
    return items_markdown(items, MarkdownOptions(page_marks="none"), with_figures=True)


SHOWN = markdown_of(BLOCKS)


def corrected(old: str, new: str) -> Corrected:
    assert old in SHOWN
    return correct(RECORDS, BLOCKS, shown=SHOWN, text=SHOWN.replace(old, new))


def test_page_that_is_left_alone_stays_as_it_was() -> None:
    made = correct(RECORDS, BLOCKS, shown=SHOWN, text=SHOWN)
    assert made.blocks == BLOCKS
    assert list(made.lines) == RECORDS


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("several", "seven"),
        ("Ships of the north", "Ships of the far north"),
        ("- first", "- the very first"),
        ("| Ann | 12 |", "| Anna | 12 |"),
        ("oil over", "oil"),
        ("| Ann | 12 |", "| Ann | 12 |\n| Bea | 7 |"),
        ("They carry", "They *really* carry"),
        ("- first", "- first\n- second"),
        ("They carry oil", "They carry.\n\nOil"),
        ("# Ships of the north\n\n", ""),
        ("- first", "- first\n\nSomething new stands here."),
        ("# Ships", "### Ships"),
    ],
)
def test_what_was_written_is_what_the_page_says_and_lines_hold_all_of_it(old: str, new: str) -> None:
    made = corrected(old, new)
    assert markdown_of(made.blocks) == SHOWN.replace(old, new)
    assert sorted(place for block in made.blocks for place in block.lines) == list(range(len(made.lines)))
    for block in made.blocks:
        if not block.markup and block.kind != "figure":
            on_lines = "".join(made.lines[place]["text"] for place in block.lines)
            assert "".join(on_lines.split()) == "".join((block.marker + block.text).split())
    assert made.blocks[-1] == Block(
        kind="page_footer", text="running foot", box=(60, 760, 300, 780), lines=made.blocks[-1].lines
    )


def test_corrected_words_stand_where_the_wrong_ones_stood() -> None:
    made = corrected("never", "always")
    [paragraph] = [block for block in made.blocks if block.kind == "paragraph"]
    assert [made.lines[place] for place in paragraph.lines] == [
        RECORDS[1],
        {"text": "ral seas & <always> rest.", "box": (60, 150, 480, 170), "confidence": 1.0},
    ]


def test_kind_and_size_stay_with_a_block_whose_words_change() -> None:
    heading = corrected("Ships", "Boats").blocks[0]
    assert (heading.kind, heading.level, heading.size, heading.text) == ("heading", 1, 24, "Boats of the north")


def test_new_reading_of_a_corrected_page_gives_the_words_its_places() -> None:
    moved = [line | {"box": tuple(2 * side for side in line["box"])} for line in RECORDS]
    made = correct(moved, BLOCKS, shown=SHOWN, text=SHOWN.replace("never", "always"))
    [line] = [line for line in made.lines if "always" in line["text"]]
    assert line["box"] == (120, 300, 960, 340)


def test_letters_without_spaces_keep_their_lines() -> None:
    lines = [
        {"text": "東京都は日本の", "box": (0, 0, 70, 10), "confidence": 0.9},
        {"text": "首都てある。", "box": (0, 20, 60, 30), "confidence": 0.9},
    ]
    blocks = (Block(kind="paragraph", text="東京都は日本の\n首都てある。", box=(0, 0, 70, 30), lines=(0, 1)),)
    made = correct(lines, blocks, shown="東京都は日本の首都てある。", text="東京都は日本の首都である。")
    assert [line["text"] for line in made.lines] == ["東京都は日本の", "首都である。"]


def test_text_that_a_model_wrote_is_taken_as_it_is() -> None:
    made = correct((), (Block(kind="paragraph", text="a *b*", markup="markdown"),), shown="a *b*", text="# a\n\nc")
    assert [block.kind for block in made.blocks] == ["heading", "paragraph"]
    assert made.text == "# a\n\nc"
