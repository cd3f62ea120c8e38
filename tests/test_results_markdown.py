"""Markdown from blocks: what a CommonMark renderer shows is what the page says, and documents flow over their pages."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from workers.layout.blocks import Block, BlockKind, Cell
from workers.layout.dialects.html import read_html_table
from workers.layout.dialects.markdown import read_markdown
from workers.results.escape import escape_line, escape_lines
from workers.results.grid import write_csv, write_html
from workers.results.markdown import DEFAULTS, MarkdownOptions, write_markdown
from workers.results.outline import outline_of
from workers.results.page import PageResult
from workers.results.prose import compounds_of, join_lines
from workers.results.text import page_text

COMMONMARK = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
HOSTILE = st.text(st.sampled_from(list("ab1 .)(*_`#>-+=|\\[]<>!&;~:/x$'\"\té")), min_size=1, max_size=40)


def block(kind: BlockKind, text: str = "", **more: object) -> Block:
    return Block(kind=kind, text=text, **more)  # type: ignore[arg-type]


def document(*pages: tuple[Block, ...], options: MarkdownOptions = DEFAULTS, engine: str = "ocr") -> str:
    found = [
        PageResult(index=index, state="ok", engine=engine, text="\n".join(each.text for each in blocks), blocks=blocks)
        for index, blocks in enumerate(pages)
    ]
    out = io.StringIO()
    write_markdown(found, outline_of(found), out, options)
    return out.getvalue()


def shown(markdown: str) -> str:
    """What a reader sees of it, with single spaces."""
    html = re.sub(r"<!--.*?-->", "", COMMONMARK.render(markdown), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", "", html)).split())


def body(markdown: str) -> str:
    return "\n\n".join(part for part in markdown.strip().split("\n\n") if not part.startswith("<!-- page"))


@settings(max_examples=600, deadline=None)
@given(HOSTILE)
def test_a_line_is_shown_as_it_is(text: str) -> None:
    assert shown(escape_line(text)) == " ".join(text.split())


@settings(max_examples=300, deadline=None)
@given(st.lists(HOSTILE, min_size=2, max_size=4))
def test_lines_that_stay_are_shown_as_they_are(lines: list[str]) -> None:
    assert shown(escape_lines("\n".join(lines))) == " ".join(" ".join(lines).split())


def with_lines(text: str, letter: float = 10.0) -> PageResult:
    """A page with one paragraph, whose letters are all as wide."""
    lines = text.split("\n")
    boxes = [(50.0, 50.0 + 20 * i, 50.0 + letter * len(line), 66.0 + 20 * i) for i, line in enumerate(lines)]
    return PageResult(
        index=0,
        state="ok",
        lines=tuple({"text": line, "box": box} for line, box in zip(lines, boxes, strict=True)),
        blocks=(block("paragraph", text, lines=tuple(range(len(lines)))),),
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Nordlicht Lampen GmbH\nMill 2\n24103 Kiel", "Nordlicht Lampen GmbH  \nMill 2  \n24103 Kiel"),
        ("Invoice no. 1184\n| Date: 3 May\n- Due: 9 May", "Invoice no. 1184  \n\\| Date: 3 May  \n\\- Due: 9 May"),
        ("Rain fell on the harbour and\nthe boats lay still until the\nevening.", None),
        ("A ragged line that is short\nUnforeseeable consequences of that\nend it early.", None),
        ("All that was known of it then\nis here", None),
        ("It was in the news-\nPaper Street has a long name", None),
    ],
    ids=["address", "marks", "prose", "long word", "small letter", "hyphen"],
)
def test_lines_stay_where_the_next_word_had_room(text: str, wanted: str | None) -> None:
    page = with_lines(text)
    out = io.StringIO()
    write_markdown([page], outline_of([page]), out)
    assert body(out.getvalue()) == (wanted or join_lines(text))


@pytest.mark.parametrize(
    ("text", "is_kept"),
    [("Ann Lee Porter\nHillside 100\n24103 Kiel", True), ("Narrow columns of\nprose have some\nShort lines", False)],
    ids=["address", "narrow column"],
)
def test_short_lines_in_a_page_of_long_ones_stay(text: str, is_kept: bool) -> None:
    page = with_lines(text)
    long = {"text": "The harbour lay still until the evening tide lifted boats", "box": (50.0, 300.0, 620.0, 316.0)}
    page = replace(page, lines=(*page.lines, long))
    out = io.StringIO()
    write_markdown([page], outline_of([page]), out)
    assert ("  \n" in body(out.getvalue())) is is_kept


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["paragraph", "heading", "caption", "footnote", "code", "list_item"]), HOSTILE))
)
def test_a_page_is_shown_as_it_is(parts: list[tuple[BlockKind, str]]) -> None:
    found = [block(kind, text, marker="•" if kind == "list_item" else "") for kind, text in parts]
    wanted = " ".join(" ".join(text for _, text in parts).split())
    assert shown(document(tuple(found))).replace("- ", "") == wanted.replace("- ", "")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(HOSTILE, min_size=2, max_size=2), min_size=1, max_size=4))
def test_a_pipe_table_shows_its_cells(rows: list[list[str]]) -> None:
    cells = tuple(Cell(row=r, column=c, text=text) for r, row in enumerate(rows) for c, text in enumerate(row))
    html = COMMONMARK.render(document((block("table", "x", cells=cells),)))
    found = [
        " ".join(unescape(re.sub(r"<[^>]+>", "", cell)).split()) for cell in re.findall(r"<t[hd]>(.*?)</t[hd]>", html)
    ]
    assert found == [" ".join(text.split()) for row in rows for text in row]


SPANNED = (
    Cell(row=0, column=0, text="Item", row_span=2, is_header=True),
    Cell(row=0, column=1, text="1 < 2", column_span=2, is_header=True),
    Cell(row=1, column=1, text="a", is_header=True),
    Cell(row=1, column=2, text="b", is_header=True),
    Cell(row=2, column=0, text="x"),
    Cell(row=2, column=2, text="3"),
)


def test_a_table_with_spans_is_html_and_the_same_cells_come_back() -> None:
    html = write_html(SPANNED)
    assert body(document((block("table", "x", cells=SPANNED),))) == html
    assert "\n\n" not in html
    assert read_html_table(html) == SPANNED


def test_an_empty_line_in_a_cell_does_not_end_a_table_of_html() -> None:
    cells = (Cell(row=0, column=0, text="a\n\n b", row_span=2), Cell(row=0, column=1, text="*c*"))
    markdown = document((block("table", "t", cells=(*cells, Cell(row=1, column=1, text="d"))),))
    assert COMMONMARK.render(markdown).count("<p>") == 0
    assert shown(markdown) == "a b*c* d"


def test_csv_has_every_row_whole_and_no_formulas() -> None:
    cells = (*SPANNED, Cell(row=3, column=0, text='=HYPERLINK("x")'), Cell(row=3, column=1, text="-12.5 %"))
    assert write_csv(cells).splitlines() == [
        "Item,1 < 2,", ",a,b", "x,,3", "\"'=HYPERLINK(\"\"x\"\")\",-12.5 %,",
    ]  # fmt: skip


def test_numbers_of_lists_are_those_of_the_page() -> None:
    items = tuple(
        block("list_item", text, marker=marker, level=1)
        for text, marker in zip("abcd", ["1.", "2.", "4.", "5."], strict=True)
    )
    assert body(document(items)) == "1. a\n2. b\n\n4\\. c\n\n5. d"


def test_lists_nest_by_their_marks() -> None:
    items = (
        block("list_item", "one", marker="10.", level=1),
        block("list_item", "below", marker="•", level=2),
        block("list_item", "two", marker="11.", level=1),
        block("list_item", "ticked", marker="[X]", level=1),
        block("list_item", "letter", marker="(a)", level=1),
    )
    assert body(document(items)) == "10. one\n    - below\n11. two\n- [x] ticked\n\n(a) letter"


def test_paragraphs_are_one_line_and_torn_words_whole() -> None:
    text = "A light-\nhouse keeper is well-\nknown here, in 2019-\n2020."
    assert join_lines(text, compounds_of(["He is well-known."])) == (
        "A lighthouse keeper is well-known here, in 2019-2020."
    )
    assert join_lines("一行\n二行") == "一行二行"
    assert join_lines("see https://\nexample.org or www.example.org, 737–\n9") == (
        "see https://example.org or www.example.org, 737–9"
    )


def test_a_paragraph_goes_on_over_the_page() -> None:
    pages = (
        (block("paragraph", "It is the first exam-"), block("footnote", "1 A note.")),
        (block("paragraph", "ple of many. And more."), block("paragraph", "New.")),
    )
    assert document(*pages) == (
        "<!-- page 1 -->\n\nIt is the first example <!-- page 2 --> of many. And more.\n\n1 A note.\n\nNew.\n\n"
    )


@pytest.mark.parametrize("first", ["It ends here.", "It ends (here.)"])
def test_a_paragraph_that_has_ended_does_not_go_on(first: str) -> None:
    assert "<!-- page 2 -->\n\nand so" in document((block("paragraph", first),), (block("paragraph", "and so"),))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (block("paragraph", "It is the"), block("paragraph", "and so on.")),
        (block("table", "t", cells=(Cell(row=0, column=0, text="a"), Cell(row=0, column=1, text="b"))),) * 2,
    ],
    ids=["paragraph", "table"],
)
def test_nothing_goes_on_over_pages_that_were_left_out(first: Block, second: Block) -> None:
    pages = [PageResult(index=index, state="ok", blocks=(own,)) for index, own in ((1, first), (3, second))]
    out = io.StringIO()
    write_markdown(pages, outline_of(pages), out)
    one, two = out.getvalue().split("<!-- page 4 -->")
    assert one.startswith("<!-- page 2 -->") and len(body(one)) > 1
    assert two.startswith("\n\n") and two.strip()


@pytest.mark.parametrize(("marker", "wanted"), [("1.", "1\\. c"), ("3.", "3. c")])
def test_without_marks_a_list_goes_on_over_the_page_only_where_its_numbers_do(marker: str, wanted: str) -> None:
    first = (block("list_item", "a", marker="1.", level=1), block("list_item", "b", marker="2.", level=1))
    second = (block("list_item", "c", marker=marker, level=1),)
    assert document(first, second, options=MarkdownOptions(page_marks="none")) == f"1. a\n2. b\n\n{wanted}\n\n"


def rows(first: int, last: int, *, head: bool) -> tuple[Cell, ...]:
    texts = [["No", "Name"]] * head + [[str(n), f"n{n}"] for n in range(first, last)]
    return tuple(Cell(row=r, column=c, text=text) for r, row in enumerate(texts) for c, text in enumerate(row))


def test_a_table_goes_on_over_pages_and_says_its_head_once() -> None:
    tables = [block("table", "t", cells=rows(n, n + 2, head=True)) for n in (1, 3, 5)]
    markdown = document(*((table,) for table in tables))
    assert markdown.count("| No | Name |") == 1
    assert [line for line in markdown.splitlines() if line.startswith("| ")][2:] == [
        f"| {n} | n{n} |" for n in range(1, 7)
    ]
    assert re.findall(r"page \d", markdown) == ["page 1", "page 2", "page 3"]


def test_a_head_of_two_rows_is_said_once() -> None:
    def page(*values: str) -> Block:
        rows = [("Year", "Sales"), ("", "EUR"), *((value, "1") for value in values)]
        cells = [
            Cell(row=r, column=c, text=text, is_header=r < 2)
            for r, row in enumerate(rows)
            for c, text in enumerate(row)
            if text
        ]
        return block("table", "\n".join("\t".join(filter(None, row)) for row in rows), cells=tuple(cells))

    markdown = document((page("2019", "2020"),), (page("2021"),))
    assert markdown.count("EUR") == markdown.count("Year") == 1
    assert [year for year in ("2019", "2020", "2021") if year in markdown] == ["2019", "2020", "2021"]


def furnished(number: int) -> tuple[Block, ...]:
    return (
        block("page_header", "The Book", box=(10, 10, 90, 20)),
        block("paragraph", f"Words of {number}.", box=(10, 100, 90, 120)),
        block("page_footer", str(number), box=(10, 980, 90, 1000)),
    )


def test_running_heads_are_left_out_unless_they_are_asked_for() -> None:
    pages = [furnished(number) for number in range(1, 4)]
    assert "The Book" not in document(*pages)
    kept = document(*pages, options=MarkdownOptions(keep_furniture=True))
    assert kept.count("The Book") == 3
    assert "The Book" in page_text(PageResult(index=0, state="ok", text="x", blocks=pages[0]))


def test_page_marks_can_be_anchors_or_none() -> None:
    pages = ((block("paragraph", "a"),), (block("paragraph", "b."),))
    assert document(*pages, options=MarkdownOptions(page_marks="none")) == "a b.\n\n"
    assert document(*pages, options=MarkdownOptions(page_marks="anchor")) == (
        '<a id="page-1"></a>\n\na <a id="page-2"></a> b.\n\n'
    )


def test_code_is_fenced_by_more_than_it_has() -> None:
    code = block("code", "  x = '```'\n\n    y", marker="python")
    assert body(document((code,))) == "````python\n  x = '```'\n\n    y\n````".replace("````", "````")
    assert COMMONMARK.parse(document((code,)))[1].content == "  x = '```'\n\n    y\n"


def test_figures_show_their_picture_and_on_scans_their_text() -> None:
    figure = block("figure", "Axis\nlabel", figure="p001-1.png")
    assert body(document((figure,))) == "![](figures/p001-1.png)\n\nAxis label"
    assert body(document((figure,), engine="text-layer")) == "![](figures/p001-1.png)"


def test_formulas_of_a_model_stay_as_they_are() -> None:
    assert body(document((block("formula", "a_b < c", markup="latex"),))) == "$$\na_b < c\n$$"


def test_headings_of_a_model_keep_their_levels() -> None:
    heading = block("heading", "Deep *one*", level=4, markup="markdown")
    assert body(document((heading, block("paragraph", "x")))) == "#### Deep *one*\n\nx"


def test_a_column_goes_on_at_the_head_of_the_next() -> None:
    one = block("paragraph", "It goes on in the", box=(10, 500, 100, 600))
    two = block("paragraph", "next column.", box=(120, 100, 210, 150))
    assert body(document((one, two))) == "It goes on in the next column."
    assert body(document((one, replace(two, box=(10, 620, 100, 640))))) == "It goes on in the\n\nnext column."


def test_a_paragraph_cut_between_two_lines_is_one() -> None:
    one = block("paragraph", "It goes on in", box=(10, 100, 100, 120), size=10.0)
    two = block("paragraph", "the next line.", box=(12, 123, 100, 133), size=10.0)
    assert body(document((one, two))) == "It goes on in the next line."
    assert body(document((one, replace(two, box=(12, 150, 100, 160))))) == "It goes on in\n\nthe next line."


def test_numbers_of_lines_are_not_joined_with_the_text_beside_them() -> None:
    numbers = block("paragraph", "1\n2\n3", box=(10, 100, 20, 140))
    text = block("paragraph", "for all of it", box=(30, 100, 100, 140))
    assert body(document((numbers, text))) == "1 2 3\n\nfor all of it"


def test_lists_of_a_language_model_stay_lists_beside_its_headings() -> None:
    found = read_markdown("# Head\n\n- one *word*\n  - below")
    assert body(document(found)) == "# Head\n\n- one *word*\n  - below"
