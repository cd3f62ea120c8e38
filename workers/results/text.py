"""Plain text of each page by itself, with a form feed after it, as pdftotext writes it.

Nothing is left out: running heads and page numbers stand where the page has them, as only the whole document could tell
them apart. So a page can be written as soon as it has been read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO

from workers.layout.blocks import Block
from workers.results.page import PageResult, in_order, missing_text
from workers.results.prose import join_lines


def write_text(pages: Iterable[PageResult], out: IO[str]) -> None:
    for page in in_order(pages):
        out.write(page_text(page))


def page_text(page: PageResult) -> str:
    """The page's part of the plain text."""
    text = text_of(page) if page.has_text else missing_text(page)
    return f"{text}\n\f" if text else "\f"


def text_of(page: PageResult) -> str:
    """A block a paragraph; as it was written where a language model wrote."""
    if not page.blocks or any(block.markup for block in page.blocks):
        return page.text.strip()
    return "\n\n".join(filter(None, map(block_text, page.blocks)))


def block_text(block: Block) -> str:
    if block.kind in ("code", "table"):
        return block.text
    return f"{block.marker} {join_lines(block.text)}".strip()
