"""Reading order: columns one after another, tables row by row, headings between, whatever the order of the boxes."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.reading_order import Box, find_gutters, order_rows
from workers.row_text import join_rows
from workers.text_lines import bounding_box, level_boxes, long_lines, split_at_blank, unturn_box

PITCH = 24.0
HEIGHT = 20.0

Placed = tuple[str, Box]


def line(text: str, x: float, y: float, width: float) -> Placed:
    return text, (x, y, x + width, y + HEIGHT)


def column(name: str, x: float, y: float, width: float, num_lines: int, seed: int = 0) -> list[Placed]:
    """A ragged column of prose: full lines, with a short one at the end."""
    generator = random.Random(seed)
    ends = [generator.uniform(0.9, 1.0) for _ in range(num_lines - 1)] + [0.4]
    return [line(f"{name}{i}", x, y + i * PITCH, width * end) for i, end in enumerate(ends)]


def read(placed: Sequence[Placed], shuffle: int = 1) -> str:
    shuffled = list(placed)
    random.Random(shuffle).shuffle(shuffled)
    boxes = [box for _, box in shuffled]
    return join_rows(order_rows(boxes), boxes, [text for text, _ in shuffled])


def names(placed: Sequence[Placed]) -> list[str]:
    return [text for text, _ in placed]


@pytest.mark.parametrize("shift", [0.0, 7.0, 12.0], ids=["same baselines", "near", "between"])
@pytest.mark.parametrize("gutter", [12.0, 60.0], ids=["narrow", "wide"])
@pytest.mark.parametrize("num_columns", [2, 3])
def test_columns_are_read_one_after_another(num_columns: int, gutter: float, shift: float) -> None:
    placed = [
        each
        for i in range(num_columns)
        for each in column("abc"[i], 50 + i * (400 + gutter), 100 + i * shift, 400, 30 - 4 * i, seed=i)
    ]
    assert read(placed).split() == names(placed)


def test_heading_across_the_columns_comes_first_and_footer_last() -> None:
    columns = [*column("a", 50, 200, 400, 20), *column("b", 480, 200, 400, 20, seed=1)]
    placed = [line("TITLE", 250, 100, 450), *columns, line("17", 455, 800, 20)]
    assert read(placed).split() == names(placed)


def test_heading_between_cuts_the_columns_into_bands() -> None:
    above = [*column("a", 50, 100, 400, 8), *column("b", 480, 100, 400, 8, seed=1)]
    below = [*column("c", 50, 400, 400, 8), *column("d", 480, 400, 400, 8, seed=1)]
    placed = [*above, line("HEADING", 60, 340, 800), *below]
    assert read(placed).split() == names(placed)


def test_two_columns_above_three() -> None:
    above = [*column("a", 50, 100, 440, 12), *column("b", 520, 100, 440, 12, seed=1)]
    below = [each for i in range(3) for each in column("cde"[i], 50 + i * 310, 460, 290, 12, seed=i)]
    assert read([*above, *below]).split() == names([*above, *below])


def test_running_head_in_three_parts_is_one_row() -> None:
    head = [line("47", 50, 40, 30), line("Register", 300, 40, 380), line("Vol", 900, 40, 40)]
    columns = [each for i in range(3) for each in column("abc"[i], 50 + i * 310, 120, 290, 20, seed=i)]
    text = read([*head, *columns])
    assert text.startswith("47\tRegister\tVol\n\na0\n")
    assert text.split() == names([*head, *columns])


def test_table_is_read_row_by_row() -> None:
    rows = [
        [line(f"item{i}", 50, y, 120), line(f"{i}.50", 400, y, 50), line(f"{i * 7}", 600, y, 30)]
        for i, y in enumerate(100 + PITCH * i for i in range(12))
    ]
    text = read([cell for row in rows for cell in row])
    assert text == "\n".join("\t".join(name for name, _ in row) for row in rows)


@pytest.mark.parametrize("num_boxes", [2, 4])
def test_boxes_of_a_chart_are_read_by_rows(num_boxes: int) -> None:
    def person(row: int, place: int) -> list[Placed]:
        x, y = 60 + 260 * place, 200 + 120 * row
        return [line(f"{row}{place}{part}", x + 20 * i, y + i * PITCH, 180 - 40 * i) for i, part in enumerate("abc")]

    boxes = [each for row in range(4) for place in range(num_boxes) for each in person(row, place)]
    placed = [line("HEAD", 60 + 110 * num_boxes, 100, 100), *boxes, line("7", 60, 800, 20)]
    assert read(placed).split() == names(placed)


def test_words_of_one_line_are_joined_by_a_space() -> None:
    assert read([line("Hello", 50, 100, 60), line("world", 118, 102, 60)]) == "Hello world"


def test_blank_line_between_distant_paragraphs_only() -> None:
    placed = [line(f"a{i}", 50, 100 + i * PITCH, 400) for i in range(4)]
    placed += [line(f"b{i}", 50, 220 + i * PITCH, 400) for i in range(4)]
    assert read(placed) == "a0\na1\na2\na3\n\nb0\nb1\nb2\nb3"


def test_boxes_without_text_leave_no_trace() -> None:
    boxes = [(0.0, 0.0, 100.0, 20.0), (0.0, 24.0, 100.0, 44.0), (0.0, 48.0, 100.0, 68.0)]
    assert join_rows([[0], [1], [2]], boxes, ["one", "", ""]) == "one"
    assert join_rows([[0], [1]], boxes, ["", ""]) == ""
    assert order_rows([]) == [] == find_gutters([])


def test_gutter_is_found_between_the_columns() -> None:
    placed = [*column("a", 50, 100, 400, 20), *column("b", 480, 100, 400, 20, seed=1)]
    ((x0, x1),) = find_gutters([box for _, box in placed])
    assert 430 <= x0 < 460 < x1 <= 490


def test_boxes_that_touch_over_the_gutter_stay_in_their_columns() -> None:
    """Detectors draw boxes a little longer than the print."""
    left, right = column("a", 50, 100, 400, 20), column("b", 462, 100, 400, 20, seed=1)
    left[9], right[9] = line("a9", 50, 100 + 9 * PITCH, 407), line("b9", 456, 100 + 9 * PITCH, 406)
    assert read([*left, *right]).split() == names([*left, *right])


BOXES = st.lists(
    st.tuples(st.floats(0, 500), st.floats(0, 500), st.floats(0, 300), st.floats(0, 60)).map(
        lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
    ),
    max_size=60,
)


@settings(deadline=None)
@given(BOXES)
def test_every_box_stands_in_exactly_one_row(boxes: list[Box]) -> None:
    assert sorted(i for row in order_rows(boxes) for i in row) == list(range(len(boxes)))
    find_gutters(boxes)


def test_full_grid_of_a_thousand_boxes_takes_no_deep_recursion() -> None:
    boxes = [(x * 40.0, y * 30.0, x * 40.0 + 30, y * 30.0 + 20) for x in range(33) for y in range(30)]
    assert len(order_rows(boxes)) == 30
    stairs = [(i * 2.0, i * 2.0, i * 2.0 + 1, i * 2.0 + 1) for i in range(1000)]
    assert [row[0] for row in order_rows(stairs)] == list(range(1000))


def as_quads(boxes: Sequence[Box], degrees: float = 0.0) -> np.ndarray:
    """The corners of the boxes, turned clockwise by `degrees` around the origin."""
    corners = np.array([[(x0, y0), (x1, y0), (x1, y1), (x0, y1)] for x0, y0, x1, y1 in boxes], np.float32)
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turned: np.ndarray = corners @ np.array([[cosine, sine], [-sine, cosine]])
    return turned.astype(np.float32)


@pytest.mark.parametrize("degrees", [-4.0, -1.0, 0.0, 2.5, 5.0])
def test_skewed_columns_are_read_as_level_ones(degrees: float) -> None:
    placed = [*column("a", 50, 100, 400, 30), *column("b", 500, 100, 400, 30, seed=1)]
    level = level_boxes(as_quads([box for _, box in placed], degrees))
    assert read(list(zip(names(placed), level, strict=True))).split() == names(placed)
    assert level[3] == pytest.approx(placed[3][1], abs=0.1)


def test_long_lines_tell_sideways_text() -> None:
    wide = [box for _, box in column("a", 50, 100, 400, 5)]
    tall = [(y0, x0, y1, x1) for x0, y0, x1, y1 in wide]
    order, is_sideways = long_lines(as_quads(wide))
    assert (order[-1], is_sideways) == (4, False)
    assert long_lines(as_quads(tall)) == (order, True)
    assert long_lines(as_quads([(0, 0, 20, 30)])) == ([], False)


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_box_on_the_turned_page_goes_back_to_its_place(turn: int) -> None:
    page = np.zeros((50, 80), np.uint8)
    page[10:14, 20:50] = 1
    turned = np.rot90(page, -turn // 90)
    ys, xs = np.nonzero(turned)
    box = (float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1))
    assert unturn_box(box, turn, 80, 50) == (20, 10, 50, 14)


def crop_with_blank(width: int) -> np.ndarray:
    crop = np.full((24, 400, 3), 255, np.uint8)
    crop[6:18, ::3] = 0
    crop[:, 200 - width // 2 : 200 + width // 2] = 255
    return crop


def test_line_over_a_gutter_is_split_where_it_is_blank() -> None:
    (quad,) = as_quads([(100, 50, 500, 74)])
    halves = split_at_blank(quad, crop_with_blank(16), 0.5)
    assert halves is not None
    left, right = (bounding_box(half) for half in halves)
    assert left == pytest.approx((100, 50, 292, 74), abs=3)
    assert right == pytest.approx((308, 50, 500, 74), abs=3)


@pytest.mark.parametrize(("blank", "at"), [(6, 0.5), (16, 0.25), (0, 0.5)], ids=["word space", "elsewhere", "none"])
def test_line_that_runs_on_is_not_split(blank: int, at: float) -> None:
    (quad,) = as_quads([(100, 50, 500, 74)])
    assert split_at_blank(quad, crop_with_blank(blank), at) is None
