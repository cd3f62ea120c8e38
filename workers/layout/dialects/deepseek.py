"""What DeepSeek-OCR writes when it is asked with `<|grounding|>`: Markdown with a label and a box before each element.

`<|ref|>sub_title<|/ref|><|det|>[[64, 80, 510, 101]]<|/det|>`, then its text; boxes are 0 to 999
(deepseek-ai/DeepSeek-OCR-2, run_dpsk_ocr2_image.py). Asked to find words, it writes these
where a label would stand; they are text.
"""

from __future__ import annotations

import re
from dataclasses import replace

from workers.layout.blocks import Block, BlockKind, Box
from workers.layout.dialects.answer import Answer, box_of
from workers.layout.dialects.markdown import read_markdown

LABELS: dict[str, BlockKind | None] = {  # None leaves the kind to the Markdown
    "title": None,
    "sub_title": None,
    "text": None,
    "table": None,
    "list": None,
    "code": None,
    "reference": None,
    "equation": "formula",
    "formula": "formula",
    "image": "figure",
    "figure": "figure",
    "chart": "figure",
    "image_caption": "caption",
    "figure_caption": "caption",
    "table_caption": "caption",
    "footnote": "footnote",
    "table_footnote": "footnote",
    "image_footnote": "footnote",
    "page_footnote": "footnote",
    "header": "page_header",
    "footer": "page_footer",
    "page_number": "page_footer",
    "aside_text": None,
}
MARK = re.compile(r"<\|(/?)(ref|det|grounding)\|>")
END = re.compile(r"<\W?(?:end\W{1,3}of\W{1,3}sentence|im_end|endoftext)\W?>", re.IGNORECASE)
CENTER = re.compile(r"</?center>")
NUMBERS = re.compile(r"[\s\[\](),.\d-]*")
NUMBER = re.compile(r"\d{1,5}")


def read_deepseek(text: str) -> Answer:
    """The blocks of one page; boxes are 0 to 999."""
    blocks: list[Block] = []
    label, box, within, read = "", None, "", 0
    held: list[str] = []

    def close() -> None:
        blocks.extend(blocks_of("".join(held), label, box))
        held.clear()

    text = CENTER.sub("", END.sub("", text))
    for found in [*MARK.finditer(text), None]:
        part = text[read : found.start() if found else len(text)]
        if within == "ref":
            close()
            label, box = (part.strip(), None) if part.strip() in LABELS else ("", None)
            held += [] if label or is_cut_label(part, found is None) else [part]
        elif within == "det":
            numbers = NUMBERS.match(part)
            assert numbers is not None
            box = box_of([float(number) for number in NUMBER.findall(numbers[0])][:4])
            held.append(part[numbers.end() :])
        else:
            held.append(part)
        if found:
            within, read = ("" if found[1] else found[2]), found.end()
    close()
    return Answer(blocks=tuple(blocks))


def is_cut_label(part: str, is_last: bool) -> bool:
    """Whether the answer was cut off within a label."""
    return is_last and any(known.startswith(part.strip()) for known in LABELS)


def blocks_of(text: str, label: str, box: Box | None) -> list[Block]:
    kind = LABELS.get(label)
    found = read_markdown(text)
    if kind == "figure" and not found:
        return [Block(kind="figure", text="", box=box)] if box else []
    is_plain = len(found) == 1 and found[0].kind in ("paragraph", "heading")
    if kind == "formula" and is_plain:
        return [Block(kind="formula", text=text.strip().strip("$").strip(), markup="latex", box=box)]
    return [replace(block, box=box, kind=kind if kind and is_plain else block.kind) for block in found]
