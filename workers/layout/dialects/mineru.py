"""What MinerU2.5 writes: first where what stands on the page, then, asked for each crop, its text, table or formula.

`<|box_start|>100 200 300 400<|box_end|><|ref_start|>title<|ref_end|><|rotate_up|>`, a line each, in thousandths of
the page; tables are OTSL, formulas LaTeX (opendatalab/mineru-vl-utils, mineru_client.py and structs.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from workers.layout.blocks import Block, BlockKind, Box
from workers.layout.dialects.answer import Answer, box_of, heading
from workers.layout.dialects.markdown import read_markdown
from workers.layout.dialects.otsl import TOKEN, table_block

KINDS: dict[str, BlockKind] = {
    "title": "heading",
    "table": "table",
    "image": "figure",
    "chart": "figure",
    "code": "code",
    "algorithm": "code",
    "header": "page_header",
    "footer": "page_footer",
    "page_number": "page_footer",
    "page_footnote": "footnote",
    "table_footnote": "footnote",
    "image_footnote": "footnote",
    "equation": "formula",
    "table_caption": "caption",
    "image_caption": "caption",
    "code_caption": "caption",
}
UNREAD = frozenset({"image", "chart", "list", "equation_block"})  # pictures, and frames around other regions
TURNS = {"rotate_up": 0, "rotate_right": 270, "rotate_down": 180, "rotate_left": 90}  # clockwise, to make it upright
REGION = re.compile(
    r"<\|box_start\|>[ \t]{0,9}(\d{1,4})[ \t]{1,9}(\d{1,4})[ \t]{1,9}(\d{1,4})[ \t]{1,9}(\d{1,4})"
    r"[ \t]{0,9}<\|box_end\|>(?:<\|ref_start\|>(\w{1,30})<\|ref_end\|>)?(?:<\|(rotate_\w{2,5})\|>)?"
)
MARK = re.compile(r"<\|(?:im_end|endoftext|txt_contd|rotate_\w{2,5}|box_start|box_end|ref_start|ref_end)\|>")
GRID = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A part of the page: its kind in the model's words, its box, and the clockwise turn that makes it upright."""

    label: str
    box: Box
    turn: int = 0


def regions_of(text: str) -> list[Region]:
    """The regions that an answer names, in reading order; those without an area are left out."""
    found = []
    for match in REGION.finditer(text):
        box = box_of([min(float(number), GRID) for number in match.groups()[:4]])
        if box:
            found.append(Region(label=match[5] or "text", box=box, turn=TURNS.get(match[6] or "", 0)))
    return found


def read_region(region: Region, text: str) -> list[Block]:
    """The blocks of a region with what the model read in it."""
    text, kind = MARK.sub("", text).strip(), KINDS.get(region.label, "paragraph")
    if kind == "figure":
        return [Block(kind="figure", text=text, box=region.box)]
    if TOKEN.search(text):
        return table_block(text, region.box)
    if not text:
        return []
    if kind == "heading":
        return [heading(text.lstrip("# "), 1, region.box)]
    if kind == "formula":
        return [Block(kind="formula", text=without_dollars(text), markup="latex", box=region.box)]
    if kind == "code":
        return [Block(kind="code", text=text, box=region.box)]
    found = read_markdown(text)
    is_plain = len(found) == 1 and found[0].kind == "paragraph" and kind != "table"
    return [replace(block, box=region.box, kind=kind if is_plain else block.kind) for block in found]


def without_dollars(text: str) -> str:
    for opening, closing in (("\\[", "\\]"), ("$$", "$$"), ("\\(", "\\)")):
        if text.startswith(opening) and text.endswith(closing) and len(text) >= 4:
            return text[2:-2].strip()
    return text


def read_mineru(text: str) -> Answer:
    """The blocks of one answer, whichever it is; boxes are 0 to 1000."""
    blocks: list[Block] = []
    region, read = None, 0
    for found in [*REGION.finditer(text), None]:
        part = text[read : found.start() if found else len(text)]
        whole = Region(label="table" if TOKEN.search(part) else "text", box=(0, 0, GRID, GRID))
        blocks += read_region(region, part) if region else map(without_box, read_region(whole, part))
        if found:
            region = next(iter(regions_of(found[0])), None)
            read = found.end()
    return Answer(blocks=tuple(blocks))


def without_box(block: Block) -> Block:
    return replace(block, box=None)
