"""Plain text as Markdown that shows it as it is: what would be a mark gets a backslash, and nothing else does.

By CommonMark 0.31 (sections 4 and 6) and GitHub's tables and strikethrough. A text is one line here, in a paragraph of
its own; so that a reference such as `[12]` needs no backslash, for no definition is ever written that it could be of.
"""

from __future__ import annotations

import re

INLINE = re.compile(
    r"[\\*`]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # inside a word it is no mark
    r"|\](?=[(\[:])"
    r"|!(?=\[)"
    r"|<(?=[a-zA-Z/!?])"
    r"|&(?=#?\w{1,32};)"
    r"|~"
)
START = re.compile(r"(#{1,6}(?=\s|$)|[-+](?=\s|$)|[>=]|:(?=-))")
NUMBER = re.compile(r"(\d{1,9})([.)])(?=\s|$)")


def escape_inline(text: str) -> str:
    """For the middle of a line."""
    return INLINE.sub(lambda mark: f"\\{mark[0]}", text)


def escape_line(text: str) -> str:
    """For a line of its own: what begins a heading, a list, a quotation or a rule does not."""
    text = escape_inline(text.strip())
    if found := NUMBER.match(text):
        return f"{found[1]}\\{text[found.end(1) :]}"
    is_rule = text.startswith("-") and not text.strip("- \t")
    return f"\\{text}" if is_rule or START.match(text) else text


def escape_lines(text: str) -> str:
    """For a paragraph whose lines stay; a bar in them begins no table."""
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) < 2:
        return escape_line(text)
    return "  \n".join(escape_line(line).replace("|", "\\|") for line in lines)


def escape_cell(text: str) -> str:
    """For a cell of a pipe table."""
    return escape_inline(" ".join(text.split())).replace("|", "\\|")
