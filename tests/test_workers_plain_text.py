"""Plain text keeps what a reader needs of the page: indented listings, ticked boxes, short leaders."""

from __future__ import annotations

from collections.abc import Iterator

import pymupdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.documents.layer_text import text_of
from workers.layout.ticks import with_ticks
from workers.layout.words import rows_of, text_of_row, words_of_page
from workers.line_text import is_code_like, shorten_leaders, tidy
from workers.reading_order import Box, order_rows
from workers.row_text import join_rows

CODE = ["def f(x):", "    if x > 0:", '        return "yes"', "    for i in range(10):", '        print(i, end="")']
PROSE = ["The tenant pays the rent on the first of each month.", "The landlord keeps the roof and the walls in order."]
LETTER, PITCH = 6.0, 14.0  # points


@pytest.fixture
def page() -> Iterator[pymupdf.Page]:
    with pymupdf.open() as document:
        yield document.new_page()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("1. Chapter about topic 0 ................................... 3", "1. Chapter about topic 0 ... 3"),
        ("Introduction.......12", "Introduction ... 12"),
        ("Index . . . . . . . . . . 97", "Index ... 97"),
        ("目录……………………5", "目录 ... 5"),
        ("wait.... what?", "wait.... what?"),
        ("and so on...", "and so on..."),
        ("他说……", "他说……"),
        ("version 1.2.3.4.5.6", "version 1.2.3.4.5.6"),
        ("☑ Yes ☐ No ☒ Never", "[x] Yes [ ] No [x] Never"),
        ("\uf0fe Yes \uf0a8 No", "[x] Yes [ ] No"),
    ],
)
def test_leaders_are_short_and_boxes_are_ascii(line: str, expected: str) -> None:
    assert tidy(line) == expected


@given(st.text("ab .·…\t1", max_size=80))
def test_leaders_cost_no_word(text: str) -> None:
    short = shorten_leaders(text)
    assert [c for c in short if c.isalnum()] == [c for c in text if c.isalnum()]
    assert shorten_leaders(short) == short


def read(lines: list[str], *, letter: float = 10.0, pitch: float = 24.0) -> str:
    """The text of lines that an engine has read where they stand: it sees no spaces before a line."""
    boxes: list[Box] = []
    for place, line in enumerate(lines):
        left, width = 50 + letter * (len(line) - len(line.lstrip())), letter * len(line.strip())
        boxes.append((left - 2, place * pitch, left + width + 2, place * pitch + 18))
    return join_rows(order_rows(boxes), boxes, [line.strip() for line in lines])


def test_listing_that_was_read_keeps_its_indentation() -> None:
    assert read(CODE) == "\n".join(CODE)


def test_listing_between_paragraphs_keeps_its_indentation() -> None:
    assert read([*PROSE, *CODE, *PROSE]).splitlines() == [*PROSE, *CODE, *PROSE]


@pytest.mark.parametrize("lines", [PROSE, [PROSE[0], "    " + PROSE[1]], ["    A poem that begins", "further right"]])
def test_prose_is_not_indented(lines: list[str]) -> None:
    assert read(lines).splitlines() == [line.strip() for line in lines]


@pytest.mark.parametrize("line", CODE)
def test_code_looks_like_code(line: str) -> None:
    assert is_code_like(line)


@pytest.mark.parametrize("line", [*PROSE, "if it rains, we stay.", "Total (net) 12.50", "Chapter 1: The beginning", ""])
def test_prose_does_not(line: str) -> None:
    assert not is_code_like(line)


def draw(page: pymupdf.Page, lines: list[str], top: float, font: str) -> None:
    """Each line at its place, without the spaces before it, as typesetters write it."""
    for place, line in enumerate(lines):
        if line.strip():
            left = 72 + LETTER * (len(line) - len(line.lstrip()))
            page.insert_text((left, top + place * PITCH), line.strip(), fontname=font, fontsize=10)


def test_listing_of_a_text_layer_keeps_its_indentation_and_empty_lines(page: pymupdf.Page) -> None:
    listing = [*CODE[:3], "", *CODE[3:]]
    draw(page, PROSE, 72, "helv")
    draw(page, listing, 120, "cour")
    draw(page, PROSE, 250, "helv")
    assert text_of(page).splitlines() == [*PROSE, *listing, *PROSE]


def test_page_of_nothing_but_code_keeps_its_indentation(page: pymupdf.Page) -> None:
    draw(page, CODE, 72, "cour")
    assert text_of(page).splitlines() == CODE


def test_typewritten_letter_is_not_indented(page: pymupdf.Page) -> None:
    draw(page, [PROSE[0], "          " + PROSE[1]], 72, "cour")
    assert text_of(page).splitlines() == PROSE


def test_text_layer_without_listings_and_boxes_is_as_it_was(page: pymupdf.Page) -> None:
    draw(page, PROSE, 72, "helv")
    assert text_of(page) == page.get_text("text")


def tick(page: pymupdf.Page, rect: tuple[float, float, float, float], *, is_ticked: bool) -> None:
    widget = pymupdf.Widget()
    widget.field_type = pymupdf.PDF_WIDGET_TYPE_CHECKBOX
    widget.field_name = f"box{rect}"
    widget.rect = pymupdf.Rect(rect)
    widget.field_value = is_ticked
    page.add_widget(widget)


def test_boxes_of_a_form_stand_beside_their_labels(page: pymupdf.Page) -> None:
    page.insert_text((72, 100), "Member:")
    tick(page, (130, 90, 142, 102), is_ticked=True)
    page.insert_text((90, 140), "I want the newsletter")
    tick(page, (72, 130, 84, 142), is_ticked=False)
    tick(page, (72, 400, 84, 412), is_ticked=True)
    assert text_of(page).splitlines() == ["Member: [x]", "[ ] I want the newsletter", "[x]"]


def test_boxes_of_a_form_are_words_in_the_lines_of_their_labels(page: pymupdf.Page) -> None:
    page.insert_text((72, 100), "Member:")
    tick(page, (130, 90, 142, 102), is_ticked=True)
    page.insert_text((90, 140), "I want the newsletter")
    tick(page, (72, 130, 84, 142), is_ticked=False)
    tick(page, (72, 400, 84, 412), is_ticked=True)
    rows = rows_of(with_ticks(words_of_page(page), page))
    assert [text_of_row(row) for row in rows] == ["Member: [x]", "[ ] I want the newsletter", "[x]"]
    assert len({word.line for word in rows[0]}) == len({word.line for word in rows[1]}) == 1


def test_printed_boxes_are_in_the_letters_of_the_plain_text_in_the_layout_too(page: pymupdf.Page) -> None:
    page.insert_htmlbox(pymupdf.Rect(72, 72, 400, 120), "\u2611 Yes \u2610 No")
    assert [word.text for word in words_of_page(page)] == ["[x]", "Yes", "[ ]", "No"]
