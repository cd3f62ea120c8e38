"""What language models write becomes blocks: no text is lost, whatever they write."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.layout.blocks import Block
from workers.layout.dialects.html import read_html_table
from workers.layout.dialects.markdown import read_markdown

WRITTEN = """# α
- β
7. γ
  - δ
| ε | ζ |
|---|---|
```
$$
\\[
\\]
<table><tr><td>η</td></tr></table>
> θ
ι

[κ]: λ
---
    μ
<div>ν
~~~
* * ξ
[ ] π
- [x] ρ"""
PIECES = WRITTEN.split("\n")


def kinds(text: str) -> list[str]:
    return [block.kind for block in read_markdown(text)]


def greek(text: str) -> Counter[str]:
    return Counter(re.findall("[α-ω]", text))


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_no_letter_is_lost(pieces: list[str]) -> None:
    text = "\n".join(pieces)
    assert greek("".join(block.text for block in read_markdown(text))) == greek(text)


def test_elements_have_their_kinds() -> None:
    text = "# A\n\ntext\n\n- b\n  1. c\n- [x] d\n\n| e | f |\n|---|---|\n| 1 | 2 |\n\n"
    text += "$$\nx - y\n- z\n$$\n\n```sh\nls\n```\n\n> q"
    assert kinds(text) == [
        "heading", "paragraph", "list_item", "list_item", "list_item", "table", "formula", "code", "paragraph",
    ]  # fmt: skip
    items = [(block.text, block.level, block.marker) for block in read_markdown(text) if block.kind == "list_item"]
    assert items == [("b", 1, "-"), ("c", 2, "1."), ("d", 1, "[x]")]
    assert read_markdown(text)[7] == Block(kind="code", text="ls", marker="sh")


@pytest.mark.parametrize("fence", ["```markdown\n{}\n```", "~~~md\n{}\n~~~"])
def test_a_fence_around_the_page_is_taken_off(fence: str) -> None:
    assert kinds(fence.format("# A\n\nb")) == ["heading", "paragraph"]


def test_two_listings_are_no_wrapper() -> None:
    assert kinds("```\na\n```\n\nb\n\n```\nc\n```") == ["code", "paragraph", "code"]


def test_a_formula_without_an_end_stays_text() -> None:
    assert kinds("$$\na\n\nb") == ["paragraph", "paragraph"]


def test_tables_of_html_have_spans_and_heads() -> None:
    cells = read_html_table(
        "<table><thead><tr><td rowspan='2'>a</td><td colspan=2>b &amp; c</td></tr></thead>"
        "<tr><td>d</td><td>e<br>f</td></tr></table>"
    )
    assert [(cell.row, cell.column, cell.row_span, cell.column_span, cell.text) for cell in cells] == [
        (0, 0, 2, 1, "a"), (0, 1, 1, 2, "b & c"), (1, 1, 1, 1, "d"), (1, 2, 1, 1, "e\nf"),
    ]  # fmt: skip
    assert [cell.is_header for cell in cells] == [True, True, False, False]


@pytest.mark.parametrize(
    "text",
    [
        "<table><tr><td>a</td></tr></table> and more",
        "<table><tr><td><table><tr><td>x</td></tr></table></td></tr></table>",
        "<table><tr><td rowspan=99999999 colspan=99999999>a</td><td rowspan=100 colspan=101>b</td>"
        "<td rowspan=100 colspan=102>c</td></tr></table>",
        "<b>no table</b>",
    ],
)
def test_what_is_more_than_a_table_stays_as_it_was_written(text: str) -> None:
    assert read_html_table(text) == ()
    assert "".join(block.text for block in read_markdown(text)) == text


def test_too_much_is_one_paragraph() -> None:
    text = "[" * 6000
    assert read_markdown(text) == (Block(kind="paragraph", text=text),)


@pytest.mark.parametrize(
    "inside", ["<p>one</p><p>two</p>", "<ul><li>one<li>two</ul>", "one<br/><br>two", "<div>one</div>two"]
)
def test_words_in_parts_of_a_cell_of_html_stay_apart(inside: str) -> None:
    assert [cell.text for cell in read_html_table(f"<table><tr><td>{inside}</td></tr></table>")] == ["one\ntwo"]
