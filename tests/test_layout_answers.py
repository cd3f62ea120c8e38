"""Readers of models' dialects: recorded answers say what they should, and hostile ones lose no text."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Sequence

import pytest
from docling_core.types.doc.doctags import DocTagsDocument
from docling_core.types.doc.document import DoclingDocument
from hypothesis import example, given, settings
from hypothesis import strategies as st
from recorded_answers import DOCTAGS, RECORDED

from workers.engines.profiles import profiles
from workers.layout.blocks import KINDS, Block
from workers.layout.dialects.readers import READERS, read_answer

GREEK = re.compile("[α-ωά-ώ]+")
# What models write between words: marks of all dialects, whole and torn.
MARK = re.compile(r"<[^<>\s]{1,30}>|^---$|^#+ |^[|].*[|]$|[$]{2}|`{3}\w*|^\w+:", re.MULTILINE)
MARKS = sorted({mark for text in RECORDED.values() for mark in MARK.findall(text)})
MARKS += ["<", ">", "<|", "|>", "[[1,2", "]]", "---", "- ", "\n", "\n\n", " ", "☑ ", "<td>", '<td colspan="9', "<tr>"]
MARKS += ['{"bbox": [1, 2, 3, 4], "category": "Text", "text": "', '"}', "{", "[", "]", '"text": "', "\\"]
MARKS += ["<|box_start|>1 2 3 4<|box_end|>"]


def said(blocks: Sequence[Block]) -> str:
    """All text of the blocks: a table's is in its cells and in its text."""
    return " ".join(f"{block.marker} {block.text}" for block in blocks)


def outline(dialect: str) -> list[tuple[str, str]]:
    return [(block.kind, " ".join(block.text.split())) for block in READERS[dialect](RECORDED[dialect]).blocks]


def test_every_profile_has_a_reader_and_every_reader_an_answer_here() -> None:
    assert {profile.dialect for profile in profiles().values()} <= set(READERS)
    assert set(RECORDED) == set(READERS)


def test_doctags_have_kinds_levels_markers_and_boxes() -> None:
    blocks = READERS["doctags"](DOCTAGS).blocks
    assert outline("doctags") == [
        ("page_header", "Annual Report"),
        ("title", "Water & Wine < 2"),
        ("heading", "1. Results"),
        ("paragraph", "The pH was < 7 in all of the wells."),
        ("list_item", "north well"),
        ("list_item", "south well"),
        ("list_item", "sample"),
        ("list_item", "weigh"),
        ("caption", "Table 1: Wells"),
        ("table", "Well Depth from to north 3 9 south 12"),
        ("formula", "a = \\frac { b } { c }"),
        ("code", "for x in y: print(x)"),
        ("caption", "Figure 1: Rain"),
        ("figure", ""),
        ("footnote", "* estimated"),
        ("page_footer", "12"),
    ]
    assert [block.marker for block in blocks if block.kind == "list_item"] == ["-", "·", "1.", "2."]
    assert [block.level for block in blocks if block.kind in ("title", "heading")] == [1, 2]
    assert all(block.box for block in blocks)
    assert blocks[0].box == (60, 20, 240, 30)
    code = next(block for block in blocks if block.kind == "code")
    assert (code.marker, code.text) == ("python", "for x in y:\n    print(x)")
    (table,) = (block for block in blocks if block.kind == "table")
    spans = {cell.text: (cell.row, cell.column, cell.row_span, cell.column_span) for cell in table.cells}
    assert (spans["Well"], spans["Depth"], spans["12"]) == ((0, 0, 2, 1), (0, 1, 1, 2), (3, 2, 1, 1))
    assert [cell.text for cell in table.cells if cell.is_header] == ["Well", "Depth", "from", "to"]


def test_doctags_say_what_docling_reads_in_them() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pages = DocTagsDocument.from_doctags_and_image_pairs([DOCTAGS], None)
        theirs = DoclingDocument.load_from_doctags(pages)
    ours = READERS["doctags"](DOCTAGS).blocks
    words = Counter(re.findall(r"\w+", said([block for block in ours if block.kind != "table"])))
    known = Counter(re.findall(r"\w+", " ".join(item.text for item in theirs.texts)))
    assert not known - words
    (table,) = (block for block in ours if block.kind == "table")
    cells = {(c.start_row_offset_idx, c.start_col_offset_idx, c.row_span, c.col_span, c.text)
             for c in theirs.tables[0].data.table_cells if c.text}  # fmt: skip
    assert cells == {(c.row, c.column, c.row_span, c.column_span, c.text) for c in table.cells}


def test_olmocr_keeps_its_fields_out_of_the_text() -> None:
    assert outline("olmocr")[:2] == [
        ("heading", "Water & Wine"),
        ("paragraph", "The pH was \\(< 7\\) in all of the wells."),
    ]
    figure = next(block for block in READERS["olmocr"](RECORDED["olmocr"]).blocks if block.kind == "figure")
    assert (figure.text, figure.box) == ("Rain by month", (120, 700, 920, 900))
    assert "primary_language" not in said(READERS["olmocr"](RECORDED["olmocr"]).blocks)


@pytest.mark.parametrize(
    ("valid", "correction", "turn"),
    [
        ("False", "90", 270), ("false", "270", 90), ("False", "180", 180),
        ("True", "90", 0), ("False", "0", 0), ("False", "45", 0),
    ],
)  # fmt: skip
def test_olmocr_asks_for_a_turn(valid: str, correction: str, turn: int) -> None:
    text = f"---\nprimary_language: en\nis_rotation_valid: {valid}\nrotation_correction: {correction}\n---\nx"
    assert READERS["olmocr"](text).turn == turn


def test_deepseek_puts_boxes_to_its_markdown() -> None:
    blocks = READERS["deepseek"](RECORDED["deepseek"]).blocks
    assert outline("deepseek") == [
        ("heading", "Water & Wine"),
        ("heading", "1. Results"),
        ("paragraph", "The pH was \\(< 7\\) in all of the wells."),
        ("caption", "Table 1: Wells"),
        ("table", "Well Depth north 3 9"),
        ("formula", "a = \\frac{b}{c}"),
        ("figure", ""),
        ("caption", "Figure 1: Rain"),
    ]
    assert [block.box[1] for block in blocks if block.box] == [100, 160, 200, 380, 400, 580, 720, 904]


def test_deepseek_s_found_words_are_text() -> None:
    text = "<|ref|>Invoice<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>\n<|ref|>No. 7<|/ref|><|det|>[[5, 6, 7, 8]]<|/det|>"
    blocks = READERS["deepseek"](text).blocks
    assert [(block.text, block.box) for block in blocks] == [("Invoice", (1, 2, 3, 4)), ("No. 7", (5, 6, 7, 8))]


def test_nanonets_tags_are_blocks_of_their_own() -> None:
    found = outline("nanonets")
    assert ("page_header", "Annual Report") in found
    assert ("page_header", "OFFICIAL COPY") in found
    assert ("page_footer", "9/22") in found
    assert ("figure", "A bar chart of rain by month") in found
    assert ("paragraph", "Signed Ada L.") in found
    assert ("table", "Well Depth north 3 a drop") in found
    items = [block for block in READERS["nanonets"](RECORDED["nanonets"]).blocks if block.kind == "list_item"]
    assert [(block.marker, block.text) for block in items] == [("[x]", "sampled"), ("[ ]", "weighed")]


def test_html_has_labels_boxes_and_inline_formulas() -> None:
    blocks = READERS["html"](RECORDED["html"]).blocks
    assert outline("html") == [
        ("page_header", "Annual Report"),
        ("heading", "Water & Wine"),
        ("paragraph", "The pH was $< 7$ in all of the wells."),
        ("paragraph", "Second line."),
        ("list_item", "north well"),
        ("list_item", "south well"),
        ("list_item", "weigh"),
        ("caption", "Table 1: Wells"),
        ("table", "Well Depth from to north 3 9"),
        ("formula", "a = \\frac{b}{c}"),
        ("code", "for x in y: print(x)"),
        ("figure", "Rain by month"),
        ("caption", "Figure 1: Rain"),
        ("figure", ""),
        ("page_footer", "12"),
    ]
    assert all(block.box for block in blocks)
    items = [(block.marker, block.level) for block in blocks if block.kind == "list_item"]
    assert items == [("-", 1), ("[x]", 1), ("1.", 2)]
    (table,) = (block for block in blocks if block.kind == "table")
    assert [cell.text for cell in table.cells if cell.is_header] == ["Well", "Depth", "from", "to"]


def test_a_figure_of_html_is_one_beside_what_the_model_made_of_it() -> None:
    text = '<div data-bbox="1 2 3 4" data-label="Diagram">A flow.<pre>graph TD</pre><img alt="Flow"/></div>'
    found = [(block.kind, block.text) for block in READERS["html"](text).blocks]
    assert found == [("code", "graph TD"), ("figure", "A flow.\nFlow")]
    text = '<div data-bbox="1 2 3 4" data-label="Figure"><table><tr><td>1</td></tr></table></div>'
    assert [block.kind for block in READERS["html"](text).blocks] == ["table", "figure"]


def test_html_without_blocks_is_read_by_its_elements_and_markdown_as_markdown() -> None:
    text = "<h2>Wells</h2><p>a &lt; b, x<y</p><table><tr><td>1</td></tr></table>"
    found = [(block.kind, block.text) for block in READERS["html"](text).blocks]
    assert found == [("heading", "Wells"), ("paragraph", "a < b, x<y"), ("table", "1")]
    assert [block.kind for block in READERS["html"]("# A\n\n- b").blocks] == ["heading", "list_item"]


def test_dots_is_json_with_markdown_inside() -> None:
    assert outline("dots") == [
        ("page_header", "Annual Report"),
        ("heading", "Water & Wine"),
        ("heading", "1. Results"),
        ("paragraph", 'The pH was $< 7$ in all of the "wells".'),
        ("list_item", "north well"),
        ("list_item", "south well"),
        ("table", "Well Depth north 3"),
        ("formula", "a = \\frac{b}{c}"),
        ("figure", ""),
        ("caption", "Figure 1: Rain"),
        ("page_footer", "12"),
    ]
    assert all(block.box for block in READERS["dots"](RECORDED["dots"]).blocks)


@pytest.mark.parametrize(
    "text",
    [
        '{"layout": [{"bbox": [1, 2, 3, 4], "category": "Text", "text": "words"}]}',
        '```json\n[{"bbox": [1, 2, 3, 4], "category": "Text", "text": "words"}]\n```',
        '[{"bbox": [1, 2, 3, 4], "category": "Text", "text": "words',
        '[{"bbox": [1, 2, 3, 4], "category": "Text", "text": "words\\u00',
        '[{"bbox": [1, 2, 3, 4] "category": "Text", "text": "words"}]',
    ],
)
def test_dots_is_read_however_its_json_is_torn(text: str) -> None:
    assert [(block.kind, block.text, block.box) for block in READERS["dots"](text).blocks] == [
        ("paragraph", "words", (1, 2, 3, 4))
    ]


def test_mineru_has_regions_with_their_text() -> None:
    assert [kind for kind, _ in outline("mineru")] == [
        "page_header", "heading", "paragraph", "caption", "table", "formula", "figure", "page_footer",
    ]  # fmt: skip
    assert all(block.box for block in READERS["mineru"](RECORDED["mineru"]).blocks)


def test_boxes_are_shares_of_the_page() -> None:
    assert read_answer("doctags", DOCTAGS, grid=500).blocks[0].box == (0.12, 0.04, 0.48, 0.06)
    assert read_answer("doctags", "<text><loc_9><loc_9><loc_9><loc_20>a</text>", grid=500).blocks[0].box is None
    assert read_answer("doctags", "<text><loc_9><loc_9><loc_999><loc_20>a</text>", grid=500).blocks[0].box == (
        0.018, 0.018, 1.0, 0.04,
    )  # fmt: skip
    figures = [block for block in read_answer("olmocr", RECORDED["olmocr"], size=(1000, 1000)).blocks if block.box]
    assert figures[0].box == (0.12, 0.7, 0.92, 0.9)
    assert not any(block.box for block in read_answer("olmocr", RECORDED["olmocr"]).blocks)


def words_of(text: str) -> Counter[str]:
    return Counter(re.findall(r"[A-Za-z]{3,}", text))


@pytest.mark.parametrize("dialect", RECORDED)
def test_an_answer_that_is_cut_off_anywhere_says_what_came_before(dialect: str) -> None:
    """Words that the whole answer has as text are there as soon as they are complete."""
    text = RECORDED[dialect]
    whole = words_of(said(READERS[dialect](text).blocks))
    for end in range(len(text)):
        blocks = READERS[dialect](text[:end]).blocks
        if text[end - 1 : end + 1].isalpha():
            continue  # within a word
        found = words_of(said(blocks))
        complete = words_of(text[:end]) & whole
        assert not Counter({w: n for w, n in complete.items() if n == whole[w] == words_of(text)[w]}) - found, text[
            :end
        ]


@pytest.mark.parametrize("dialect", READERS)
@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(MARKS), st.text("αβγδ", min_size=1, max_size=4)), max_size=30))
@example(["<otsl>", "α", "<nl>", "β", "<lcel>", "γ", "</otsl>"])
@example(["<|ref|>", "α", "<|det|>", "[[1,2", "β"])
@example(["---", "\n", "α", "\n", "---"])
@example(["<img>", "α", "<watermark>", "β", "</img>"])
def test_no_word_is_lost_however_marks_are_mixed(dialect: str, pieces: list[str]) -> None:
    text = "".join(pieces)
    blocks = READERS[dialect](text).blocks
    assert Counter("".join(GREEK.findall(said(blocks)))) == Counter("".join(GREEK.findall(text)))
    assert all(block.kind in KINDS and (block.text or block.cells or block.box) for block in blocks)


@pytest.mark.parametrize("dialect", READERS)
@settings(max_examples=30, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_an_answer(dialect: str, text: str) -> None:
    READERS[dialect](text)


@pytest.mark.parametrize("dialect", READERS)
def test_prose_around_an_answer_stays(dialect: str) -> None:
    text = f"Here is the page you asked for.\n\n{RECORDED[dialect]}\n\nI hope that helps."
    found = said(READERS[dialect](text).blocks)
    assert "Here is the page" in found
    assert "I hope that helps" in found


@pytest.mark.parametrize("dialect", READERS)
@pytest.mark.parametrize(
    "piece",
    [
        "<text>", "<otsl><fcel>a<lcel>", "<ucel><nl>", "<|ref|>text<|/ref|>", "<|det|>[[1,", "---\n", "<img>", "<td>",
        "<table><tr>", "- ", "![a](", "is_table: x\n", "<list_item>", "<ordered_list>", "<caption>", "$$", "{", "<div ",
        "<loc_1>", '{"text": "',
    ],
)  # fmt: skip
def test_a_loop_takes_no_time(dialect: str, piece: str) -> None:
    """Thirty thousand characters; what is not linear takes minutes, and the suite's limit says so."""
    READERS[dialect](piece * (30_000 // len(piece)))
