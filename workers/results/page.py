"""One page as results show it, and what stands in the place of a page that has no text.

All writers take the pages in page order, each once; `in_order` raises ValueError for another order. A page that is
missing keeps its place and says why, so that no result looks complete that is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from workers.layout.blocks import Block

WITH_TEXT = frozenset({"ok", "blank", "fallback"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PageResult:
    """One page as results show it. `index` is 0-based, people see `page_number`.

    `state` is ok, blank, fallback, failed or cancelled, or that of a page still under way; `reason` is a word for
    machines and `detail` a sentence for people, both empty for a page that went well. `width` and `height` are
    pixels of the page image and `rotation` degrees clockwise. `text_layer_recall` is the share, 0 to 1, of the words
    in a PDF's own sound text that `text` has too, None where there is no such text to compare. `confidence` is how
    sure the engine was of its lines, 0 to 1, None where it gives none; `notices` are words for what to look at;
    `is_corrected` says whether a person has corrected the text. `data` is the JSON that was extracted, `values` are its
    records {path, value, page_number, box}. `lines` are records {text, box, confidence}, `blocks`
    are made of them, in reading order, and `attempts` are records {engine, seconds, reason}.
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
    is_corrected: bool = False
    data: Any = None
    values: tuple[Mapping[str, Any], ...] = ()
    lines: tuple[Mapping[str, Any], ...] = ()
    blocks: tuple[Block, ...] = ()
    attempts: tuple[Mapping[str, Any], ...] = ()

    @property
    def page_number(self) -> int:
        return self.index + 1

    @property
    def has_text(self) -> bool:
        return self.state in WITH_TEXT


RECORD_FIELDS = tuple(spec.name for spec in fields(PageResult) if spec.name != "index")


def page_record(page: PageResult) -> dict[str, Any]:
    """The page as JSON has it, with people's number in place of the index."""
    record = {name: getattr(page, name) for name in RECORD_FIELDS}
    if page.data is None:
        del record["data"], record["values"]
    record["blocks"] = [block.to_json() for block in page.blocks]
    return {"page_number": page.page_number} | record


def missing_text(page: PageResult) -> str:
    """What stands in the place of a page that has no text of its own."""
    if page.state == "failed":
        why = ": ".join(filter(None, (page.reason, " ".join(page.detail.split()))))
        return f"[VLM_ERROR page {page.page_number}]: {why or 'unknown'}"
    if page.state == "cancelled":
        return f"[page {page.page_number} was cancelled]"
    return f"[page {page.page_number} is not finished: {page.state}]"


def image_name(page_number: int) -> str:
    """The page's image, as a path in the ZIP of results."""
    return f"pages/{page_number:06d}.png"


def in_order(pages: Iterable[PageResult]) -> Iterator[PageResult]:
    before = -1
    for page in pages:
        if page.index <= before:
            raise ValueError(f"page {page.page_number} comes after page {before + 1}")
        before = page.index
        yield page
