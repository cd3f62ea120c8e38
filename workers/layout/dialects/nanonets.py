"""What Nanonets-OCR writes: Markdown with HTML tables, and tags around what is no running text.

`<watermark>`, `<page_number>`, `<signature>`, `<header>`, `<footer>`, and `<img>` around what a picture shows; boxes to
tick are ☐, ☑ and ☒ (model card of nanonets/Nanonets-OCR2-3B).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from workers.layout.blocks import Block, BlockKind
from workers.layout.dialects.answer import Answer
from workers.layout.dialects.markdown import read_markdown

KINDS: dict[str, BlockKind] = {
    "watermark": "page_header",
    "header": "page_header",
    "page_number": "page_footer",
    "footer": "page_footer",
    "img": "figure",
    "signature": "paragraph",
}
TAG = re.compile(rf"<(/?)({'|'.join(KINDS)})>")
TABLE = re.compile(r"<(/?)table\b")
TICK = re.compile(r"^([ \t]*)(?:[-*][ \t]+)?([☐☑☒])[ \t]*(?=\S)", re.MULTILINE)


def read_nanonets(text: str) -> Answer:
    """The blocks of one page, without places."""
    blocks: list[Block] = []
    for part, kind in parts_of(text):
        if kind is None:
            blocks += read_markdown(TICK.sub(ticked, part))
        elif " ".join(part.split()):
            blocks.append(Block(kind=kind, text=" ".join(part.split())))
    return Answer(blocks=tuple(blocks))


def ticked(found: re.Match[str]) -> str:
    return f"{found[1]}- [{' ' if found[2] == '☐' else 'x'}] "


def parts_of(text: str) -> Iterator[tuple[str, BlockKind | None]]:
    """What stands in a tag at the beginning of a line, by its kind, and the Markdown between; other tags are taken out.

    In a table a tag says nothing, as it would tear the table.
    """
    held: list[str] = []
    kind: BlockKind | None = None
    read, is_in_table = 0, False
    for found in TAG.finditer(text):
        part = text[read : found.start()]
        held.append(part)
        read = found.end()
        tables = TABLE.findall(part)
        is_in_table = not tables[-1] if tables else is_in_table
        if found[1] and kind:
            yield "".join(held), kind
            held, kind = [], None
        elif not found[1] and not is_in_table and begins_line(text, found.start()):
            yield "".join(held), kind
            held, kind = [], KINDS[found[2]]
    yield "".join([*held, text[read:]]), kind


def begins_line(text: str, place: int) -> bool:
    """Whether nothing but spaces and tags stands before it on its line, of which 200 characters are looked at."""
    before = text[max(0, place - 200) : place].rpartition("\n")[2]
    return not TAG.sub("", before).strip() or before.rstrip().endswith(">")
