"""The Markdown of a document in its pages."""

from __future__ import annotations

import re

MARK = re.compile(r"<!-- page (\d+) -->")  # the server escapes what only looks like one


def split_pages(markdown: str) -> dict[int, str]:
    """The Markdown of each page by its number, from 1; a paragraph is cut where its page ends."""
    parts = MARK.split(markdown)
    return {int(number): text.strip() for number, text in zip(parts[1::2], parts[2::2], strict=True)}
