"""What the whole document decides: levels of headings that agree, one title, and what is furniture."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from workers.layout.blocks import Block, BlockKind
from workers.layout.document import settle
from workers.layout.furniture import mark_furniture
from workers.layout.headings import with_levels

Spec = tuple[str, float] | tuple[str, float, bool]


def heading(text: str, size: float, is_bold: bool = True, kind: BlockKind = "heading", y: float = 300.0) -> Block:
    return Block(kind=kind, text=text, size=size, is_bold=is_bold, box=(100, y, 500, y + size))


def paragraph(text: str = "Words of the body, many of them, as a paragraph has.", y: float = 400.0) -> Block:
    return Block(kind="paragraph", text=text, size=10.0, box=(100, y, 500, y + 60))


def levels(*heads: Spec, is_scan: bool = False) -> list[int]:
    blocks = [block for head in heads for block in (heading(*head), paragraph())]
    return [block.level for block in with_levels([[], blocks], is_scan=is_scan)[1] if block.kind == "heading"]


@pytest.mark.parametrize(
    ("heads", "wanted"),
    [
        ([("1 Introduction", 14), ("1.1 Notation", 12), ("1.1.1 Sets", 10), ("2 Method", 14)], [1, 2, 3, 1]),
        ([("Overview", 20), ("Install", 16), ("Use", 16), ("License", 20)], [1, 2, 2, 1]),
        ([("Overview", 20), ("1. Clone it", 16), ("Use it", 16), ("Test it", 16)], [1, 2, 2, 2]),
        ([("IV. RESULTS", 10), ("A. Setup", 9), ("V. OUTLOOK", 10), ("VI. END", 10)], [1, 2, 1, 1]),
        ([("1 Introduction", 14), ("References", 12), ("A Proofs", 14), ("A.1 First", 12)], [1, 1, 1, 2]),
        ([("Bold", 12, True), ("Light", 12, False), ("Bold again", 12, True)], [1, 2, 1]),
    ],
    ids=["numbers", "sizes", "steps that are counted", "roman", "appendix", "weight"],
)
def test_levels(heads: Sequence[Spec], wanted: list[int]) -> None:
    assert levels(*heads) == wanted


def test_heights_of_lines_on_a_scan_differ_without_another_level() -> None:
    assert levels(("Overview", 30), ("Aims", 27), ("Deep", 20), is_scan=True) == [1, 1, 2]


def test_levels_agree_from_page_to_page() -> None:
    pages = [[heading("Large", 20), heading("Small", 14)], [heading("Small too", 14)], [heading("Large too", 20)]]
    assert [[block.level for block in page] for page in with_levels(pages)] == [[1, 2], [2], [1]]


def test_a_heading_beside_its_paragraph_is_below_all_others() -> None:
    run_in = Block(kind="heading", text="Voice agents.", size=12.0, is_bold=True, box=(100, 300, 200, 312))
    beside = Block(kind="paragraph", text="Mainstream ones.", size=12.0, box=(100, 300, 500, 340))
    page = [heading("1 One", 14), heading("1.1 Deep", 12), run_in, beside]
    assert [block.level for block in with_levels([page])[0][:3]] == [1, 2, 3]


def test_there_is_one_title_and_sections_are_below_it() -> None:
    page = [
        heading("A Paper", 24, kind="title"),
        heading("1 Introduction", 14),
        heading("Not a title", 14, kind="title"),
    ]
    assert [(block.kind, block.level) for block in with_levels([page])[0]] == [
        ("title", 1),
        ("heading", 2),
        ("heading", 2),
    ]


def test_a_paragraph_in_the_largest_type_over_all_headings_is_the_title() -> None:
    title = Block(kind="paragraph", text="A Paper Without a Bold Title", size=20.0, box=(100, 50, 500, 70))
    page = [title, paragraph(), heading("1 Introduction", 14)]
    assert [block.kind for block in with_levels([page])[0]] == ["title", "paragraph", "heading"]


def test_what_is_no_heading_keeps_its_level() -> None:
    item = Block(kind="list_item", text="one", marker="-", level=2)
    assert with_levels([[item]])[0][0] == item


def test_no_pages_and_empty_pages_are_no_error() -> None:
    assert settle([]) == []
    assert settle([[], []]) == [(), ()]


def running(text: str, kind: BlockKind = "page_header", y: float = 20.0) -> Block:
    return Block(kind=kind, text=text, box=(100, y, 300, y + 12))


def bottom() -> Block:
    return paragraph("The end of the page.", y=940)


def test_a_header_on_several_pages_is_furniture_and_one_of_a_kind_is_text() -> None:
    pages = [[running(f"Annual report {i}"), bottom()] for i in range(3)] + [[running("Letterhead"), bottom()]]
    assert [page[0].kind for page in mark_furniture(pages)] == ["page_header"] * 3 + ["paragraph"]


def test_a_page_number_is_furniture_where_there_are_pages() -> None:
    pages = [[bottom(), running(text, "page_footer", 980)] for text in ("12", "- iv -", "Page 3 of 7")]
    assert [page[1].kind for page in mark_furniture(pages)] == ["page_footer"] * 3
    assert mark_furniture(pages[:1])[0][1].kind == "paragraph"


def test_repeated_text_at_the_edge_is_furniture_though_the_model_did_not_see_it() -> None:
    pages = [[running(f"Chapter {i}", "paragraph"), paragraph(f"Body {i}"), bottom()] for i in range(4)]
    assert [page[0].kind for page in mark_furniture(pages)] == ["page_header"] * 4


def test_numbered_headings_at_the_head_of_pages_are_text_and_the_same_one_on_each_is_furniture() -> None:
    pages = [[heading(f"Section {i}", 18, y=20), bottom()] for i in range(4)]
    assert {page[0].kind for page in mark_furniture(pages)} == {"heading"}
    pages = [[heading("The Book", 18, y=20), bottom()] for _ in range(4)]
    assert {page[0].kind for page in mark_furniture(pages)} == {"page_header"}


def test_a_running_head_that_the_model_takes_for_a_heading_on_one_page_is_furniture_there_too() -> None:
    pages = [[running(f"Annual report {i}"), bottom()] for i in range(3)]
    assert mark_furniture([*pages, [heading("Annual report 7", 12, y=20), bottom()]])[3][0].kind == "page_header"


def test_repeated_text_in_the_middle_of_pages_is_text() -> None:
    pages = [[running("See above.", "paragraph", 500), bottom()] for _ in range(4)]
    assert {page[0].kind for page in mark_furniture(pages)} == {"paragraph"}


@pytest.mark.parametrize(
    ("text", "size", "is_bold", "kind"),
    [
        ("64", 10.0, False, "paragraph"),
        ("https://example.org/docs/1", 10.0, False, "paragraph"),
        ("wrong?", 11.0, False, "paragraph"),
        ("1984", 16.0, False, "heading"),
        ("pip install", 10.0, True, "heading"),
        ("Is it wrong?", 10.0, False, "heading"),
    ],
)
def test_a_number_or_half_a_sentence_in_the_type_of_the_text_is_no_heading(
    text: str, size: float, is_bold: bool, kind: BlockKind
) -> None:
    (blocks,) = settle([[heading("All of it", 20.0), paragraph(), heading(text, size, is_bold), paragraph()]])
    assert blocks[2].kind == kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("R> statistic(it)", "paragraph"),
        (">>> import re", "paragraph"),
        ("$ make test", "paragraph"),
        ("Affiliation:", "paragraph"),
        ("4 Results:", "heading"),
        ("Abstract:", "heading"),
        ("Outlook", "heading"),
    ],
)
def test_a_prompt_is_no_heading_and_a_label_among_numbered_ones_is_none(text: str, kind: BlockKind) -> None:
    numbered = [each for i in range(1, 4) for each in (heading(f"{i} Section", 12.0), paragraph())]
    (blocks,) = settle([[*numbered, heading(text, 12.0), paragraph()]])
    assert blocks[-2].kind == kind


def test_a_label_among_headings_without_numbers_stays_one() -> None:
    (blocks,) = settle([[heading("Rationale", 12.0), paragraph(), heading("Highlights:", 12.0), paragraph()]])
    assert blocks[2].kind == "heading"


def test_names_between_a_title_and_its_abstract_are_no_headings() -> None:
    names = [heading("Ann Lee", 12.0, is_bold=False), paragraph("University"), heading("Bo Ray", 12.0, is_bold=False)]
    paper = [
        heading("All of it", 20.0),
        *names,
        heading("Abstract", 11.0),
        paragraph(),
        heading("1 Introduction", 12.0),
    ]
    (blocks,) = settle([paper])
    assert [block.text for block in blocks if block.kind in ("title", "heading")] == [
        "All of it",
        "Abstract",
        "1 Introduction",
    ]


def test_without_an_abstract_headings_after_the_title_stay() -> None:
    (blocks,) = settle([[heading("Tool", 20.0), heading("Install", 14.0), paragraph(), heading("Use", 14.0)]])
    assert [block.kind for block in blocks if block.kind != "paragraph"] == ["title", "heading", "heading"]
