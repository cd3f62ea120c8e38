"""The words of a block without the marks a language model wrote, for formats with marks of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

from workers.layout.blocks import Block

INLINE = MarkdownIt("commonmark").enable("strikethrough")


def plain_text(block: Block, text: str) -> str:
    """`text` of the block, without its marks where the block is Markdown."""
    return plain_markdown(text) if block.markup == "markdown" else text


def plain_markdown(text: str) -> str:
    """Emphasis, links and escapes as the words that a reader sees; tags of HTML stay as they are."""
    [inline] = INLINE.parseInline(text)
    return "".join(map(words_of, inline.children or []))


def words_of(token: Token) -> str:
    if token.type in ("softbreak", "hardbreak"):
        return "\n"
    if token.type == "image":
        return "".join(map(words_of, token.children or []))
    return token.content


@dataclass(frozen=True, slots=True)
class Run:
    """Words that look alike."""

    text: str
    is_bold: bool = False
    is_italic: bool = False


def runs_of(block: Block, text: str) -> Iterator[Run]:
    """`text` of the block in runs; where it is Markdown its emphasis is theirs."""
    if block.markup != "markdown":
        yield Run(text)
        return
    [inline] = INLINE.parseInline(text)
    depths = {"strong": 0, "em": 0}
    for token in inline.children or []:
        if (name := token.tag) in depths:
            depths[name] += token.nesting
        elif words := words_of(token):
            yield Run(words, depths["strong"] > 0, depths["em"] > 0)
