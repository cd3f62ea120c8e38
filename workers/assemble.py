"""Writes results from pages, one page at a time: memory does not grow with the document.

All writers take the pages in page order, each once; they raise ValueError for another order. A page that is
missing keeps its place and says why, so that no result looks complete that is not.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import IO, Any

from workers.documents.selection import Selection

SCHEMA = "pagefan.result/1"  # described in web/site/static/result.schema.json; a change that breaks readers raises it
SPOOL_CHARS = 1_000_000  # a longer result waits on disk until its head is known

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageResult:
    """One page as results show it. `index` is 0-based, people see `page_number`.

    `state` is ok, blank, fallback, failed or cancelled, or that of a page still under way; `reason` is a word for
    machines and `detail` a sentence for people, both empty for a page that went well. `width` and `height` are
    pixels of the page image and `rotation` degrees clockwise. `text_layer_recall` is the share, 0 to 1, of the words
    in a PDF's own sound text that `text` has too, None where there is no such text to compare. `confidence` is how
    sure the engine was of its lines, 0 to 1, None where it gives none; `notices` are words for what to look at. `lines`
    are records {text, box, confidence} and `attempts` records {engine, seconds, reason}.
    """

    index: int
    state: str
    text: str = ""
    reason: str = ""
    detail: str = ""
    engine: str = ""
    stop_reason: str = ""
    tokens: int = 0
    seconds: float = 0.0
    width: int = 0
    height: int = 0
    rotation: int = 0
    cached: bool = False
    text_layer_recall: float | None = None
    confidence: float | None = None
    notices: tuple[str, ...] = ()
    lines: tuple[Mapping[str, Any], ...] = ()
    attempts: tuple[Mapping[str, Any], ...] = ()

    @property
    def page_number(self) -> int:
        return self.index + 1


def write_markdown(pages: Iterable[PageResult], out: IO[str]) -> None:
    """Each page after an anchor `page-12` that links can go to.

    Where pages are missing, fallbacks or to be looked at, a note at the head names them; it needs all pages to be
    known, so that the body waits in a temporary file.
    """
    missing, fallback, noticed = [], [], []
    with tempfile.SpooledTemporaryFile(SPOOL_CHARS, "w+", encoding="utf-8", newline="") as body:
        for page in in_order(pages):
            if page.state == "fallback":
                fallback.append(page.index)
            elif page.state not in ("ok", "blank"):
                missing.append(page.index)
            if page.notices and page.index not in (*missing[-1:], *fallback[-1:]):
                noticed.append(page)
            body.write(page_markdown(page))
        out.write(_notice(missing, fallback, noticed))
        body.seek(0)
        shutil.copyfileobj(body, out)


def write_text(pages: Iterable[PageResult], out: IO[str]) -> None:
    """Plain text with a form feed after each page, as pdftotext writes it."""
    for page in in_order(pages):
        out.write(page_text(page))


def page_markdown(page: PageResult) -> str:
    """The page's part of the Markdown."""
    text = _markdown(page)
    return f'<a id="page-{page.page_number}"></a>\n\n' + (f"{text}\n\n" if text else "")


def page_text(page: PageResult) -> str:
    """The page's part of the plain text."""
    text = page.text.strip() if page.state in ("ok", "blank", "fallback") else missing_text(page)
    return f"{text}\n\f" if text else "\f"


def write_json(job: Mapping[str, Any], pages: Iterable[PageResult], out: IO[str]) -> None:
    """One object {schema, job, pages}, a line a page; `job` has to be plain JSON values."""
    out.write(f'{{"schema": {_dump(SCHEMA)},\n"job": {_dump(job)},\n"pages": [')
    for position, page in enumerate(in_order(pages)):
        out.write(",\n" if position else "\n")
        out.write(_dump(page_record(page)))
    out.write("\n]}\n")


def page_record(page: PageResult) -> dict[str, Any]:
    """The page as JSON has it, with people's number in place of the index."""
    record = asdict(page)
    del record["index"]
    return {"page_number": page.page_number} | record


def missing_text(page: PageResult) -> str:
    """What stands in the place of a page that has no text of its own."""
    if page.state == "failed":
        why = ": ".join(filter(None, (page.reason, " ".join(page.detail.split()))))
        return f"[VLM_ERROR page {page.page_number}]: {why or 'unknown'}"
    if page.state == "cancelled":
        return f"[page {page.page_number} was cancelled]"
    return f"[page {page.page_number} is not finished: {page.state}]"


def in_order(pages: Iterable[PageResult]) -> Iterator[PageResult]:
    before = -1
    for page in pages:
        if page.index <= before:
            raise ValueError(f"page {page.page_number} comes after page {before + 1}")
        before = page.index
        yield page


def _markdown(page: PageResult) -> str:
    if page.state in ("ok", "blank"):
        return _closed(page.text.strip())
    if page.state == "fallback":
        reason = f": {page.reason}" if page.reason else ""
        return f"*Page {page.page_number} is a fallback{reason}.*\n\n{_closed(page.text.strip())}"
    # Without the backslash "[x]: y" would be a link definition, which shows nothing.
    return "\\" + missing_text(page)


def _closed(text: str) -> str:
    """`text` with its last code block closed, as an open one would swallow the pages that follow."""
    fence = ""
    for match in filter(None, map(_FENCE.fullmatch, text.splitlines())):
        mark, rest = match[1], match[2]
        if not fence:
            fence = mark if mark[0] == "~" or "`" not in rest else ""
        elif mark.startswith(fence) and not rest.strip():
            fence = ""
    return f"{text}\n{fence}" if fence else text


def _notice(missing: list[int], fallback: list[int], noticed: list[PageResult]) -> str:
    notes = []
    if missing:
        notes.append(f"Missing pages: {_numbers(missing)}.")
    if fallback:
        notes.append(f"Fallback pages: {_numbers(fallback)}.")
    for word in dict.fromkeys(notice for page in noticed for notice in page.notices):
        numbers = _numbers([page.index for page in noticed if word in page.notices])
        notes.append(f"Pages to look at ({word.replace('_', ' ')}): {numbers}.")
    return f"> {' '.join(notes)}\n\n" if notes else ""


def _numbers(indexes: list[int]) -> str:
    return str(Selection.of(indexes)).replace(",", ", ")


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
