"""The Word file: python-docx opens it again and finds headings, lists, tables with spans, pictures and all text."""

from __future__ import annotations

import io
from collections import Counter
from typing import Any

import docx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from workers.documents.text_layer import TEXT_LAYER
from workers.layout.blocks import FURNITURE, KINDS, Block, BlockKind, Cell
from workers.results.docx_file import write_docx
from workers.results.outline import Outline, outline_of
from workers.results.page import PageResult

HOSTILE = st.text(st.sampled_from(list('ab1 <>&"*_`]\t\n\x00\x0b\ufffe\u2028é\u05d0\U0001f600')), max_size=20)
AS_THEY_ARE = outline_of([])


def png(width: int = 40, height: int = 20) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(out, "PNG")
    return out.getvalue()


def block(kind: BlockKind, text: str = "", **more: Any) -> Block:
    return Block(kind=kind, text=text, **more)


def page(number: int, *blocks: Block, **more: Any) -> PageResult:
    values: dict[str, Any] = {"state": "ok", "engine": "ocr", "width": 600, "height": 800} | more
    return PageResult(index=number - 1, blocks=blocks, **values)


def opened(*pages: PageResult, pictures: dict[str, bytes] | None = None, outline: Outline = AS_THEY_ARE) -> Any:
    out = io.BytesIO()
    write_docx("report.pdf", pages, outline, (pictures or {}).get, out)
    out.seek(0)
    return docx.Document(out)


def paragraphs(document: Any) -> list[tuple[str, str]]:
    return [(each.style.name, each.text) for each in document.paragraphs]


def test_blocks_are_paragraphs_in_the_styles_that_word_knows() -> None:
    found = (
        page(
            1,
            block("page_header", "Confidential"),
            block("title", "Report", level=1),
            block("heading", "One\nmore", level=2),
            block("paragraph", "Text that goes on\nover lines and then"),
            block("footnote", "* a note"),
        ),
        page(
            2,
            block("paragraph", "over a page."),
            block("list_item", "a point", marker="•", level=1),
            block("list_item", "below", marker="-", level=2),
            block("list_item", "counted", marker="7.", level=1),
            block("list_item", "done", marker="[x]", level=1),
            block("code", "if x:\n    go()", marker="python"),
            block("formula", "E = mc^2", markup="latex"),
            block("caption", "Figure 1"),
        ),
        page(3, state="failed", reason="timeout"),
    )
    assert paragraphs(opened(*found)) == [
        ("Title", "Report"),
        ("Heading 2", "One more"),
        ("Normal", "Text that goes on over lines and then over a page."),
        ("Footnote", "* a note"),
        ("List Bullet", "a point"),
        ("List Bullet 2", "below"),
        ("List", "7.\tcounted"),
        ("List", "☑\tdone"),
        ("Code", "if x:\n    go()"),
        ("Formula", "E = mc^2"),
        ("Caption", "Figure 1"),
        ("Intense Quote", "[VLM_ERROR page 3]: timeout"),
    ]


def test_headings_below_a_title_begin_at_the_first_level() -> None:
    found = page(1, block("title", "Report", size=40), block("heading", "1 One", size=20), block("paragraph", "x"))
    assert [style for style, _ in paragraphs(opened(found, outline=outline_of([found])))][:2] == ["Title", "Heading 1"]


def test_emphasis_of_a_language_model_is_that_of_runs() -> None:
    [text] = opened(page(1, block("paragraph", "so **bold** and *it*", markup="markdown"))).paragraphs
    assert [(run.text, run.bold, run.italic) for run in text.runs] == [
        ("so ", None, None), ("bold", True, None), (" and ", None, None), ("it", None, True),
    ]  # fmt: skip


def test_tables_have_their_spans_and_a_head_that_word_repeats() -> None:
    cells = (
        Cell(row=0, column=0, text="Region", row_span=2, is_header=True),
        Cell(row=0, column=1, text="Sales", column_span=2, is_header=True),
        Cell(row=1, column=1, text="2025", is_header=True),
        Cell(row=1, column=2, text="2026", is_header=True),
        Cell(row=2, column=0, text="North\nand South"),
        Cell(row=2, column=2, text="9"),
    )
    document = opened(page(1, block("table", "x", cells=cells)))
    [table] = document.tables
    shown = [[field.text for field in row.cells] for row in table.rows]
    assert shown == [["Region", "Sales", "Sales"], ["Region", "2025", "2026"], ["North\nand South", "", "9"]]
    assert table.cell(0, 0)._tc is table.cell(1, 0)._tc
    assert [len(row._tr.xpath("w:trPr/w:tblHeader")) for row in table.rows] == [1, 1, 0]
    assert table.cell(0, 1).paragraphs[0].runs[0].bold


@pytest.mark.parametrize(("engine", "has_text"), [("ocr", True), (TEXT_LAYER, False)])
def test_figures_are_pictures_as_wide_as_on_their_page(engine: str, has_text: bool) -> None:
    figure = block("figure", "words inside", figure="p001-1.png", box=(0, 0, 300, 150))
    document = opened(page(1, figure, engine=engine), pictures={"p001-1.png": png()})
    [shape] = document.inline_shapes
    section = document.sections[0]
    room = section.page_width - section.left_margin - section.right_margin
    assert shape.width == pytest.approx(room / 2, rel=0.01)
    assert shape.height == pytest.approx(room / 4, rel=0.01)
    assert (("Normal", "words inside") in paragraphs(document)) == has_text


@pytest.mark.parametrize("pictures", [{}, {"p001-1.png": b"no picture"}])
def test_text_stands_where_a_figure_has_no_picture(pictures: dict[str, bytes]) -> None:
    figure = block("figure", "words inside", figure="p001-1.png")
    assert paragraphs(opened(page(1, figure, engine=TEXT_LAYER), pictures=pictures)) == [("Normal", "words inside")]


CELLS = st.lists(
    st.builds(
        Cell,
        row=st.integers(0, 3),
        column=st.integers(0, 3),
        text=HOSTILE,
        row_span=st.integers(1, 3),
        column_span=st.integers(1, 3),
        is_header=st.booleans(),
    ),
    max_size=5,
).map(tuple)
BLOCKS = st.builds(
    Block,
    kind=st.sampled_from(KINDS),
    text=HOSTILE,
    level=st.integers(0, 20),
    marker=st.sampled_from(["", "-", "3.", "[x]", "§"]) | HOSTILE,
    cells=CELLS,
    markup=st.sampled_from(["", "latex"]),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(BLOCKS, max_size=6))
def test_any_blocks_make_a_file_that_opens_with_all_text(blocks: list[Block]) -> None:
    document = opened(page(1, *blocks))
    fields = {field._tc: field.text for table in document.tables for row in table.rows for field in row.cells}
    kept = letters(*(text for _, text in paragraphs(document)), *fields.values())
    texts = []
    for each in blocks:
        if each.kind not in FURNITURE:
            texts += [cell.text for cell in each.cells] if each.kind == "table" and each.cells else [each.text]
    assert letters(*texts) <= kept


def letters(*texts: str) -> Counter[str]:
    return Counter(letter for text in texts for letter in text if letter.isalnum())


def test_table_wider_than_word_can_have_stays_as_text() -> None:
    cells = tuple(Cell(row=0, column=column, text=str(column)) for column in range(64))
    document = opened(page(1, block("table", " ".join(map(str, range(64))), cells=cells)))
    assert not document.tables
    assert paragraphs(document)[0][1].endswith("62 63")
