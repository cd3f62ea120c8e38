"""What may be chosen of how results are written; each format looks at what concerns it."""

from __future__ import annotations

from dataclasses import dataclass

from workers.results.chunks import MAX_CHARS
from workers.results.markdown import DEFAULTS as MARKDOWN_DEFAULTS
from workers.results.markdown import MarkdownOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultOptions:
    """`max_chars` is of a chunk; 0 makes one of each block."""

    markdown: MarkdownOptions = MARKDOWN_DEFAULTS
    max_chars: int = MAX_CHARS


DEFAULTS = ResultOptions()
