"""Spaces between figures and letters, agreed on down a column: "14A" among cells like "13 A" has lost its space.

A reader sees a narrow space in one cell and not in the next. The cells that stand below one another are written
alike, so that the form which most of them have is right for all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from workers.layout.words import Word, pieces_of

GLUED = re.compile(r"(\d{1,4})([A-Z]{1,2})")
FIGURES, LETTERS = re.compile(r"\d{1,4}"), re.compile(r"[A-Z]{1,2}")
MOST_SPACE = 0.6  # line heights: a wider one parts cells
ALIGNED = 1.0  # line heights between the left edges of cells in one column
LEAST_ALIKE = 4  # cells of the form that most have


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Figures and letters that follow one another, in one word or in two."""

    words: tuple[Word, ...]

    @property
    def is_spaced(self) -> bool:
        return len(self.words) == 2


def agree_on_spaces(words: Sequence[Word]) -> list[Word]:
    """The words with the codes of each column written as most of them are; by lines, from left to right."""
    codes = [code for piece in pieces_of(words) for code in codes_of(piece)]
    changed: dict[int, list[Word]] = {}
    for code in codes:
        column = [other for other in codes if is_aligned(other, code)]
        num_spaced = sum(other.is_spaced for other in column)
        if code.is_spaced == (2 * num_spaced > len(column)):
            continue
        if max(num_spaced, len(column) - num_spaced) >= LEAST_ALIKE and 2 * num_spaced != len(column):
            changed |= glued(code) if code.is_spaced else parted(code)
    return [new for word in words for new in changed.get(id(word), [word])]


def codes_of(piece: Sequence[Word]) -> list[Code]:
    """The codes in one line."""
    found = [Code(words=(word,)) for word in piece if GLUED.fullmatch(word.text) and not word.is_glued]
    for before, after in pairwise(piece):
        is_near = after.box[0] - before.box[2] <= MOST_SPACE * before.size
        if is_near and not after.is_glued and FIGURES.fullmatch(before.text) and LETTERS.fullmatch(after.text):
            found.append(Code(words=(before, after)))
    return found


def is_aligned(code: Code, other: Code) -> bool:
    word = code.words[0]
    return abs(word.box[0] - other.words[0].box[0]) < ALIGNED * word.size


def glued(code: Code) -> dict[int, list[Word]]:
    return {id(code.words[1]): [replace(code.words[1], is_glued=True)]}


def parted(code: Code) -> dict[int, list[Word]]:
    """The word as two, parted where its letters are likely to begin."""
    (word,) = code.words
    x0, y0, x1, y1 = word.box
    cut = sum(char.isdigit() for char in word.text)
    x = x0 + (x1 - x0) * cut / len(word.text)
    figures = replace(word, text=word.text[:cut], box=(x0, y0, x, y1))
    return {id(word): [figures, replace(word, text=word.text[cut:], box=(x, y0, x1, y1))]}
