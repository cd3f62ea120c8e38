"""A page as a document to read: its blocks as HTML that can be cleared with the scan, and its Markdown.

Blocks carry `data-block` and `data-kind`, lines inside them `data-line`: what the scan beside it is marked by.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from flask import url_for
from markupsafe import Markup, escape

from tasks.ledger.records import Job
from web.api.block_html import Writer, block_html, items_html
from web.api.outputs import LineOut, PageTextOut
from web.api.page_source import blocks_shown, compounds_in, has_layout, source_of
from workers.documents.text_layer import TEXT_LAYER
from workers.layout.blocks import FURNITURE, Block
from workers.results.flow import Item
from workers.results.prose import TAKEN, end_of

UNSURE = 0.8  # confidence below which a line is marked


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a person reads of a page; `html` is empty where only the lines are known yet. `blocks` are in its order."""

    html: Markup
    source: str
    blocks: tuple[Block, ...]


def reading_of(job: Job, page: PageTextOut, *, with_furniture: bool = True) -> Reading:
    blocks = blocks_shown(job, page)
    if not has_layout(page, blocks):  # or not found yet
        return Reading(html=Markup(""), source="\n".join(line.text for line in page.lines), blocks=())
    parts = blocks_html(job.id, page, blocks, with_furniture=with_furniture)
    return Reading(html=Markup("\n").join(map(Markup, parts)), source=source_of(page, blocks), blocks=blocks)


def blocks_html(job_id: str, page: PageTextOut, blocks: Sequence[Block], *, with_furniture: bool) -> Iterator[str]:
    writer = LineWriter(page, blocks)
    list_items: list[Item] = []
    for number, block in enumerate(blocks):
        if block.kind in FURNITURE and not with_furniture:
            continue
        if block.kind == "list_item":
            list_items.append(Item(block))
            continue
        yield from items_html(list_items, writer)
        list_items.clear()
        yield framed(job_id, page, number, block, writer)
    yield from items_html(list_items, writer)


def framed(job_id: str, page: PageTextOut, number: int, block: Block, writer: LineWriter) -> str:
    picture = url_for("tables.get_figure", job_id=job_id, name=block.figure) if block.figure else ""
    anchor = f"p{page.page_number}-b{number}" if block.text.strip() else ""
    with_text = page.engine != TEXT_LAYER
    html = block_html(Item(block), anchor=anchor, picture=picture, with_figure_text=with_text, writer=writer)
    frame = Markup('<div class="block" data-block="{}" data-kind="{}">{}</div>')
    return frame.format(number, block.kind, Markup(html)) if html else ""


class LineWriter(Writer):
    """Writes the texts of one page's blocks with a span for each line."""

    first_level = 3  # below the page's own headings

    def __init__(self, page: PageTextOut, blocks: Sequence[Block]) -> None:
        self.lines = page.lines
        self.numbers = {id(block): number for number, block in enumerate(blocks)}
        self.compounds = compounds_in(blocks)
        self.rests = {id(block): list(block.lines) for block in blocks if block.cells}  # lines not in a cell yet

    def prose(self, item: Item) -> Markup:
        block = item.block
        texts = [" ".join(text.split()) for text in block.text.split("\n")]
        if block.markup or len(texts) != len(block.lines) or not all(texts):
            html = super().prose(Item(block if block.markup else replace(block, text=" ".join(texts))))
        else:
            pieces = zip(block.lines, joined(texts, self.compounds), strict=True)
            html = Markup("").join(self.span(line, text) for line, text in pieces)
        if block.kind != "list_item":
            return html
        number = self.numbers[id(block)]
        return Markup('<span class="block" data-block="{}" data-kind="list_item">{}</span>').format(number, html)

    def code(self, block: Block) -> Markup:
        """With its indentation; empty lines are no lines of the page."""
        texts = block.text.split("\n")
        if sum(bool(text.strip()) for text in texts) != len(block.lines):
            return super().code(block)
        lines = iter(block.lines)
        return Markup("\n").join(self.span(next(lines), text) if text.strip() else "" for text in texts)

    def cell(self, block: Block, text: str) -> Markup:
        """A cell's lines are the next ones of its table; a text that is none of them has no place."""
        rest = self.rests[id(block)]
        if block.markup or not rest:
            return super().cell(block, text)
        return Markup("<br>").join(self.cell_line(rest, part) for part in text.split("\n"))

    def cell_line(self, rest: list[int], text: str) -> Markup:
        words = text.split()
        found = next((line for line in rest if self.lines[line].text.split() == words), None)
        if found is None:
            return escape(text)
        rest.remove(found)
        return self.span(found, text)

    def span(self, line: int, text: str) -> Markup:
        return line_html(line, text, self.lines[line])


def line_html(number: int, text: str, line: LineOut) -> Markup:
    """The line, with a mark on the words in doubt, or on all of it where its engine does not tell which they are."""
    unsure = Markup(" data-unsure") if line.confidence < UNSURE and not line.doubts else ""
    return Markup('<span class="line" data-line="{}"{}>{}</span>').format(number, unsure, marked(text, line.doubts))


def marked(text: str, doubts: Sequence[str]) -> Markup:
    """The text with these of its words marked; one that is torn at its end may have lost its hyphen."""
    known = {*doubts, *(word.rstrip("-") for word in doubts)}
    parts = [
        Markup("<span data-unsure>{}</span>").format(part) if part in known else escape(part)
        for part in re.split(r"(\s+)", text)
    ]
    return Markup("").join(parts)


def joined(lines: Sequence[str], compounds: Collection[str]) -> list[str]:
    """The lines each with what joins it to the next, without the hyphen of a torn word."""
    ends = [end_of(before, after, compounds) for before, after in pairwise(lines)]
    return [line[:-1] if end == TAKEN else line + end for line, end in zip(lines, [*ends, ""], strict=True)]
