"""The words of a block without the marks a language model wrote, for formats with marks of their own."""

from __future__ import annotations

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
