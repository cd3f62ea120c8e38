"""Pages that a model wrote as HTML, as Chandra does: a `div` for each block, with its label and its box.

`<div data-bbox="61 48 905 92" data-label="Section-Header"><h1>…</h1></div>`; numbers stand with or without brackets,
and are 0 to 1024 or 0 to 1000 as its prompt says (datalab-to/chandra, prompts.py and output.py). HTML without such
blocks is read by its own elements, and an answer without any HTML as Markdown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from workers.layout.blocks import Block, BlockKind, Box
from workers.layout.dialects.answer import Answer, box_of, heading
from workers.layout.dialects.html import TableReader, shown
from workers.layout.dialects.markdown import read_markdown
from workers.layout.dialects.otsl import text_of
from workers.layout.dialects.tags import TAG, Tag, pieces

KINDS: dict[str, BlockKind] = {
    "caption": "caption",
    "footnote": "footnote",
    "equation-block": "formula",
    "page-header": "page_header",
    "page-footer": "page_footer",
    "image": "figure",
    "figure": "figure",
    "diagram": "figure",
    "section-header": "heading",
    "code-block": "code",
}
SECTION_LEVEL = 2  # of a header whose own tag says none
NUMBER = re.compile(r"\d{1,5}(?:\.\d{1,3})?")
FENCE = re.compile(r"\A\s*```(?:html)?[ \t]*\n|\n```\s*\Z")
TICKED = re.compile(r"\[([ x])\]\s*")
ENDS_TEXT = {"p", "div", "blockquote", "hr", "form", "header", "footer", "body", "html"}


@dataclass(slots=True)
class Place:
    """The labelled block that is open; of a figure also what it says, for there is one figure whatever stands in it."""

    label: str = ""
    box: Box | None = None
    said: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Page:
    """Takes pieces in their order; `blocks` are what has ended."""

    blocks: list[Block] = field(default_factory=list)
    place: Place = field(default_factory=Place)
    divs: list[bool] = field(default_factory=list)  # those that are open: whether each is a labelled block
    lists: list[tuple[str, int]] = field(default_factory=list)  # kind, items so far
    level: int = 0  # of the heading that is open
    inside: str = ""  # item, formula or code, where one is open
    parts: list[str] = field(default_factory=list)
    table: TableReader | None = None

    def take(self, piece: Tag | str) -> None:
        if self.table is not None:
            self.table.take(piece)
            if not self.table.is_open:
                self.end_table()
        elif isinstance(piece, str):
            self.parts.append(piece)
        elif piece.is_end:
            self.end(piece.name)
        else:
            self.begin(piece)

    def begin(self, tag: Tag) -> None:
        name = tag.name
        if name in ("br", "img", "input", "math", "pre", "code"):
            self.begin_inline(tag)
            return
        if name in ENDS_TEXT or name in ("ul", "ol", "li", "table", "tr", "td", "th") or name[0] == "h":
            self.flush()
        if name == "div":
            self.begin_div(tag)
        elif name in ("ul", "ol"):
            self.lists.append((name, 0))
        elif name == "li":
            self.inside = "item"
            self.lists[-1:] = [(kind, number + 1) for kind, number in self.lists[-1:]]
        elif name == "table":
            self.table = TableReader()
            self.table.take(tag)
        elif len(name) == 2 and name[0] == "h" and name[1].isdigit():
            self.level = int(name[1])

    def begin_div(self, tag: Tag) -> None:
        is_block = tag.has("data-bbox") or tag.has("data-label")
        self.divs.append(is_block)
        if is_block:
            self.end_place()
            numbers = [float(number) for number in NUMBER.findall(tag.value("data-bbox"))]
            self.place = Place(label=tag.value("data-label").lower(), box=box_of(numbers[:4]))

    def begin_inline(self, tag: Tag) -> None:
        if tag.name == "br":
            self.parts.append("\n")
        elif tag.name == "math" and "block" in tag.value("display"):
            self.flush()
            self.inside = "formula"
        elif tag.name == "math":
            self.parts.append(" $")
        elif tag.name == "pre":
            self.flush()
            self.inside = "code"
        elif tag.name == "img" and KINDS.get(self.place.label) != "figure":
            self.flush()
            self.emit("figure", tag.value("alt"))
        elif tag.name in ("img", "input"):
            self.parts.append(shown(tag))

    def end(self, name: str) -> None:
        if name == "math" and self.inside != "formula":
            self.parts.append("$ ")
        elif name in ENDS_TEXT or name in ("ul", "ol", "li", "pre", "math") or (len(name) == 2 and name[0] == "h"):
            self.flush()
        if name in ("ul", "ol"):
            del self.lists[-1:]
        if name == "div" and self.divs and self.divs.pop():
            self.end_place()

    def end_place(self) -> None:
        """End the labelled block; a figure without a word is one all the same."""
        if KINDS.get(self.place.label) == "figure" and (self.place.said or self.place.box):
            self.blocks.append(Block(kind="figure", text="\n".join(self.place.said), box=self.place.box))
        self.place = Place()

    def end_table(self) -> None:
        assert self.table is not None
        self.table.close()
        loose, cells = " ".join("".join(self.table.loose).split()), tuple(self.table.cells)
        self.table = None
        if loose:
            self.emit("caption", loose)
        if cells:
            self.blocks.append(Block(kind="table", text=text_of(cells), cells=cells, box=self.place.box))

    def flush(self) -> None:
        """End the text that is open, as what it stands in."""
        raw, self.parts = "".join(self.parts), []
        inside, self.inside = self.inside, ""
        level, self.level = self.level, 0
        if not raw.strip():
            return
        labelled = KINDS.get(self.place.label, "paragraph")
        if inside == "code" or labelled == "code":
            self.emit("code", raw.strip("\n"))
        elif inside == "formula" or labelled == "formula":
            self.emit("formula", " ".join(raw.split()).strip("$ "))
        elif inside == "item" or (self.lists and labelled == "paragraph"):
            self.emit_item(" ".join(raw.split()))
        elif level or labelled == "heading":
            self.blocks.append(heading(raw, level or SECTION_LEVEL, self.place.box))
        else:
            lines = (" ".join(line.split()) for line in raw.split("\n"))
            text = "\n".join(filter(None, lines)) if "\n" in raw.strip() else " ".join(raw.split())
            if labelled == "figure":
                self.place.said.append(text)
            else:
                self.emit(labelled, text)

    def emit_item(self, text: str) -> None:
        kind, number = self.lists[-1] if self.lists else ("ul", 0)
        ticked = TICKED.match(text)
        marker = f"[{ticked[1]}]" if ticked else f"{max(number, 1)}." if kind == "ol" else "-"
        text = text[ticked.end() :] if ticked else text
        level = max(1, len(self.lists))
        self.blocks.append(Block(kind="list_item", text=text, marker=marker, level=level, box=self.place.box))

    def emit(self, kind: BlockKind, text: str) -> None:
        if text.strip():
            block = Block(kind=kind, text=text, box=self.place.box)
            self.blocks.append(replace(block, markup="latex") if kind == "formula" else block)


def read_html_page(text: str) -> Answer:
    """The blocks of one page; boxes are in the numbers of the prompt."""
    if not TAG.search(text):
        return Answer(blocks=read_markdown(text))
    page = Page()
    for piece in pieces(FENCE.sub("", text)):
        page.take(piece)
    if page.table is not None:
        page.end_table()
    page.flush()
    page.end_place()
    return Answer(blocks=tuple(page.blocks))
