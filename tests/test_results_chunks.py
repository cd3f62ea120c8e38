"""Chunks: every block's text once and in order, tables whole, no chunk over a heading of the first two levels."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.layout.blocks import FURNITURE, KINDS, Block, BlockKind, Cell
from workers.results.chunks import write_chunks
from workers.results.outline import Outline, outline_of
from workers.results.page import PageResult

AS_THEY_ARE = outline_of([])
WORDS = st.text(st.sampled_from(list("abcdefg 12 .\n。é*#|")), max_size=150)


def block(kind: BlockKind, text: str, top: float = 0, **more: object) -> Block:
    return Block(kind=kind, text=text, box=(10, top, 500, top + 20), **more)  # type: ignore[arg-type]


def page(number: int, *blocks: Block, state: str = "ok", reason: str = "") -> PageResult:
    return PageResult(index=number - 1, state=state, reason=reason, blocks=blocks, width=600, height=800)


def chunks(*pages: PageResult, max_chars: int = 400, outline: Outline | None = None) -> list[dict[str, Any]]:
    out = io.StringIO()
    write_chunks(pages, outline or outline_of(pages), out, max_chars)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def heading(text: str, level: int) -> Block:
    return block("heading", text, level=level, markup="markdown")  # whose level is settled


def squeezed(text: str) -> str:
    return "".join(text.split())


BLOCKS = st.builds(
    Block,
    kind=st.sampled_from([kind for kind in KINDS if kind != "title"]),
    text=WORDS,
    box=st.none() | st.just((1.0, 2.0, 3.0, 4.0)),
    level=st.integers(1, 4),
    marker=st.sampled_from(["", "-", "3."]),
    markup=st.just("markdown"),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(BLOCKS, max_size=8), min_size=1, max_size=3), st.just(0) | st.integers(20, 300))
def test_text_of_every_block_is_in_the_chunks_once_and_in_order(pages: list[list[Block]], max_chars: int) -> None:
    given_pages = [page(number, *blocks) for number, blocks in enumerate(pages, 1)]
    found = chunks(*given_pages, max_chars=max_chars, outline=AS_THEY_ARE)
    wanted = (
        (each.marker if each.kind == "list_item" else "") + each.text
        for blocks in pages
        for each in blocks
        if each.kind not in FURNITURE
    )
    assert squeezed("".join(chunk["text"] for chunk in found)) == squeezed("".join(wanted))
    assert [chunk["number"] for chunk in found] == list(range(1, len(found) + 1))
    for chunk in found:
        assert chunk["text"].strip() and chunk["num_chars"] == len(chunk["text"])
        assert chunk["num_chars"] <= max_chars or "table" in chunk["kinds"] or not max_chars
        assert chunk["pages"] == [place["page_number"] for place in chunk["places"]] != []


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 120)), max_size=25))
def test_no_chunk_goes_over_a_heading_of_the_first_two_levels(parts: list[tuple[int, int]]) -> None:
    blocks = [
        heading(f"<h{level} {place}>", level) if level else block("paragraph", f"<p {place}>" + "x" * length + ".")
        for place, (level, length) in enumerate(parts)
    ]
    path: list[tuple[int, str]] = []
    wanted: dict[str, list[str]] = {}
    for each in blocks:
        if each.kind == "heading":
            path = [above for above in path if above[0] < each.level] + [(each.level, each.text)]
        else:
            wanted[each.text] = [text for level, text in path if level <= 2]
    for chunk in chunks(page(1, *blocks), max_chars=200):
        inside = [text for text in wanted if text in chunk["text"]]
        above = [name for name in chunk["headings"] if name.startswith(("<h1", "<h2"))]
        assert all(wanted[text] == above for text in inside)


TABLE = tuple(Cell(row=r, column=c, text=f"cell {r}.{c}", is_header=r == 0) for r in range(30) for c in range(3))


def test_table_is_whole_with_its_caption_and_the_heading_above() -> None:
    table = block("table", "x", 60, cells=TABLE)
    found = chunks(
        page(1, block("paragraph", "Before. " * 20), heading("Figures", 3), block("caption", "Table 1", 40), table)
    )
    assert [chunk["kinds"] for chunk in found] == [["paragraph"], ["heading", "table"]]
    assert found[1]["text"].startswith("Figures\n\nTable 1\n\n| cell 0.0 | cell 0.1 | cell 0.2 |\n| --- |")
    assert found[1]["text"].endswith("| cell 29.0 | cell 29.1 | cell 29.2 |")
    assert found[1]["headings"] == ["Figures"]


def test_pages_and_boxes_are_those_of_the_pieces_of_a_long_paragraph() -> None:
    one = block("paragraph", "First sentence is here. " * 10 + "it goes on", 700)
    two = block("paragraph", "over the page. " + "Second page has this. " * 10, 10)
    found = chunks(page(1, one), page(2, two), max_chars=200)
    assert [chunk["pages"] for chunk in found] == [[1], [1, 2], [2]]
    assert found[1]["places"] == [
        {"page_number": 1, "width": 600, "height": 800, "boxes": [[10, 700, 500, 720]]},
        {"page_number": 2, "width": 600, "height": 800, "boxes": [[10, 10, 500, 30]]},
    ]
    assert all(chunk["text"].endswith((".", "is")) for chunk in found)


def test_heading_is_not_left_at_the_end_of_a_chunk() -> None:
    found = chunks(
        page(1, heading("One", 1), block("paragraph", "a" * 150), heading("Deep", 3), block("paragraph", "b" * 300))
    )
    assert [chunk["headings"] for chunk in found] == [["One"], ["One", "Deep"]]
    assert found[1]["text"] == "Deep\n\n" + "b" * 300


def test_code_keeps_its_indentation_and_a_missing_page_shows() -> None:
    code = "def one():\n" + "    return 1  # so it is\n" * 30
    found = chunks(page(1, block("code", code)), page(2, state="failed", reason="timeout"))
    assert all(line.startswith(("def", "    ")) for chunk in found[:-1] for line in chunk["text"].split("\n"))
    assert (found[-1]["kinds"], found[-1]["pages"]) == (["missing"], [2])
    assert found[-1]["text"] == "[VLM_ERROR page 2]: timeout"


@pytest.mark.parametrize("marker", ["-", "2."])
def test_list_items_stand_on_lines_of_their_own_with_their_marks(marker: str) -> None:
    items = [block("list_item", text, marker=marker, level=1) for text in ("one", "two")]
    [chunk] = chunks(page(1, *items))
    assert chunk["text"] == f"{marker} one\n{marker} two"
