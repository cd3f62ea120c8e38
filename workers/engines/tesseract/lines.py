"""From tesseract's table of words to lines in reading order.

Its own order goes by blocks and loses tables and columns more often than ours, so lines are cut where a gap is wider
than any between words, as between two cells, and ordered by `workers.reading_order`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from workers.engines import Line
from workers.reading_order import BOX_MARGIN, CELL_GAP, Box, order_rows
from workers.row_text import join_rows

WORD_LEVEL = "5"
NUM_COLUMNS = 12
UNSURE = 0.5  # of a word: below it people had better look
MIN_CONFIDENCE = 0.3  # of a line; noise has less


class Word(NamedTuple):
    """A word, its box, its confidence of 0 to 1, and the line that it is of."""

    text: str
    box: Box
    confidence: float
    line: tuple[str, ...]


class Reading(NamedTuple):
    """Text and lines of one image, in reading order."""

    text: str
    lines: tuple[Line, ...]

    @property
    def confidence(self) -> float:
        """Mean over the letters, 0 to 1; 0 without any."""
        letters = [(sum(map(str.isalnum, line.text)), line.confidence) for line in self.lines]
        return sum(n * sure for n, sure in letters) / max(1, sum(n for n, _ in letters))

    @property
    def letters(self) -> int:
        return sum(map(str.isalnum, self.text))

    @property
    def is_sideways(self) -> bool:
        """Whether most of the text runs up or down the image."""
        sides = [(x1 - x0, y1 - y0) for x0, y0, x1, y1 in (line.box for line in self.lines)]
        across = sum(width for width, height in sides if width > 2 * height)
        return sum(height for width, height in sides if height > 2 * width) > across


def read_table(table: str) -> list[Line]:
    """The lines in the output of `tessedit_create_tsv`, in tesseract's order."""
    by_line = groupby(words_of(table), key=lambda word: word.line)
    lines = [line_of(piece) for _, group in by_line for piece in cut(list(group))]
    return [line for line in lines if line.confidence >= MIN_CONFIDENCE]


def put_in_order(lines: Sequence[Line]) -> Reading:
    is_from_right = runs_from_right("".join(line.text for line in lines))
    boxes = [for_order(line.box, is_from_right) for line in lines]
    rows = order_rows(boxes)
    text = join_rows(rows, boxes, [line.text for line in lines])
    return Reading(text, tuple(lines[i] for row in rows for i in row))


def words_of(table: str) -> Iterator[Word]:
    for row in table.split("\n"):
        fields = row.split("\t")
        if len(fields) != NUM_COLUMNS or fields[0] != WORD_LEVEL or not (text := fields[11].strip()):
            continue
        left, top, width, height = map(float, fields[6:10])
        yield Word(text, (left, top, left + width, top + height), float(fields[10]) / 100, tuple(fields[1:5]))


def cut(words: Sequence[Word]) -> list[list[Word]]:
    """The words of a line, apart where two cells are."""
    height = max(y1 - y0 for _, y0, _, y1 in (word.box for word in words))
    pieces = [[words[0]]]
    for before, after in pairwise(words):
        gap = max(after.box[0] - before.box[2], before.box[0] - after.box[2])
        if gap > CELL_GAP * height:
            pieces.append([])
        pieces[-1].append(after)
    return pieces


def line_of(words: Sequence[Word]) -> Line:
    lefts, tops, rights, bottoms = zip(*(word.box for word in words), strict=True)
    letters = [len(word.text) for word in words]
    confidence = sum(n * word.confidence for n, word in zip(letters, words, strict=True)) / sum(letters)
    box = min(lefts), min(tops), max(rights), max(bottoms)
    return Line(
        text=" ".join(word.text for word in words),
        box=box,
        confidence=min(1.0, max(0.0, confidence)),
        doubts=tuple(word.text for word in words if word.confidence < UNSURE),
    )


def for_order(box: Box, is_from_right: bool) -> Box:
    """The box as a detector has it, a little longer than its print; in a mirror for a script from the right."""
    x0, y0, x1, y1 = box
    margin = BOX_MARGIN * (y1 - y0)
    return (-x1 - margin, y0, -x0 + margin, y1) if is_from_right else (x0 - margin, y0, x1 + margin, y1)


def runs_from_right(text: str) -> bool:
    """Whether most letters are of a script that is written from right to left."""
    directions = [unicodedata.bidirectional(char) for char in text if char.isalpha()]
    return 2 * sum(direction in ("R", "AL") for direction in directions) > len(directions)
