"""Lines of a text layer: its words as pieces of lines, which of them to read as a sample, and how alike two texts are.

Boxes are pixels of the page image as people see it.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby, pairwise
from typing import Any, NamedTuple, Self

from workers.engines import Line
from workers.reading_order import Box

GAP = 2.0  # heights between two words from which they are two pieces: columns and cells
MOST_LETTERS = 48  # of a piece: what it costs to read grows with its length
LEAST_LETTERS = 6  # fewer letters and digits show nothing
SAMPLE = 6  # pieces of a page that are read
VOWELS = frozenset("aeiouy")
LEAST_HEIGHT = 7.0  # px; smaller print is not read well


class LayerWord(NamedTuple):
    """A word of a text layer. `line` is the line it is from, `angle` how it lies: 0, 90, 180 or 270 clockwise.

    A word on a slope, as watermarks are, has a box that says little of where it is.
    """

    text: str
    box: Box
    line: int
    angle: int = 0
    is_sloped: bool = False

    @classmethod
    def from_json(cls, value: list[Any]) -> Self:
        text, (x0, y0, x1, y1), *rest = value
        return cls(text, (x0, y0, x1, y1), *rest)

    def scaled(self, across: float, down: float) -> LayerWord:
        x0, y0, x1, y1 = self.box
        return self._replace(
            box=(round(x0 * across, 1), round(y0 * down, 1), round(x1 * across, 1), round(y1 * down, 1))
        )


class Piece(NamedTuple):
    """Words beside one another in a line."""

    text: str
    box: Box
    angle: int
    is_sloped: bool


def lines_of(words: Sequence[LayerWord]) -> list[Line]:
    """The words as lines, in the order of the layer; cells and columns of one line are lines of their own."""
    return [Line(text=piece.text, box=piece.box, confidence=1.0) for piece in pieces_of(words, math.inf)]


def num_letters(words: Sequence[LayerWord]) -> int:
    """Letters and digits of all the words."""
    return sum(character.isalnum() for word in words for character in word.text)


def pieces_of(words: Sequence[LayerWord], most_letters: float = MOST_LETTERS) -> list[Piece]:
    """The words in pieces that can be read one by one, in the order of the layer."""
    pieces = []
    for _, group in groupby(words, key=lambda word: (word.line, word.angle)):
        pieces += [piece_of(part) for part in parts_of(list(group), most_letters)]
    return pieces


def parts_of(line: list[LayerWord], most_letters: float) -> Iterator[list[LayerWord]]:
    """A line's words, cut where a gap is wide and where a part is long enough."""
    part: list[LayerWord] = []
    for word in line:
        if part and (is_apart(part[-1], word) or sum(len(w.text) for w in part) >= most_letters):
            yield part
            part = []
        part.append(word)
    if part:
        yield part


def is_apart(before: LayerWord, after: LayerWord) -> bool:
    across = max(after.box[0] - before.box[2], before.box[0] - after.box[2])
    down = max(after.box[1] - before.box[3], before.box[1] - after.box[3])
    return max(across, down) > GAP * height_of(before)


def height_of(word: LayerWord | Piece) -> float:
    """Of the line that it stands in, whichever way that lies."""
    x0, y0, x1, y1 = word.box
    return y1 - y0 if word.angle in (0, 180) else x1 - x0


def piece_of(words: list[LayerWord]) -> Piece:
    x0, y0, x1, y1 = zip(*(word.box for word in words), strict=True)
    box = min(x0), min(y0), max(x1), max(y1)
    return Piece(" ".join(word.text for word in words), box, words[0].angle, any(word.is_sloped for word in words))


def sample(pieces: Sequence[Piece]) -> list[Piece]:
    """Some pieces spread over the page from top to bottom; in each part of it the one that looks least like words."""
    known = [piece for piece in pieces if is_worth_reading(piece)]
    known.sort(key=lambda piece: (piece.box[1], piece.box[0]))
    bounds = [round(place * len(known) / SAMPLE) for place in range(SAMPLE + 1)]
    parts = [known[first:last] for first, last in pairwise(bounds)]
    return [max(part, key=strangeness) for part in parts if part]


def is_worth_reading(piece: Piece) -> bool:
    is_long = len(plain(piece.text)) >= LEAST_LETTERS
    return is_long and height_of(piece) >= LEAST_HEIGHT and not piece.is_sloped


def strangeness(piece: Piece) -> float:
    """How few vowels its letters have; what is short, or no letters for the most part, is the last to be taken."""
    letters = [character for character in plain(piece.text) if character.isalpha()]
    if len(letters) < max(2 * LEAST_LETTERS, len(plain(piece.text)) * 0.8):
        return -1.0 + len(letters) / 1000
    return 1.0 - sum(character in VOWELS for character in letters) / len(letters)


def plain(text: str) -> str:
    """Letters and digits alone, without accents and case: what two readings of one line should have alike."""
    bare = unicodedata.normalize("NFKD", text).casefold()
    return "".join(character for character in bare if character.isalnum())


def likeness(one: str, other: str) -> float:
    """How alike two texts are, 0 to 1, by their letters and digits."""
    return SequenceMatcher(None, plain(one), plain(other), autojunk=False).ratio()
