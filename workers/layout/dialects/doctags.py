"""DocTags, in which SmolDocling and granite-docling write a page, as blocks.

A tag around each element, with four `<loc_…>` tokens from 0 to 500 inside it, and tables in OTSL; the tags are those of
docling-core, types/doc/tokens.py. Nothing is escaped, so that only tags that are known count as such. An element that
is not closed ends where the next one begins, as answers are cut off by their longest length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from workers.layout.blocks import Block, BlockKind
from workers.layout.dialects.answer import Answer, box_of, heading
from workers.layout.dialects.otsl import TOKEN, table_block

KINDS: dict[str, BlockKind] = {
    "text": "paragraph",
    "paragraph": "paragraph",
    "reference": "paragraph",
    "handwritten_text": "paragraph",
    "key_value_region": "paragraph",
    "key_value_map": "paragraph",
    "form": "paragraph",
    "smiles": "paragraph",
    "title": "title",
    "list_item": "list_item",
    "checkbox_selected": "list_item",
    "checkbox_unselected": "list_item",
    "otsl": "table",
    "table": "table",
    "document_index": "table",
    "chart": "table",
    "picture": "figure",
    "caption": "caption",
    "formula": "formula",
    "code": "code",
    "footnote": "footnote",
    "page_header": "page_header",
    "page_footer": "page_footer",
}
LISTS = {"ordered_list", "unordered_list"}
SILENT = {"doctag", "document", "page_break", "inline", "group"}
TAG = re.compile(
    rf"<(/?)(section_header_level_\d|{'|'.join(sorted({*KINDS, *LISTS, *SILENT}, key=len, reverse=True))})>"
    r"|<\|?(?:end_of_utterance|end_of_text|im_end|endoftext)\|?>"
)
LOC = re.compile(r"<loc_(\d{1,4})>")
INSIDE = re.compile(r"<(?:key|value)_\d{1,4}>|</(?:key|value)_\d{1,4}>|<link_\d{1,4}>")
LANGUAGE = re.compile(r"<_([^<>\n]{1,30})_>")
CLASS = re.compile(r"<[a-z_]{3,40}>")  # of a picture: `<bar_chart>`, `<logo>`
MARKER = re.compile(r"(\d{1,3}[.)]|[•·▪◦–*-])\s+(?=\S)")
WITH_CAPTION = {"table", "figure"}
WITHIN = {"formula", "code", "paragraph"}  # are part of a paragraph or an item that they stand in
RUNNING = {"paragraph", "list_item", "caption", "footnote"}


@dataclass(slots=True)
class Element:
    """An element that is open: its tag, how it was found, and its text so far."""

    tag: str = "text"
    level: int = 0
    marker: str = ""
    parts: list[str] = field(default_factory=list)

    @property
    def kind(self) -> BlockKind:
        return "heading" if self.tag.startswith("section_header") else KINDS[self.tag]


class Page:
    """Takes tags and texts in their order; `blocks` are of the elements that have ended."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._open: list[Element] = []  # an element, and a caption within it
        self._lists: list[list[str | int]] = []  # kind, items so far

    def tag(self, name: str, is_end: bool) -> None:
        if name in LISTS:
            self.end_all()
            if is_end:
                del self._lists[-1:]
            else:
                self._lists.append([name, 0])
        elif name not in SILENT:
            self.end(name) if is_end else self.begin(name)

    def begin(self, name: str) -> None:
        element = Element(tag=name)
        if self._open and element.kind in WITHIN and self._open[-1].kind in RUNNING and self._open[-1].tag != name:
            return
        if not (element.kind == "caption" and self._open and self._open[-1].kind in WITH_CAPTION):
            self.end_all()
        if element.kind == "list_item":
            element.level, element.marker = max(1, len(self._lists)), self.next_marker(name)
        self._open.append(element)

    def next_marker(self, name: str) -> str:
        if name.startswith("checkbox"):
            return "[x]" if name == "checkbox_selected" else "[ ]"
        if not self._lists or self._lists[-1][0] == "unordered_list":
            return "-"
        number = int(self._lists[-1][1]) + 1
        self._lists[-1][1] = number
        return f"{number}."

    def text(self, text: str) -> None:
        if not self._open and text.strip():
            self._open.append(Element())
        if self._open:
            self._open[-1].parts.append(text)

    def end(self, name: str) -> None:
        """End the element of this name with what it holds; an end of none that is open is nothing."""
        if any(element.tag == name for element in self._open):
            while self._open[-1].tag != name:
                self.finish(self._open.pop())
            self.finish(self._open.pop())

    def end_all(self) -> None:
        while self._open:
            self.finish(self._open.pop())

    def finish(self, element: Element) -> None:
        self.blocks += blocks_of(element)


def read_doctags(text: str) -> Answer:
    """The blocks of one page; boxes are 0 to 500."""
    page, read = Page(), 0
    for found in TAG.finditer(text):
        page.text(text[read : found.start()])
        read = found.end()
        if found[2]:
            page.tag(found[2], bool(found[1]))
    page.text(text[read:])
    page.end_all()
    return Answer(blocks=tuple(page.blocks))


def blocks_of(element: Element) -> list[Block]:
    raw = " ".join(element.parts) if element.kind != "code" else "".join(element.parts)
    box = box_of([float(number) for number in LOC.findall(raw)][:4])
    raw = LOC.sub("", raw)
    if element.kind == "code":
        language = LANGUAGE.match(raw.strip())
        code = (raw.strip()[language.end() :] if language else raw).strip("\n")
        return [Block(kind="code", text=code, marker=language[1].lower() if language else "", box=box)] if code else []
    if element.kind in WITH_CAPTION and TOKEN.search(raw):
        return table_block(without_classes(raw), box)
    text = " ".join((without_classes(raw) if element.kind in WITH_CAPTION else INSIDE.sub(" ", raw)).split())
    if element.kind in ("title", "heading"):
        level = 1 if element.kind == "title" else int(element.tag[-1]) + 1
        return [heading(text, level, box, kind=element.kind)] if text else []
    if element.kind == "figure":
        return [Block(kind="figure", text=text, box=box)] if text or box else []
    if not text:
        return []
    if element.kind == "list_item":
        return [item(element, text, box)]
    if element.kind == "formula":
        return [Block(kind="formula", text=text, markup="latex", box=box)]
    return [Block(kind="paragraph" if element.kind == "table" else element.kind, text=text, box=box)]


def without_classes(raw: str) -> str:
    """Without the names of classes of pictures, which are tags; cells of tables have tags of their own."""
    return CLASS.sub(lambda found: found[0] if TOKEN.fullmatch(found[0]) else "", raw)


def item(element: Element, text: str, box: tuple[float, float, float, float] | None) -> Block:
    """An item of a list; the mark that the model wrote goes before the one that its list says."""
    written = MARKER.match(text)
    marker, text = (written[1], text[written.end() :]) if written else (element.marker, text)
    return Block(kind="list_item", text=text, level=element.level, marker=marker, box=box)
