"""What a PDF draws or types without saying so: bullets, pages of code, headings at the foot of a page."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.layout.blocks import Block
from workers.layout.bullets import with_bullets
from workers.layout.code import find_code
from workers.layout.document import settle
from workers.layout.drawn import MOST_PATHS, drawn_rules
from workers.layout.pages import layout_of_pdf_page
from workers.layout.words import Word, with_accents, words_of_page
from workers.light_pymupdf import pymupdf


def page_of(lines: list[str], *, dots: bool) -> pymupdf.Page:
    page = pymupdf.open().new_page()
    for i, text in enumerate(lines):
        page.insert_text((100, 100 + 18 * i), text, fontsize=12)
        if dots:
            page.draw_circle((90, 96 + 18 * i), 1.9, fill=(0, 0, 0))
    return page


def test_dots_before_lines_are_bullets() -> None:
    page = page_of(["first of all", "second", "third"], dots=True)
    words = with_bullets(words_of_page(page), page)
    assert [word.text for word in words if word.text == "•"] == ["•"] * 3
    assert {word.line for word in words if word.text == "•"} == {0, 1, 2}


@pytest.mark.parametrize(
    "dot", [(300.0, 96.0, 2.0), (90.0, 96.0, 9.0), (40.0, 96.0, 2.0)], ids=["right", "large", "far"]
)
def test_other_dots_are_no_bullets(dot: tuple[float, float, float]) -> None:
    page = page_of(["first of all", "second"], dots=False)
    for shift in (0, 18):
        page.draw_circle((dot[0], dot[1] + shift), dot[2], fill=(0, 0, 0))
    assert not any(word.text == "•" for word in with_bullets(words_of_page(page), page))


def test_a_page_all_of_code_is_code_where_its_neighbour_is_prose(tmp_path: Path) -> None:
    document = pymupdf.open()
    for font in ("helv", "cour"):
        page = document.new_page()
        for i in range(6):
            page.insert_text(
                (80 + 12 * (i % 2), 100 + 14 * i), f"def name_{i}(): return {i}", fontname=font, fontsize=10
            )
    for name, pages in (("mixed", [0, 1]), ("typed", [1])):
        part = pymupdf.open()
        for index in pages:
            part.insert_pdf(document, from_page=index, to_page=index)
        part.save(tmp_path / f"{name}.pdf")
    mixed = layout_of_pdf_page(tmp_path / "mixed.pdf", 1, width=612, height=792)
    typed = layout_of_pdf_page(tmp_path / "typed.pdf", 0, width=612, height=792)
    assert {block.kind for block in mixed.blocks} == {"code"}
    assert "code" not in {block.kind for block in typed.blocks}


def typed(text: str, y: float, line: int, *, is_mono: bool, is_bold: bool = False) -> list[Word]:
    return [
        Word(
            text=part,
            box=(50.0 + 40 * i, y, 85.0 + 40 * i, y + 10),
            line=line,
            size=10.0,
            is_mono=is_mono,
            is_bold=is_bold,
        )
        for i, part in enumerate(text.split())
    ]


@pytest.mark.parametrize(
    ("text", "y", "is_bold", "found"),
    [
        ("pip install it", 130.0, False, 1),
        ("pip install it", 113.0, False, 0),
        ("check any", 130.0, True, 0),
        ("a@b.org", 130.0, False, 0),
    ],
    ids=["alone", "in a paragraph", "a heading", "an address"],
)
def test_a_single_line_is_code_where_it_stands_alone(text: str, y: float, *, is_bold: bool, found: int) -> None:
    words = [
        *typed("some prose above it", 100, 0, is_mono=False),
        *typed(text, y, 1, is_mono=True, is_bold=is_bold),
        *typed("and some prose below", 160, 2, is_mono=False),
    ]
    assert len(find_code(words)) == found


def block(text: str, size: float, kind: str = "paragraph", *, is_bold: bool = True) -> Block:
    return Block(kind=kind, text=text, size=size, is_bold=is_bold, box=(50, 300, 400, 320))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("missed", "kind"),
    [(block("References", 16), "heading"), (block("References.", 16), "paragraph"), (block("Note", 10), "paragraph")],
)
def test_a_bold_line_in_the_type_of_headings_is_one(missed: Block, kind: str) -> None:
    body = block("words of the text " * 20, 10, is_bold=False)
    (blocks,) = settle([[block("Main features", 16, "heading"), body, missed, body]])
    assert blocks[2].kind == kind


def test_rules_and_boxes_that_a_page_draws_are_found_and_marks_are_not() -> None:
    page = pymupdf.open().new_page()
    page.draw_line((50, 100), (500, 100))
    page.draw_rect((50, 200, 300, 240))
    page.draw_rect((60, 210, 67, 217))  # a box to tick
    rules = drawn_rules(page)
    assert len(rules) == 5
    assert {round(rule[1]) for rule in rules if rule[2] - rule[0] > 200} == {100, 200, 240}


def test_a_drawing_has_no_rules() -> None:
    page = pymupdf.open().new_page()
    for i in range(MOST_PATHS + 1):
        page.draw_line((50, 100 + i), (500, 100 + i))
    assert drawn_rules(page) == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("f¨ur", "für"),
        ("N¨urnberg,", "Nürnberg,"),
        ("Universit´e", "Université"),
        ("na¨ıve", "naïve"),
        ("ˇCech", "Čech"),
        ("¨q", "¨q"),
    ],
)
def test_accents_that_stand_before_their_letters_come_onto_them(text: str, wanted: str) -> None:
    assert with_accents(text) == wanted
