"""Blocks from words and regions: every line in one block, no character lost or invented, in reading order."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.engines import Line
from workers.layout.blocks import PageLayout
from workers.layout.build import build
from workers.layout.canvas import Canvas
from workers.layout.detect import Found, FoundCell, FoundTable, GridLines, Region
from workers.layout.dialects.plain import read_plain
from workers.layout.pages import plain_layout
from workers.layout.words import Word
from workers.reading_order import Box

WIDTH, HEIGHT = 600.0, 800.0
BAR = 38.0, 50.0, 560.0, 66.0
CANVAS = Canvas(width=1200, height=1600, scale_x=2.0, scale_y=2.0)
LABELS = ["text", "title", "section-header", "list-item", "table", "picture", "caption", "formula", "footnote", "odd"]

texts = st.sampled_from(["a", "word", "12", "3.5", "•", "1.", "Figure", "-", "über", "混合", "(b)", "%"])
numbers = st.floats(0, 1, allow_nan=False)


@st.composite
def words(draw: st.DrawFn) -> list[Word]:
    found = []
    for line in range(draw(st.integers(0, 25))):
        x, y = draw(numbers) * 400, draw(numbers) * 780
        for _ in range(draw(st.integers(1, 6))):
            text = draw(texts)
            width = 6.0 * len(text)
            style = {"is_bold": draw(st.booleans()), "is_mono": draw(st.booleans()), "is_glued": draw(st.booleans())}
            box = (x, y, x + width, y + 12)
            found.append(
                Word(text=text, box=box, line=line, size=10.0, angle=draw(st.sampled_from([0, 0, 0, 90])), **style)
            )
            x += width + draw(st.sampled_from([3.0, 12.0, 40.0]))
    return found


@st.composite
def boxes(draw: st.DrawFn) -> tuple[float, float, float, float]:
    x, y = draw(numbers) * 500, draw(numbers) * 700
    return x, y, x + 20 + draw(numbers) * 500, y + 20 + draw(numbers) * 600


@st.composite
def regions(draw: st.DrawFn) -> Region:
    box = draw(boxes())
    rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    ys = tuple(box[1] + (box[3] - box[1]) * i / rows for i in range(rows + 1))
    xs = tuple(box[0] + (box[2] - box[0]) * i / columns for i in range(columns + 1))
    span = draw(st.integers(1, rows)), draw(st.integers(1, columns))
    grid = GridLines(ys=ys, xs=xs, spans=((0, span[0], 0, span[1]),))
    return Region(label=draw(st.sampled_from(LABELS)), box=box, grid=draw(st.sampled_from([grid, None])))


@st.composite
def tables(draw: st.DrawFn) -> FoundTable:
    box = draw(boxes())
    middle = (box[0] + box[2]) / 2
    cells = (
        FoundCell(box=(box[0], box[1], middle, box[3]), span=(0, 1, 0, 1), is_header=True),
        FoundCell(
            box=draw(st.sampled_from([None, (middle, box[1], box[2], box[3])])), span=(0, 1, 1, 2), is_header=False
        ),
    )
    return FoundTable(box=box, cells=cells)


def letters(text: str) -> Counter[str]:
    return Counter("".join(text.split()))


def assert_whole(layout: PageLayout, before: str) -> None:
    """What holds for every page, whatever the model says."""
    places = [place for block in layout.blocks for place in block.lines]
    assert sorted(places) == list(range(len(layout.lines)))
    assert letters("".join(line.text for line in layout.lines)) == letters(before)
    for block in layout.blocks:
        mine = "".join(layout.lines[place].text for place in block.lines)
        assert letters(block.text + block.marker) == letters(mine)
        if block.cells:
            assert letters("".join(cell.text for cell in block.cells)) == letters(mine)
            filled = [
                (c.row + r, c.column + k) for c in block.cells for r in range(c.row_span) for k in range(c.column_span)
            ]
            assert len(filled) == len(set(filled))


@settings(max_examples=300, deadline=None)
@given(words(), st.lists(regions(), max_size=6), st.lists(tables(), max_size=3))
def test_every_line_stands_in_one_block_and_no_character_is_lost(
    found: list[Word], areas: list[Region], rivals: list[FoundTable]
) -> None:
    layout = build(found, Found(regions=tuple(areas), tables=tuple(rivals)), CANVAS)
    assert_whole(layout, "".join(word.text for word in found))


@settings(max_examples=150, deadline=None)
@given(words(), st.sampled_from([0, 90, 180, 270]))
def test_plain_layout_keeps_every_line(found: list[Word], rotation: int) -> None:
    lines = [Line(text=word.text, box=word.box, confidence=0.5) for word in found]
    layout = plain_layout(lines, width=600, height=800, rotation=rotation)
    assert_whole(layout, "".join(word.text for word in found))
    assert {block.kind for block in layout.blocks} <= {"paragraph", "list_item", "page_header", "table"}


@given(st.text(max_size=300))
def test_plain_text_keeps_every_character(text: str) -> None:
    assert letters("".join(block.text for block in read_plain(text))) == letters(text)


def line(text: str, x: float, y: float, number: int, **style: bool) -> list[Word]:
    found = []
    for part in text.split():
        found.append(Word(text=part, box=(x, y, x + 6 * len(part), y + 12), line=number, size=10.0, **style))
        x += 6 * len(part) + 3
    return found


def kinds(layout: PageLayout) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in layout.blocks]


def test_shuffled_columns_are_read_one_after_another() -> None:
    areas = []
    found: list[Word] = []
    for column, x in enumerate((50.0, 320.0)):
        for part in range(3):
            y = 100.0 + part * 120
            rows = [f"{'abc'[part]}{column} with several words on one line" for _ in range(6)]
            for row, text in enumerate(rows):
                found += line(text, x, y + row * 14, len(found))
            areas.append(Region(label="text", box=(x - 2, y - 2, x + 240, y + 90)))
    random.Random(3).shuffle(areas)
    layout = build(found, Found(regions=tuple(areas)), CANVAS)
    assert [block.text.split()[0] for block in layout.blocks] == ["a0", "b0", "c0", "a1", "b1", "c1"]


def test_boxes_of_lines_and_blocks_are_pixels_of_the_page_image() -> None:
    layout = build(line("Hello there", 50, 100, 0), Found(regions=()), CANVAS)
    assert layout.lines[0].box == (100.0, 200.0, 226.0, 224.0)
    assert layout.blocks[0].box == layout.lines[0].box
    assert layout.blocks[0].size == 20.0


def test_words_of_one_line_stay_together_though_the_region_ends_before_the_last() -> None:
    found = line("all of this is one line of text", 50, 100, 0)
    layout = build(found, Found(regions=(Region(label="text", box=(48, 98, 180, 114)),)), CANVAS)
    assert kinds(layout) == [("paragraph", "all of this is one line of text")]


def test_list_items_are_apart_with_their_marks_and_depths() -> None:
    rows = [("• first item", 50), ("goes on here", 60), ("– nested one", 70), ("• second item", 50)]
    found = [word for i, (text, x) in enumerate(rows) for word in line(text, x, 100 + 14 * i, i)]
    layout = build(found, Found(regions=(Region(label="list-item", box=(40, 90, 400, 160)),)), CANVAS)
    items = [(block.kind, block.marker, block.text, block.level) for block in layout.blocks]
    assert items == [
        ("list_item", "•", "first item\ngoes on here", 1),
        ("list_item", "–", "nested one", 2),
        ("list_item", "•", "second item", 1),
    ]


def test_numbers_in_the_margin_are_no_part_of_the_sentences() -> None:
    found: list[Word] = []
    for i in range(10):
        found += line(str(i + 1), 30, 100 + 14 * i, 2 * i)
        found += line(f"the sentence goes on in line {'abcdefghij'[i]}", 60, 100 + 14 * i, 2 * i + 1)
    layout = build(found, Found(regions=(Region(label="text", box=(28, 90, 400, 250)),)), CANVAS)
    assert [block.kind for block in layout.blocks] == ["page_header", "paragraph"]
    assert not any(char.isdigit() for char in layout.blocks[1].text)


def test_code_keeps_its_indentation_and_empty_lines() -> None:
    found = line("Some prose in another font before the code", 50, 50, 0)
    rows = [("def f():", 50, 100), ("return 1", 74, 114), ("f()", 50, 142)]
    for i, (text, x, y) in enumerate(rows):
        found += line(text, x, y, i + 1, is_mono=True)
    layout = build(found, Found(regions=(Region(label="text", box=(40, 90, 400, 160)),)), CANVAS)
    assert kinds(layout)[1] == ("code", "def f():\n    return 1\n\nf()")


def test_a_page_typed_in_one_monospaced_font_is_no_code() -> None:
    found = [word for i in range(5) for word in line("typed on a machine", 50, 100 + 14 * i, i, is_mono=True)]
    layout = build(found, Found(regions=(Region(label="text", box=(40, 90, 400, 200)),)), CANVAS)
    assert [block.kind for block in layout.blocks] == ["paragraph"]


def test_a_bold_beginning_set_off_by_more_than_a_space_is_a_heading() -> None:
    head = line("Voice agents.", 50, 100, 0, is_bold=True)
    rest = line("Mainstream ones talk.", head[-1].box[2] + 10, 100, 0)
    found = [*head, *rest, *line("And the second line.", 50, 114, 1)]
    layout = build(found, Found(regions=(Region(label="text", box=(40, 90, 400, 130)),)), CANVAS)
    assert kinds(layout) == [("heading", "Voice agents."), ("paragraph", "Mainstream ones talk.\nAnd the second line.")]


def test_bold_words_in_a_sentence_are_no_heading() -> None:
    head = line("Voice agents", 50, 100, 0, is_bold=True)
    found = [*head, *line("talk to people.", head[-1].box[2] + 3, 100, 0)]
    layout = build(found, Found(regions=(Region(label="text", box=(40, 90, 400, 130)),)), CANVAS)
    assert [block.kind for block in layout.blocks] == ["paragraph"]


def test_what_stands_in_one_drawn_box_is_read_together() -> None:
    """Four boxes, each with a question and its answer; without the rules the rows would run across."""
    rules = [(x, 50.0, x + 1, 250.0) for x in (40.0, 300.0, 560.0)] + [
        (40.0, y, 561.0, y + 1) for y in (50.0, 150.0, 250.0)
    ]
    found: list[Word] = []
    for number, (x, y) in enumerate([(50, 60), (310, 60), (50, 160), (310, 160)]):
        found += line(f"question {number}", x, y, 2 * number) + line(f"answer {number}", x + 20, y + 50, 2 * number + 1)
    layout = build(found, Found(regions=()), CANVAS, rules)
    texts = " ".join(block.text.replace("\n", " ") for block in layout.blocks)
    assert texts == " ".join(f"question {i} answer {i}" for i in range(4))


def test_the_border_of_a_page_is_no_box() -> None:
    rules = [
        (10.0, 10.0, 11.0, 790.0),
        (590.0, 10.0, 591.0, 790.0),
        (10.0, 10.0, 591.0, 11.0),
        (10.0, 790.0, 591.0, 791.0),
    ]
    found = [*line("inside the border", 50, 100, 0), *line("above it", 50, 2, 1)]
    layout = build(found, Found(regions=()), CANVAS, rules)
    assert [block.text for block in layout.blocks] == ["above it", "inside the border"]


def test_text_on_its_side_stands_apart() -> None:
    stamp = [Word(text="arXiv:2101.00001", box=(10, 200, 22, 400), line=9, size=12.0, angle=270)]
    found = [*line("The page runs level.", 50, 100, 0), *stamp]
    layout = build(found, Found(regions=(Region(label="text", box=(0, 90, 400, 500)),)), CANVAS)
    assert sorted(kinds(layout)) == [("page_header", "arXiv:2101.00001"), ("paragraph", "The page runs level.")]


def test_a_line_of_code_that_the_model_calls_a_heading_is_code() -> None:
    prose = line("Some prose that stands in another font", 50, 80, 0)
    head = Region(label="section-header", box=(40, 92, 400, 112))
    code = build([*prose, *line("R> statistic(it)", 50, 94, 1, is_mono=True)], Found(regions=(head,)), CANVAS)
    bold = line("check_any(_)", 50, 94, 1, is_mono=True, is_bold=True)
    assert kinds(code)[-1] == ("code", "R> statistic(it)")
    assert kinds(build([*prose, *bold], Found(regions=(head,)), CANVAS))[-1] == ("heading", "check_any(_)")


def test_text_in_one_cell_of_an_empty_grid_is_no_table() -> None:
    found = [word for i in range(4) for word in line("a text that was taken for a table", 50, 100 + 14 * i, i)]
    box = (40.0, 90.0, 400.0, 300.0)
    grid = GridLines(ys=(90.0, 170.0, 230.0, 300.0), xs=(40.0, 390.0, 400.0))
    layout = build(found, Found(regions=(Region(label="table", box=box, grid=grid),)), CANVAS)
    assert {block.kind for block in layout.blocks} == {"paragraph"}


def test_turned_words_in_a_picture_are_its_own_and_others_are_apart() -> None:
    picture = Region(label="picture", box=(100, 100, 400, 300))
    found = [
        Word(text="Time", box=(200, 280, 230, 292), line=0, size=10.0),
        Word(text="Load", box=(110, 180, 122, 210), line=1, size=10.0, angle=270),
        Word(text="arXiv", box=(20, 300, 32, 380), line=2, size=10.0, angle=270),
    ]
    layout = build(found, Found(regions=(picture,)), CANVAS)
    assert {block.kind: set(block.text.split()) for block in layout.blocks} == {
        "figure": {"Time", "Load"},
        "page_header": {"arXiv"},
    }


def test_what_stands_in_one_box_of_a_form_is_read_together() -> None:
    def cell(text: str, x: float, y: float, number: int) -> list[Word]:
        words = text.split()
        boxes = [(x + 40 * i, y, x + 40 * i + 36, y + 10) for i in range(len(words))]
        return [Word(text=text, box=box, line=number, size=10.0) for text, box in zip(words, boxes, strict=True)]

    rules = [(20.0, y, 560.0, y + 1) for y in (20.0, 60.0, 100.0, 300.0)]
    rules += [(x, 20.0, x + 1, 300.0) for x in (20.0, 560.0)] + [(290.0, 20.0, 291.0, 100.0)]
    form = [cell("Family name of", 24, 24, 0), cell("given names of", 294, 24, 1), cell("the person", 24, 38, 2)]
    form += [cell("that person", 294, 38, 3), cell("Street", 24, 64, 4), cell("Town", 294, 64, 5)]
    region = Region(label="table", box=(20, 20, 560, 300))
    layout = build([word for each in form for word in each], Found(regions=(region,)), CANVAS, rules)
    assert [block.text.replace("\n", " ") for block in layout.blocks] == [
        "Family name of the person",
        "given names of that person",
        "Street",
        "Town",
    ]


@pytest.mark.parametrize(
    ("bars", "wanted"),
    [
        ([], ["logo", "left", "left", "office", "right", "right"]),
        ([BAR], ["logo", "office", "left", "left", "right", "right"]),
    ],
    ids=["columns", "columns below a bar"],
)
def test_what_is_above_a_bar_is_read_before_what_is_below(bars: list[Box], wanted: list[str]) -> None:
    def line(text: str, x: float, y: float) -> list[Word]:
        places = [(x + 40 * i, y, x + 40 * i + 36, y + 12) for i in range(5)]
        return [Word(text=text, box=box, line=int(x + 2 * y), size=10.0) for box in places]

    columns = [("logo", 40.0, 20.0), ("office", 340.0, 26.0)]
    columns += [
        (name, x, y + 14.0 * i) for name, x in (("left", 40.0), ("right", 340.0)) for y in (80, 200) for i in range(6)
    ]
    layout = build([word for each in columns for word in line(*each)], Found(regions=()), CANVAS, (), bars)
    assert [block.text.split()[0] for block in layout.blocks] == wanted
