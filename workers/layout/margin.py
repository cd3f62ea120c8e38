"""Numbers of lines in the margin, as drafts and transcripts have them: no part of the sentences beside them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from workers.layout.words import Word, pieces_of

MIN_NUMBERS = 8
MOST_WRONG = 0.2  # of the steps, for numbers misread or missed
NUMBER = re.compile(r"\d{1,4}")
ALIGNED = 1.0  # font sizes


def find_line_numbers(words: Sequence[Word]) -> list[list[Word]]:
    """Columns of numbers that rise by one from line to line, each left of the text it counts."""
    starts = [line[0] for line in pieces_of(words) if NUMBER.fullmatch(line[0].text)]
    columns: list[list[Word]] = []
    for word in sorted(starts, key=lambda word: word.middle):
        home = next((column for column in columns if is_aligned(word, column[-1]) and follows(word, column[-1])), None)
        if home is None:
            columns.append([word])
        else:
            home.append(word)
    return [column for column in columns if is_count(column) and has_text_beside(column, words)]


def follows(word: Word, before: Word) -> bool:
    return 0 < int(word.text) - int(before.text) <= 3


def is_aligned(word: Word, other: Word) -> bool:
    return min(abs(word.box[0] - other.box[0]), abs(word.box[2] - other.box[2])) < ALIGNED * word.size


def is_count(column: Sequence[Word]) -> bool:
    steps = [int(after.text) - int(before.text) for before, after in pairwise(column)]
    return len(column) >= MIN_NUMBERS and sum(step != 1 for step in steps) <= MOST_WRONG * len(steps)


def has_text_beside(column: Sequence[Word], words: Sequence[Word]) -> bool:
    """Whether most numbers have words on their right, and letters among them; a table's column has figures."""
    numbers = {id(word) for word in column}
    letters = figures = 0
    for number in column:
        beside = [
            word
            for word in words
            if id(word) not in numbers
            and abs(word.middle - number.middle) < 0.6 * number.size
            and 0 < word.box[0] - number.box[2] < 40 * number.size
        ]
        letters += sum(c.isalpha() for word in beside for c in word.text)
        figures += sum(c.isdigit() for word in beside for c in word.text)
    return letters > 12 * len(column) and letters > 8 * figures
