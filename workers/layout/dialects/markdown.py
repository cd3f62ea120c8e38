"""Markdown that a language model wrote, as blocks. No text is lost: what is no known block stays as it was written.

Models wrap a page in a fence, write formulas between `$$` or `\\[`, and tables as pipes or as HTML. Inline marks stay
in the text; such blocks have `markup` "markdown". A text that would take long to read is kept as one paragraph.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from workers.layout.blocks import Block, Cell
from workers.layout.dialects.html import read_html_table

MOST_CHARACTERS = 60_000  # of a page; one of a book has some 3,000
MOST_BRACKETS = 5_000
MOST_CELLS = 10_000
FORMULAS = {"$$": "$$", "\\[": "\\]"}
TICKED = re.compile(r"\[[ xX]\](?=\s)")


@cache
def parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def is_too_much(text: str) -> bool:
    """Whether Markdown of it would take long: a bracket costs as much as forty letters, a short row a whole one."""
    return len(text) > MOST_CHARACTERS or text.count("[") > MOST_BRACKETS or text.count("|") > MOST_CELLS


def read_markdown(text: str) -> tuple[Block, ...]:
    """The blocks of one page, in order, without places."""
    text = unwrapped(text.replace("\r\n", "\n").strip())
    if not text:
        return ()
    if is_too_much(text):
        return (Block(kind="paragraph", text=text),)
    blocks: list[Block] = []
    for part, is_formula in split_formulas(text):
        blocks += [Block(kind="formula", text=part, markup="latex")] if is_formula else read_part(part)
    return tuple(block for block in blocks if block.text or block.cells)


def unwrapped(text: str) -> str:
    """The text without one fence around all of it."""
    first, _, rest = text.partition("\n")
    inner, _, last = rest.rpartition("\n")
    named = first.strip()
    fence = named.removesuffix("markdown").removesuffix("md")
    is_fence = fence != named and len(fence) >= 3 and set(fence) in ({"`"}, {"~"})
    if not is_fence or last.rstrip() != fence or fence in inner:
        return text
    return inner.strip("\n")


def split_formulas(text: str) -> Iterator[tuple[str, bool]]:
    """Formulas that stand in lines of their own, and what is between them; outside code."""
    before: list[str] = []
    lines = text.split("\n")
    number, fence = 0, ""
    while number < len(lines):
        line = lines[number].strip()
        fence = fence_after(line, fence)
        end = None if fence else formula_end(lines, number)
        if end is None:
            before.append(lines[number])
            number += 1
            continue
        if any(map(str.strip, before)):
            yield "\n".join(before), False
        before = []
        whole = "\n".join(each.strip() for each in lines[number : end + 1])
        yield whole[2:-2].strip(), True
        number = end + 1
    if any(map(str.strip, before)):
        yield "\n".join(before), False


def fence_after(line: str, fence: str) -> str:
    """The fence that is open after this line, "" for none."""
    mark = re.match(r"`{3,}|~{3,}", line)
    if mark is None:
        return fence
    if not fence:
        return mark[0]
    return "" if line == mark[0] and mark[0].startswith(fence) else fence


def formula_end(lines: Sequence[str], start: int) -> int | None:
    """The 0-based number of the line that ends the formula beginning at `start`; None where none does."""
    first = lines[start].strip()
    closing = FORMULAS.get(first[:2])
    if closing is None:
        return None
    for number in range(start, len(lines)):
        line = lines[number].strip()
        rest = line[2:] if number == start else line
        if closing in rest:
            return number if rest.endswith(closing) and rest.count(closing) == 1 else None
        if not line and number > start:
            return None
    return None


def read_part(text: str) -> list[Block]:
    """The blocks of Markdown without formulas of its own."""
    lines = text.split("\n")
    tokens = parser().parse(text)
    blocks: list[Block] = []
    read = 0
    for start, end in top_level(tokens):
        begins, ends = tokens[start].map or (read, read)
        blocks += [*as_written(lines[read:begins]), *read_element(tokens[start:end], lines[begins:ends])]
        read = ends
    return [*blocks, *as_written(lines[read:])]


def as_written(lines: Sequence[str]) -> list[Block]:
    """Lines that make no element: definitions of links, and what has no block of its own."""
    text = "\n".join(lines).strip("\n")
    return [Block(kind="paragraph", text=text, markup="markdown")] if text.strip() else []


def top_level(tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    start = 0
    for number, token in enumerate(tokens):
        if token.level == 0 and token.nesting <= 0:
            yield start, number + 1
            start = number + 1


def read_element(tokens: Sequence[Token], lines: Sequence[str]) -> list[Block]:
    """The blocks of one element of the top level, which was written in these lines."""
    first = tokens[0]
    match first.type:
        case "heading_open":
            text = " ".join(tokens[1].content.split())
            return [Block(kind="heading", text=text, level=int(first.tag[1:]), markup="markdown")]
        case "fence" | "code_block" if first.content.strip():
            return [Block(kind="code", text=first.content.rstrip("\n"), marker=first.info.strip())]
        case "table_open":
            return [table_of(tokens)]
        case "bullet_list_open" | "ordered_list_open" if is_simple(tokens):
            return items_of(tokens)
        case "html_block":
            cells = read_html_table(first.content)
            if cells:
                return [Block(kind="table", text=text_of(cells), cells=cells)]
    return as_written(lines)


def table_of(tokens: Sequence[Token]) -> Block:
    cells: list[Cell] = []
    row = column = -1
    for before, token in pairwise(tokens):
        if token.type == "tr_open":
            row, column = row + 1, -1
        elif token.type in ("th_open", "td_open"):
            column += 1
        elif token.type == "inline" and token.content:
            cells.append(Cell(row=row, column=column, text=token.content, is_header=before.type == "th_open"))
    return Block(kind="table", text=text_of(cells), cells=tuple(cells), markup="markdown")


def text_of(cells: Sequence[Cell]) -> str:
    rows: dict[int, list[str]] = {}
    for cell in cells:
        rows.setdefault(cell.row, []).append(cell.text)
    return "\n".join("\t".join(rows[row]) for row in sorted(rows))


def is_simple(tokens: Sequence[Token]) -> bool:
    """Whether a list has one line of text an item, and lists of such below it."""
    known = {"bullet_list", "ordered_list", "list_item", "paragraph"}
    if not all(token.type == "inline" or token.type.rpartition("_")[0] in known for token in tokens):
        return False
    texts = [token for token in tokens if token.type == "inline"]
    items = sum(token.type == "list_item_open" for token in tokens)
    return len(texts) == items and not any("\n" in token.content for token in texts)


def items_of(tokens: Sequence[Token]) -> list[Block]:
    blocks: list[Block] = []
    level, marker = 0, ""
    for token in tokens:
        if token.type in ("bullet_list_open", "ordered_list_open"):
            level += 1
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            level -= 1
        elif token.type == "list_item_open":
            marker = f"{token.info}{token.markup}" if token.info else "-"
        elif token.type == "inline":
            blocks.append(item_of(token.content, level, marker))
    return blocks


def item_of(text: str, level: int, marker: str) -> Block:
    block = Block(kind="list_item", text=text, level=level, marker=marker, markup="markdown")
    if marker == "-" and (ticked := TICKED.match(text)):
        return replace(block, marker=ticked[0].lower(), text=text[ticked.end() :].lstrip())
    return block
