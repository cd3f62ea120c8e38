"""Results: every page in its place and in order, what is missing is said, and memory stays flat."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import jsonschema
import pytest

from workers.layout.blocks import Block
from workers.layout.dialects.markdown import read_markdown
from workers.results import json_file
from workers.results import markdown as markdown_file
from workers.results.outline import outline_of
from workers.results.page import PageResult
from workers.results.text import write_text

SCHEMA = Path(__file__).parents[1] / "web" / "site" / "static" / "result.schema.json"
JOB = {"id": "j1", "state": "partial", "name": "a.pdf"}

Writer = Callable[[Iterable[PageResult], IO[str]], None]


def page(number: int, text: str = "", state: str = "ok", **record: Any) -> PageResult:
    return PageResult(index=number - 1, state=state, text=text, blocks=read_markdown(text), **record)


def write_markdown(pages: Iterable[PageResult], out: IO[str]) -> None:
    markdown_file.write_markdown(pages, outline_of([]), out)


def write_json(pages: Iterable[PageResult], out: IO[str]) -> None:
    json_file.write_json(JOB, pages, out)


def markdown(*pages: PageResult) -> str:
    out = io.StringIO()
    write_markdown(pages, out)
    return out.getvalue()


def plain(*pages: PageResult) -> str:
    out = io.StringIO()
    write_text(pages, out)
    return out.getvalue()


def as_json(*pages: PageResult) -> dict[str, Any]:
    out = io.StringIO()
    write_json(pages, out)
    result: dict[str, Any] = json.loads(out.getvalue())
    return result


def test_whole_document_has_nothing_but_pages_and_their_marks() -> None:
    assert markdown(page(1, "# One\n"), page(3, "Three")) == "<!-- page 1 -->\n\n# One\n\n<!-- page 3 -->\n\nThree\n\n"


def test_blank_page_keeps_an_empty_place() -> None:
    marks = [f"<!-- page {number} -->" for number in (1, 2, 3)]
    assert markdown(page(1, "a"), page(2, state="blank"), page(3, "c")).strip().split("\n\n") == [
        marks[0], "a", marks[1], marks[2], "c",
    ]  # fmt: skip


def test_failed_page_says_so_in_its_place() -> None:
    failed = page(2, state="failed", reason="timeout", detail="It took\ntoo long.")
    text = markdown(page(1, "a"), failed, page(3, "c"))
    assert (
        text.index("page 2 -->")
        < text.index("\\[VLM_ERROR page 2]: timeout: It took too long.")
        < text.index("page 3 -->")
    )
    assert "[VLM_ERROR page 2]: timeout: It took too long." in plain(failed)


def test_failed_page_without_a_reason_still_shows() -> None:
    assert "[VLM_ERROR page 7]: unknown" in markdown(page(7, state="failed"))


def test_head_names_missing_and_fallback_pages() -> None:
    states = {2: "failed", 3: "cancelled", 4: "fallback", 5: "generating", 9: "fallback"}
    text = markdown(*(page(number, "text", states.get(number, "ok")) for number in range(1, 11)))
    assert text.startswith("> Missing pages: 2-3, 5. Fallback pages: 4, 9.\n\n<!-- page 1")
    assert "\\[page 3 was cancelled]" in text
    assert "\\[page 5 is not finished: generating]" in text


def test_fallback_page_is_marked_and_keeps_its_text() -> None:
    text = markdown(page(4, "from the layer", "fallback", reason="repetition"))
    assert "*Page 4 is a fallback: repetition.*\n\nfrom the layer" in text


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        ("```python\nx = 1", "```python\nx = 1\n```"),
        ("````\n```\nx", "````\n```\nx\n````"),
        ("~~~\ncode\n~~~\nand\n```\nmore", "```\ncode\n```\n\nand\n\n```\nmore\n```"),
        ("```\nwhole\n```", "```\nwhole\n```"),
        ("```not a fence``` of code", "```not a fence``` of code"),
    ],
)
def test_open_code_block_does_not_swallow_the_next_page(text: str, closed: str) -> None:
    assert f"{closed}\n\n<!-- page 2" in markdown(page(1, text), page(2, "next"))


def test_plain_text_has_a_form_feed_after_each_page() -> None:
    assert plain(page(1, "one\n"), page(2, state="blank"), page(3, "three")) == "one\n\f\fthree\n\f"


def test_json_keeps_the_schema() -> None:
    pages = [
        page(1, "größer ✓", lines=({"text": "größer", "box": [1.0, 2.0, 3.5, 4.0], "confidence": 0.9},), tokens=3),
        page(2, state="blank"),
        page(3, "x", "fallback", reason="repetition", attempts=({"engine": "vlm", "seconds": 1.5, "reason": "loop"},)),
        page(8, state="failed", reason="poison", rotation=270, cached=True, seconds=0.25),
        page(9, state="queued"),
    ]
    result = as_json(*pages)
    jsonschema.validate(result, json.loads(SCHEMA.read_text()), jsonschema.Draft202012Validator)
    assert result["schema"] == "pagefan.result/2"
    assert result["job"] == JOB
    assert [each["page_number"] for each in result["pages"]] == [1, 2, 3, 8, 9]


def test_schema_refuses_a_page_without_a_state() -> None:
    result = as_json(page(1, "a"))
    del result["pages"][0]["state"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(result, json.loads(SCHEMA.read_text()), jsonschema.Draft202012Validator)


def test_document_without_pages_is_valid() -> None:
    assert as_json()["pages"] == []
    assert markdown() == plain() == ""


@pytest.mark.parametrize("write", [write_markdown, write_text, write_json])
@pytest.mark.parametrize("numbers", [(1, 3, 2), (1, 1)])
def test_pages_out_of_order_are_refused(write: Writer, numbers: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="comes after"):
        write([page(number) for number in numbers], io.StringIO())


@pytest.mark.parametrize("write", [write_markdown, write_text, write_json])
def test_memory_does_not_grow_with_the_document(write: Writer, tmp_path: Path) -> None:
    def pages() -> Iterator[PageResult]:
        for number in range(1, 1501):
            text = f"line of page {number}{' and so on' * 20}\n" * 40
            yield PageResult(index=number - 1, state="ok", text=text, blocks=(Block(kind="paragraph", text=text),))

    tracemalloc.start()
    try:
        with (tmp_path / "result").open("w", encoding="utf-8") as out:
            write(pages(), out)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "result").stat().st_size > 12_000_000
    assert peak < 6_000_000
