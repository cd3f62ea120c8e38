"""Code on born-digital pages: lines all in a monospaced font, on a page whose prose is in another.

The layout model has no label for code and takes it for text, lists and headings, so it is taken out beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from workers.layout.words import Row, Word, box_of, pieces_of

MOST_MONO = 0.97  # of a page's letters: a page typed in one such font has no code to tell apart
PITCH = 3.0  # font sizes between the middles of two lines of one listing, with an empty line between
ALONE = 0.6  # font sizes of white around a single line that is a listing


def is_typed(words: Sequence[Word]) -> bool:
    """Whether nearly all letters are in a monospaced font."""
    return sum(len(word.text) for word in words if word.is_mono) > MOST_MONO * sum(len(word.text) for word in words)


def find_code(words: Sequence[Word], *, is_prose_elsewhere: bool = False) -> list[list[Row]]:
    """The listings of a page, each as its rows from top to bottom.

    A page all in one monospaced font is a listing only where the document has another font on other pages.
    """
    if not any(word.is_mono for word in words) or (is_typed(words) and not is_prose_elsewhere):
        return []
    lines = [line for line in pieces_of(words) if all(word.is_mono for word in line) and line[0].angle == 0]
    lines = [line for line in lines if not all(word.is_bold for word in line)]  # those are headings
    listings: list[list[Row]] = []
    for line in sorted(lines, key=lambda line: line[0].middle):
        home = next((listing for listing in reversed(listings) if continues(line, listing)), None)
        if home is None:
            listings.append([line])
        elif is_level(line, home[-1]):
            home[-1] = sorted([*home[-1], *line], key=lambda word: word.box[0])
        else:
            home.append(line)
    return [listing for listing in listings if len(listing) > 1 or is_alone(listing[0], words)]


def is_address(text: str) -> bool:
    """Whether a word is the address of a person or a page; a regular expression would take long for long words."""
    return "@" in text[1:-1] or "://" in text[1:-1]


def is_alone(line: Row, words: Sequence[Word]) -> bool:
    """Whether a line has nothing beside it and white above and below; an address of its author may stand so too."""
    if len(line) == 1 and is_address(line[0].text):
        return False
    mine = set(map(id, line))
    x0, y0, x1, y1 = box_of(line)
    white = ALONE * line[0].size
    return not any(
        word.box[1] < y1 + (white if is_across(word, x0, x1) else 0)
        and word.box[3] > y0 - (white if is_across(word, x0, x1) else 0)
        for word in words
        if id(word) not in mine
    )


def is_across(word: Word, x0: float, x1: float) -> bool:
    return word.box[0] < x1 and x0 < word.box[2]


def is_level(line: Row, other: Row) -> bool:
    return abs(line[0].middle - other[0].middle) < 0.3 * line[0].size


def continues(line: Row, listing: Sequence[Row]) -> bool:
    """Whether the line stands close below the listing, in its column and in its size."""
    last, box = listing[-1], box_of([word for row in listing for word in row])
    left, right = line[0].box[0], line[-1].box[2]
    is_near = line[0].middle - last[0].middle < PITCH * line[0].size
    is_below = left < box[2] and box[0] < right + 2 * line[0].size
    return is_near and is_below and abs(line[0].size - last[0].size) < 0.15 * line[0].size


def code_text(rows: Sequence[Row]) -> list[str]:
    """The rows with their indentation and inner spaces, counted in letters of the font."""
    words = [word for row in rows for word in row]
    letter = median((word.box[2] - word.box[0]) / len(word.text) for word in words)
    left = min(word.box[0] for word in words)
    texts = []
    for row in rows:
        text = ""
        for word in row:
            column = round((word.box[0] - left) / letter)
            least = len(text) + (1 if text and not word.is_glued else 0)
            text = text.ljust(max(column, least)) + word.text
        texts.append(text)
    return texts


def empty_lines(rows: Sequence[Row]) -> list[int]:
    """How many empty lines stand before each row."""
    middles = [row[0].middle for row in rows]
    pitches = [below - above for above, below in pairwise(middles)]
    usual = min((pitch for pitch in pitches if pitch > 0), default=1.0)
    return [0, *(max(0, min(2, round(pitch / usual) - 1)) for pitch in pitches)]
