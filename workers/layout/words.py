"""Words of a page, the pieces that blocks and cells are made of: from the text layer of a PDF, or from read lines.

Boxes are in points of the upright page (see `workers.layout.canvas`). A word knows the line it came from: words of one
line stay together unless they fall into different blocks or cells.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median
from typing import Any

from workers.light_pymupdf import pymupdf
from workers.line_text import BOXES
from workers.reading_order import Box

TEXT_FLAGS = (pymupdf.TEXTFLAGS_WORDS & ~pymupdf.TEXT_PRESERVE_LIGATURES) | pymupdf.TEXT_COLLECT_STYLES
DRAWN = 16 | 32  # filled, stroked: fz_stext_char_flags
MONO, BOLD = pymupdf.TEXT_FONT_MONOSPACED, pymupdf.TEXT_FONT_BOLD
BOLD_NAME = re.compile(
    r"bold|black|heavy|cmbx|cmssbx|medi(?!um)|semib|[-,]bd|sfbx|ecbx|lmromancaps10-bold", re.IGNORECASE
)
MONO_NAME = re.compile(
    r"mono|courier|consol|typewriter|cmtt|sftt|ectt|lmmono|menlo|inconsolata|txtt|code", re.IGNORECASE
)
ACCENTS = {"¨": "\u0308", "´": "\u0301", "ˆ": "\u0302", "˜": "\u0303", "ˇ": "\u030c", "˚": "\u030a"}
APART_ACCENT = re.compile(r"([¨´ˆ˜ˇ˚])([A-Za-zı])")
COPY_SHIFT = 0.2  # of a word's height that a copy of it is off
SAME_ROW = 0.5  # line heights between the middles of two pieces of one row


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """`size` is the font's, or the height of the line that was read; `angle` is 0, 90, 180 or 270 degrees clockwise."""

    text: str
    box: Box
    line: int
    size: float
    is_bold: bool = False
    is_mono: bool = False
    is_glued: bool = False  # to the word before it in its line: no space between them
    angle: int = 0
    confidence: float = 1.0
    is_doubted: bool = False

    @property
    def middle(self) -> float:
        return (self.box[1] + self.box[3]) / 2

    @property
    def centre(self) -> tuple[float, float]:
        return (self.box[0] + self.box[2]) / 2, self.middle


Row = list[Word]


def words_of_page(page: pymupdf.Page) -> list[Word]:
    """The words of a PDF page that can be seen; of a page whose text is all hidden, as over a scan, the hidden ones."""
    blocks = page.get_text("rawdict", flags=TEXT_FLAGS)["blocks"]
    lines = [line for block in blocks for line in block.get("lines", ())]
    seen: list[Word] = []
    hidden: list[Word] = []
    for number, line in enumerate(lines):
        for word, is_hidden in words_of_line(line, number):
            (hidden if is_hidden else seen).append(word)
    words = seen if sum(len(w.text) for w in seen) >= sum(len(w.text) for w in hidden) else hidden
    x0, y0, x1, y1 = page.rect * page.derotation_matrix  # words lie as on the page before it was turned
    return [w for w in without_copies(words) if x0 <= w.centre[0] <= x1 and y0 <= w.centre[1] <= y1]


def without_copies(words: Sequence[Word]) -> list[Word]:
    """Each word once: bold print may be made by printing twice, and a hidden layer may lie over the same words."""
    places: defaultdict[str, list[Box]] = defaultdict(list)
    kept = []
    for word in words:
        near = COPY_SHIFT * (word.box[3] - word.box[1])
        if not any(abs(word.box[0] - x0) + abs(word.box[1] - y0) < near for x0, y0, _, _ in places[word.text]):
            places[word.text].append(word.box)
            kept.append(word)
    return kept


def with_accents(text: str) -> str:
    """The text with accents that stand before their letters, as old fonts of TeX have them, on those letters."""

    def on(found: re.Match[str]) -> str:
        letter = "i" if found[2] == "ı" else found[2]
        whole = unicodedata.normalize("NFC", letter + ACCENTS[found[1]])
        return whole if len(whole) == 1 else found[0]

    return APART_ACCENT.sub(on, text)


def words_of_line(line: dict[str, Any], number: int) -> Iterable[tuple[Word, bool]]:
    """The words of a line of PyMuPDF's, each with whether it is hidden; a word may run over several spans."""
    angle = angle_of(line["dir"])
    chars = [(char, span) for span in line["spans"] for char in span["chars"]]
    for is_space, group in groupby(chars, key=lambda pair: pair[0]["c"].isspace()):
        if is_space:
            continue
        letters = list(group)
        span = Counter(id(span) for _, span in letters).most_common(1)[0][0]
        style = next(each for _, each in letters if id(each) == span)
        text = "".join(char["c"] for char, _ in letters).replace("\x00", "").translate(BOXES)
        text = with_accents(text)
        if not text:
            continue
        yield (
            Word(
                text=text,
                box=union(tuple(char["bbox"]) for char, _ in letters),
                line=number,
                size=float(style["size"]),
                is_bold=is_bold(style),
                is_mono=bool(style["flags"] & MONO) or MONO_NAME.search(style["font"]) is not None,
                angle=angle,
            ),
            not (style["char_flags"] & DRAWN and style["alpha"]),
        )


def is_bold(span: dict[str, Any]) -> bool:
    return bool(span["flags"] & BOLD) or BOLD_NAME.search(span["font"]) is not None


def angle_of(direction: tuple[float, float]) -> int:
    x, y = direction
    if abs(x) >= abs(y):
        return 0 if x >= 0 else 180
    return 90 if y > 0 else 270


def holds(box: Box, word: Word) -> bool:
    """Whether the middle of the word lies in the box."""
    x, y = word.centre
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def union(boxes: Iterable[Box]) -> Box:
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return min(x0), min(y0), max(x1), max(y1)


def box_of(words: Iterable[Word]) -> Box:
    return union(word.box for word in words)


def pieces_of(words: Iterable[Word]) -> list[Row]:
    """The words by the lines they came from."""
    ordered = sorted(words, key=lambda w: (w.line, w.box[0]))
    return [list(group) for _, group in groupby(ordered, key=lambda w: w.line)]


def rows_of(words: Sequence[Word]) -> list[Row]:
    """The words as rows from top to bottom; each row's from left to right, or as its script runs."""
    pieces = [(median(w.middle for w in piece), piece) for piece in pieces_of(words)]
    rows: list[tuple[float, float, Row]] = []  # middle, height, words
    for middle, piece in sorted(pieces, key=lambda pair: (pair[0], pair[1][0].box[0])):
        height = median(w.box[3] - w.box[1] for w in piece)
        if rows and middle - rows[-1][0] <= SAME_ROW * min(height, rows[-1][1]):
            rows[-1][2].extend(piece)
        else:
            rows.append((middle, height, piece))
    return [in_order(row) for _, _, row in rows]


def in_order(row: Row) -> Row:
    letters = "".join(word.text for word in row)
    from_right = sum("\u0590" <= char <= "\u08ff" for char in letters)
    return sorted(row, key=lambda w: w.box[0], reverse=2 * from_right > len(letters))


def text_of_row(row: Row) -> str:
    """The words of a row with a space between, or none where the reader saw none."""
    if not row:
        return ""
    joined = [row[0].text]
    for before, after in pairwise(row):
        is_glued = after.is_glued and before.line == after.line
        joined += [after.text] if is_glued else [" ", after.text]
    return "".join(joined)
