"""The document as Markdown. What a CommonMark renderer shows is what the pages say.

Where pages are missing, fallbacks or to be looked at, a note at the head names them; it needs all pages to be known, so
that the body waits in a temporary file.
"""

from __future__ import annotations

import html
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import IO, Literal

from workers.documents.selection import Selection
from workers.documents.text_layer import TEXT_LAYER
from workers.layout.blocks import Block
from workers.results.escape import escape_inline, escape_line, escape_lines
from workers.results.flow import Flowed, Item, flow, is_verbatim
from workers.results.grid import has_spans, write_html, write_pipes
from workers.results.items import Lists
from workers.results.outline import Outline, with_outline
from workers.results.page import PageResult, missing_text
from workers.results.prose import join_lines

PageMarks = Literal["comment", "anchor", "none"]
Tables = Literal["pipe", "html"]
SPOOL_CHARS = 1_000_000  # a longer result waits on disk until its head is known
MARKS = {"comment": "<!-- page {} -->", "anchor": '<a id="page-{}"></a>', "none": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkdownOptions:
    """How Markdown is written. `page_marks` stand where a page begins; `anchor` is one that links can go to.

    With `tables` "pipe" a table is a pipe table where no cell spans several fields, and HTML else.
    """

    page_marks: PageMarks = "comment"
    tables: Tables = "pipe"
    keep_furniture: bool = False

    def mark(self, page_number: int) -> str:
        return MARKS[self.page_marks].format(page_number)


DEFAULTS = MarkdownOptions()


def write_markdown(
    pages: Iterable[PageResult], outline: Outline, out: IO[str], options: MarkdownOptions = DEFAULTS
) -> None:
    """Write the document; the pages come in order, and `outline` is of the same pages."""
    missing, fallback, noticed = [], [], []
    lists = Lists()
    with tempfile.SpooledTemporaryFile(SPOOL_CHARS, "w+", encoding="utf-8", newline="") as body:
        settled = with_outline(pages, outline)
        for flowed in flow(settled, keep_furniture=options.keep_furniture, compounds=outline.compounds):
            page = flowed.page
            if page.state == "fallback":
                fallback.append(page.index)
            elif not page.has_text:
                missing.append(page.index)
            elif page.notices:
                noticed.append(page)
            body.write(page_markdown(flowed, options, lists))
        out.write(head_note(missing, fallback, noticed))
        body.seek(0)
        shutil.copyfileobj(body, out)


def page_markdown(flowed: Flowed, options: MarkdownOptions, lists: Lists) -> str:
    """What is written in the place of a page; `lists` are those that the page before leaves open."""
    page = flowed.page
    parts = [] if flowed.is_marked else [options.mark(page.page_number)]
    if any(parts) or page.state == "fallback" or not page.has_text:
        lists.close()
    if page.state == "fallback":
        reason = f": {page.reason}" if page.reason else ""
        parts.append(f"*Page {page.page_number} is a fallback{reason}.*")
    elif not page.has_text:
        parts.append("\\" + missing_text(page))  # without the backslash "[x]: y" would be a link definition
    parts.append(items_markdown(flowed.items, options, with_figures=page.engine != TEXT_LAYER, lists=lists))
    return "".join(f"{part}\n\n" for part in parts if part)


def items_markdown(
    items: Iterable[Item], options: MarkdownOptions, *, with_figures: bool, lists: Lists | None = None
) -> str:
    """Blocks with an empty line between them, but for items of a list; `lists` are those that are open before."""
    lists = lists or Lists()
    text = ""
    for item in items:
        is_list = item.block.kind == "list_item"
        started = lists.place(item.block) if is_list else None
        if not is_list:
            lists.close()
        own = block_markdown(item, options, with_figures=with_figures)
        if started is not None:
            own = f"{started}{own}"
        elif is_list and item.block.marker:
            own = f"{escape_line(item.block.marker + ' ')} {own}" if own else escape_line(item.block.marker)
        if own:
            text += ("\n" if started is not None and lists.is_going_on else "\n\n") + own if text else own
    return text


def as_markdown(blocks: Iterable[Block]) -> str:
    """The blocks of one page by themselves, all of them."""
    items = [Item(block if is_verbatim(block) else replace(block, text=join_lines(block.text))) for block in blocks]
    return items_markdown(items, DEFAULTS, with_figures=True)


def block_markdown(item: Item, options: MarkdownOptions, *, with_figures: bool) -> str:
    block = item.block
    match block.kind:
        case "title" | "heading":
            text = block.text if block.markup else escape_inline(block.text)
            return f"{'#' * max(1, block.level)} {heading_text(text)}" if text else ""
        case "table":
            return table_markdown(block, options)
        case "code":
            return code_markdown(block)
        case "formula" if block.markup == "latex":
            return f"$$\n{block.text}\n$$"
        case "figure" | "formula":
            picture = f"![](figures/{block.figure})" if block.figure else ""
            text = prose(item, options) if with_figures or block.kind == "formula" else ""
            return "\n\n".join(filter(None, (picture, text)))
    return prose(item, options)


def heading_text(text: str) -> str:
    """On one line, and not ending in what would be taken for the closing marks of the heading."""
    text = " ".join(text.split())
    return f"{text[:-1]}\\#" if text.endswith("#") and not text.endswith("\\#") else text


def prose(item: Item, options: MarkdownOptions) -> str:
    """The text in one paragraph, with the marks of the pages it goes on to."""
    if item.block.markup:
        return item.block.text
    text = escape_lines(item.block.text)
    for page_number, more in item.more:
        mark = options.mark(page_number)
        text = " ".join(filter(None, (text + (f" {mark}" if mark else ""), escape_inline(more))))
    return text


def table_markdown(block: Block, options: MarkdownOptions) -> str:
    if not block.cells:
        return escape_line(" ".join(block.text.split()))
    if options.tables == "pipe" and not has_spans(block.cells):
        return write_pipes(block.cells, is_markdown=block.markup == "markdown")
    return write_html(block.cells, cell_html)


def cell_html(text: str) -> str:
    """The text of a cell without empty lines, for Markdown takes one for the end of the table."""
    return html.escape("\n".join(line for line in text.splitlines() if line.strip()))


def code_markdown(block: Block) -> str:
    """Between fences that are longer than any inside."""
    longest = max((len(run) for run in block.text.replace("\n", " ").split() if set(run) == {"`"}), default=0)
    while "`" * (longest + 1) in block.text:
        longest += 1
    fence = "`" * max(3, longest + 1)
    return f"{fence}{block.marker}\n{block.text}\n{fence}"


def head_note(missing: list[int], fallback: list[int], noticed: list[PageResult]) -> str:
    notes = []
    if missing:
        notes.append(f"Missing pages: {numbers(missing)}.")
    if fallback:
        notes.append(f"Fallback pages: {numbers(fallback)}.")
    for word in dict.fromkeys(notice for page in noticed for notice in page.notices):
        found = numbers([page.index for page in noticed if word in page.notices])
        notes.append(f"Pages to look at ({word.replace('_', ' ')}): {found}.")
    return f"> {' '.join(notes)}\n\n" if notes else ""


def numbers(indexes: list[int]) -> str:
    return str(Selection.of(indexes)).replace(",", ", ")
