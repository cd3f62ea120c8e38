"""Pages on their way to standard output: in page order, each as soon as it is whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tasks.reasons import explain
from workers.layout.blocks import Block
from workers.results.page import PageResult
from workers.results.text import page_text

Json = dict[str, Any]


class PageQueue:
    """Holds a page back until its layout is found, and those after it.

    Marks of pages without text wait until a page with text comes, for a job without any writes nothing.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, Json] = {}
        self._last = 0  # number of the last page that went
        self._marks = ""

    def add(self, page: Json) -> str:
        """What can be written now that this page, or more of it, is known. Pages come in order at first."""
        if page["page_number"] > self._last:
            self._waiting[page["page_number"]] = page
        text = ""
        while self._waiting and is_whole(self._waiting[first := next(iter(self._waiting))]):
            text += self._take(self._waiting.pop(first))
        return text

    def rest(self, read: Callable[[int], Json]) -> str:
        """What is left when the job has ended; `read` gives a page by its number, as it is then."""
        text = "".join(self._take(read(number)) for number in list(self._waiting))
        self._waiting.clear()
        return text + self._marks

    def _take(self, page: Json) -> str:
        self._last = page["page_number"]
        text = self._marks + piece_of(page)
        has_text = page["state"] not in ("failed", "cancelled")
        self._marks = "" if has_text else text
        return text if has_text else ""


def is_whole(page: Json) -> bool:
    return bool(page["blocks"]) or not page["text"].strip()


def piece_of(page: Json) -> str:
    """The page's part of a result, as the server writes it."""
    fault = page["fault"] or {"reason": "", "detail": ""}
    reason, detail = fault["reason"], fault["detail"]
    is_stored = page["state"] == "failed" or detail != explain(reason, "")
    result = PageResult(
        index=page["page_number"] - 1,
        state=page["state"],
        text=page["text"],
        reason=reason,
        detail=detail if is_stored else "",  # results have only the words of the page itself
        blocks=tuple(map(Block.from_json, page["blocks"])),
    )
    return page_text(result)
