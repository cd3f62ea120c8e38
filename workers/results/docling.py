"""The document as a DoclingDocument, the JSON that docling's clients, LangChain and LlamaIndex read.

Boxes are pixels of the page images, y downwards, and so are the sizes of pages. The parts of the file
wait on disk until the last page, for the schema keeps items by their kind; in memory stay the sizes of pages and the
groups of an open list.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import IO, Any, Literal, Self, get_args

from workers.layout.blocks import FURNITURE, Block
from workers.results.captions import captions_of
from workers.results.docling_items import (
    BODY,
    LABELS,
    MOST_LEVELS,
    Record,
    code_values,
    floating_record,
    list_values,
    node,
    page_record,
    table_data,
    text_record,
)
from workers.results.flow import Flowed, Item, Place, flow
from workers.results.json_file import dump
from workers.results.outline import Outline, with_outline
from workers.results.page import PageResult, missing_text

VERSION = "1.1.0"  # of the schema; docling-core refuses one above its own
SPOOL_CHARS = 1_000_000

Part = Literal["texts", "tables", "pictures", "groups", "children", "pages"]
PARTS: tuple[Part, ...] = get_args(Part)


def write_docling(name: str, pages: Iterable[PageResult], outline: Outline, out: IO[str]) -> None:
    """Write the document; the pages come in order, and `outline` is of the same pages."""
    has_title = any(kind == "title" for settled in outline.settled.values() for kind, _ in settled)
    with DoclingWriter(has_title=has_title) as writer:
        settled = with_outline(pages, outline)
        for flowed in flow(writer.noted(settled), keep_furniture=True, compounds=outline.compounds):
            writer.add_page(flowed)
        writer.write(name, out)


class DoclingWriter:
    """The parts of the file, on disk when they are long, and the groups of the list that is open."""

    def __init__(self, *, has_title: bool) -> None:
        self._stack = ExitStack()
        self._parts: dict[Part, IO[str]] = {}
        self._counts: dict[Part, int] = dict.fromkeys(PARTS, 0)
        self._groups: list[Record] = []  # all of one outermost list, to be written when it ends
        self._nested: list[Record] = []  # those of them that are open, outermost first
        self._sizes: dict[int, tuple[int, int]] = {}
        self._levels_above = 1 if has_title else 0  # headings: the title, which is none here, has the first level

    def __enter__(self) -> Self:
        for part in PARTS:
            spool = tempfile.SpooledTemporaryFile(SPOOL_CHARS, "w+", encoding="utf-8", newline="")
            self._parts[part] = self._stack.enter_context(spool)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def noted(self, pages: Iterable[PageResult]) -> Iterator[PageResult]:
        """The same pages, with the size of each known before its items come."""
        for page in pages:
            self._sizes[page.page_number] = (page.width, page.height)
            self._put("pages", f'"{page.page_number}": {dump(page_record(page))}')
            yield page

    def add_page(self, flowed: Flowed) -> None:
        if not flowed.page.has_text:
            self._close_list()
            self._add_text(missing_item(flowed.page))
        captions = captions_of(flowed.items)
        owned = {owner: flowed.items[caption] for caption, owner in captions.items()}
        for place, item in enumerate(flowed.items):
            if place not in captions:
                self._add(item, owned.get(place))

    def write(self, name: str, out: IO[str]) -> None:
        self._close_list()
        root = {"name": "_root_", "label": "unspecified"}
        furniture = {"self_ref": "#/furniture", "content_layer": "furniture", "children": []} | root
        head = {"schema_name": "DoclingDocument", "version": VERSION, "name": name, "furniture": furniture}
        body = {"self_ref": BODY, "content_layer": "body"} | root
        out.write(f'{dump(head)[:-1]},\n"body": {dump(body)[:-1]}, "children": [')
        self._copy("children", out)
        for part in ("texts", "tables", "pictures", "groups"):
            out.write("]},\n" if part == "texts" else "],\n")
            out.write(f'"{part}": [')
            self._copy(part, out)
        out.write('],\n"key_value_items": [],\n"pages": {')
        self._copy("pages", out)
        out.write("}}\n")

    def _add(self, item: Item, caption: Item | None) -> None:
        block = item.block
        if block.kind != "list_item":
            self._close_list()
        if block.kind == "figure":
            self._add_floating("pictures", "picture", item, caption)
        elif block.kind == "table" and block.cells:
            self._add_floating("tables", "table", item, caption)
        elif item.text.strip():
            self._add_text(item)

    def _add_text(self, item: Item, parent: Record | None = None, label: str = "") -> Record:
        """Write an item as text below `parent`, the body where there is none; gives the pointer to it."""
        block, values = item.block, dict[str, Any]()
        label = label or LABELS.get(block.kind, "text")
        if block.kind == "list_item":
            label, values = list_values(block)
            parent = self._group_for(block) if label == "list_item" else None
        elif block.kind == "heading":
            values = {"level": min(max(1, block.level - self._levels_above), MOST_LEVELS)}
        elif block.kind == "code":
            values = code_values(block)
        pointer = self._next("texts")
        layer = "furniture" if block.kind in FURNITURE else "body"
        record = text_record(pointer["$ref"], parent["self_ref"] if parent else BODY, layer, label, item, self._sizes)
        self._put("texts", dump(record | values))
        self._hang(pointer, parent)
        return pointer

    def _add_floating(self, part: Part, label: str, item: Item, caption: Item | None) -> None:
        """Write a picture or a table with its caption, and what was read inside a picture, below it."""
        pointer = self._next(part)
        record = floating_record(pointer["$ref"], label, item, self._sizes)
        if caption and caption.text.strip():
            record["captions"] = [self._add_text(caption, record)]
        if part == "tables":
            record["data"] = table_data(item.block)
        elif item.text.strip():
            self._add_text(item, record)
        self._put(part, dump(record))
        self._hang(pointer, None)

    def _group_for(self, block: Block) -> Record:
        """The group that a list item hangs in, by its level; opened where there is none."""
        depth = min(max(block.level, 1), len(self._nested) + 1)
        del self._nested[depth:]
        if len(self._nested) < depth:
            pointer = {"$ref": f"#/groups/{self._counts['groups'] + len(self._groups)}"}
            parent = self._nested[-1] if self._nested else None
            group = node(pointer["$ref"], parent["self_ref"] if parent else BODY) | {"name": "list", "label": "list"}
            self._hang(pointer, parent)
            self._groups.append(group)
            self._nested.append(group)
        return self._nested[-1]

    def _close_list(self) -> None:
        for group in self._groups:
            self._put("groups", dump(group))
        self._groups.clear()
        self._nested.clear()

    def _hang(self, pointer: Record, parent: Record | None) -> None:
        if parent is None:
            self._put("children", dump(pointer))
        else:
            parent["children"].append(pointer)

    def _next(self, part: Part) -> Record:
        return {"$ref": f"#/{part}/{self._counts[part]}"}

    def _put(self, part: Part, record: str) -> None:
        self._parts[part].write(f",\n{record}" if self._counts[part] else f"\n{record}")
        self._counts[part] += 1

    def _copy(self, part: Part, out: IO[str]) -> None:
        self._parts[part].seek(0)
        shutil.copyfileobj(self._parts[part], out)


def missing_item(page: PageResult) -> Item:
    """What stands in the place of a page without text, so that its absence shows."""
    return Item(Block(kind="paragraph", text=missing_text(page)), places=[Place(page.page_number, None)])
