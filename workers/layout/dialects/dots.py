"""What dots.ocr writes: JSON, a list of layout elements with their boxes in pixels of the image that it was given.

`{"bbox": [x1, y1, x2, y2], "category": "Section-header", "text": "## 1. Results"}`: text is Markdown, a table HTML, a
formula LaTeX, and a picture has none (rednote-hilab/dots.ocr, utils/prompts.py). An answer that was cut off is no JSON
any more: its whole elements are read, and of one that is not whole, its text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from workers.layout.blocks import Block, BlockKind, Box
from workers.layout.dialects.answer import Answer, box_of
from workers.layout.dialects.html import read_html_table
from workers.layout.dialects.markdown import read_markdown
from workers.layout.dialects.otsl import text_of

KINDS: dict[str, BlockKind] = {
    "caption": "caption",
    "footnote": "footnote",
    "formula": "formula",
    "page-footer": "page_footer",
    "page-header": "page_header",
    "picture": "figure",
}
MAY_BE_FENCE = re.compile(r"```(?:json)?")
TEXT_FIELD = re.compile(r'"text"[ \t]{0,9}:[ \t]{0,9}"')
STRING_END = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
BETWEEN = re.compile(r"[\s\[\]{},:]*")
FIELD_NAMES = ("bbox", "category", "text")
DECODER = json.JSONDecoder()


def read_dots(text: str) -> Answer:
    """The blocks of one page; an answer that has no such element is read as Markdown."""
    if '"category"' not in text and '"bbox"' not in text:
        return Answer(blocks=read_markdown(text))
    blocks: list[Block] = []
    for part in parts_of(text):
        blocks += blocks_of(part) if isinstance(part, dict) else prose(part)
    return Answer(blocks=tuple(blocks))


def parts_of(text: str) -> Iterator[dict[str, Any] | str]:
    """Elements, and what stands between them."""
    read = 0
    while (start := text.find("{", read)) >= 0:
        yield text[read:start]
        try:
            found, read = DECODER.raw_decode(text, start)
        except json.JSONDecodeError as exc:
            end = max(exc.pos, start + 1)
            after = text.find("{", end)
            read = after if after >= 0 else len(text)
            yield broken(text[start:read])
        except RecursionError:
            yield text[start:]
            return
        else:
            yield from elements_of(found)
    yield text[read:]


def elements_of(found: dict[str, Any]) -> Iterator[dict[str, Any] | str]:
    """The element itself, or those in a list that it has; words of anything else."""
    if "text" in found or "bbox" in found or "category" in found:
        rest = {name: value for name, value in found.items() if name not in FIELD_NAMES}
        yield found
        if rest:
            yield " ".join(strings_in(rest))
        return
    for value in found.values():
        inner = value if isinstance(value, list) else [value]
        for each in inner:
            if isinstance(each, dict):
                yield from elements_of(each)
            else:
                yield " ".join(strings_in(each))


def strings_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from strings_in(each)


def broken(text: str) -> dict[str, Any] | str:
    """An element that ends too early: its text as far as it goes, with what else can be made out."""
    field = TEXT_FIELD.search(text)
    if field is None:
        return text
    string = STRING_END.match(text, field.end())
    assert string is not None
    head, rest = text[: field.start()], text[string.end() :].lstrip('"')
    category = next((name for name in (*KINDS, "table", "title") if f'"{name}"' in head.lower()), "text")
    numbers = [float(number) for number in re.findall(r"\d{1,6}", head)[:4]]
    return {"category": category, "bbox": numbers, "text": f"{unescaped(string[0])}{leftover(rest)}"}


def unescaped(text: str) -> str:
    """The string that JSON writes so, though a part of its last letter may be missing."""
    for end in range(len(text), max(0, len(text) - 6) - 1, -1):
        try:
            return str(json.loads(f'"{text[:end]}"', strict=False))
        except json.JSONDecodeError:
            continue
    return text


def leftover(text: str) -> str:
    """What follows a torn element, without the marks of JSON."""
    text = BETWEEN.sub("", text, count=1)
    return f" {text}" if text.strip("\"'}], \n") else ""


def blocks_of(element: dict[str, Any]) -> list[Block]:
    category, text = str(element.get("category", "")).lower(), element.get("text")
    text = text if isinstance(text, str) else " ".join(strings_in(text))
    box = numbers_of(element.get("bbox"))
    if category == "table" and (cells := read_html_table(text)):
        return [Block(kind="table", text=text_of(cells), cells=cells, box=box)]
    kind = KINDS.get(category)
    if kind == "figure" and not text.strip():
        return [Block(kind="figure", text="", box=box)] if box else []
    if kind == "formula":
        return [Block(kind="formula", text=text.strip().strip("$").strip(), markup="latex", box=box)] if text else []
    found = read_markdown(text)
    is_plain = len(found) == 1 and found[0].kind in ("paragraph", "heading")
    return [replace(block, box=box, kind=kind if kind and is_plain else block.kind) for block in found]


def numbers_of(value: Any) -> Box | None:
    numbers = value if isinstance(value, list) else []
    return box_of([float(number) for number in numbers if isinstance(number, int | float) and abs(number) < 1e6])


def prose(text: str) -> list[Block]:
    """Words between elements: what a model says before and after its JSON."""
    text = MAY_BE_FENCE.sub("", text).strip(" \n\t[],:")
    return list(read_markdown(text)) if any(map(str.isalnum, text)) else []
