"""Who speaks in a transcript: each speech is a paragraph of its own, and its mark is no mark of a list."""

from __future__ import annotations

import re
from collections.abc import Sequence

from workers.layout.words import Row, Word, rows_of, text_of_row

QUESTION, ANSWER = re.compile(r"Q[.:]?"), re.compile(r"A[.:]?")
SPEAKER = re.compile(r"[QA][.:](?=\s|$)|(?:MR|MRS|MS|DR|THE|BY)\b\.?[A-Z'’.\- ]{2,40}:")
LEAST_SPEECHES = 2  # questions, and answers


def is_transcript(words: Sequence[Word]) -> bool:
    """Whether lines of the page begin with the letters of questions and answers."""
    firsts = [row[0].text for row in rows_of(words)]
    asked, answered = (sum(mark.fullmatch(first) is not None for first in firsts) for mark in (QUESTION, ANSWER))
    return min(asked, answered) >= LEAST_SPEECHES


def split_speeches(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows by speeches: one begins wherever a speaker is named."""
    cuts = [i for i, row in enumerate(rows) if i and SPEAKER.match(text_of_row(row[:8]))]
    return [list(rows[a:b]) for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
