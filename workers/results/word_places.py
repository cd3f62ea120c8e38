"""Words and the lines that they stand on, so that words which people correct keep their places on the page."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby, pairwise
from typing import Any

from workers.results.prose import SPACELESS, TAKEN, end_of

LETTERS = SPACELESS.pattern  # of scripts without spaces: each is a word of its own here
WORD = re.compile(rf"{LETTERS}|(?:(?!{LETTERS})\S)+")

Line = Mapping[str, Any]  # {text, box, confidence}
Piece = tuple[str, int | None]  # a part of a word and the 0-based place of the line that has it


@dataclass(frozen=True, slots=True)
class Word:
    """`group` tells what must not be run together: the cells of a table. A torn word has two `pieces`."""

    text: str
    pieces: tuple[Piece, ...] = ()
    is_spaced: bool = True
    group: int = 0


def words_of(text: str, line: int | None = None, group: int = 0) -> list[Word]:
    return [
        Word(found[0], ((found[0], line),), found.start() == 0 or text[found.start() - 1].isspace(), group)
        for found in WORD.finditer(text)
    ]


def words_on_lines(lines: Sequence[tuple[int, str]], compounds: Collection[str]) -> list[Word]:
    """The words of running text, by the places and texts of its lines; a word that a line's end tore is whole."""
    rows = [words for place, text in lines if (words := words_of(text, place))]
    out = rows[0] if rows else []
    for (before, after), texts in zip(pairwise(rows), pairwise(text for _, text in lines if text.strip()), strict=True):
        end = end_of(texts[0].rstrip(), texts[1].lstrip(), compounds)
        if end == " " or SPACELESS.match(before[-1].text) or SPACELESS.match(after[0].text):
            out += [Word(after[0].text, after[0].pieces, end == " "), *after[1:]]
            continue
        torn = out.pop()
        whole = (torn.text[:-1] if end == TAKEN else torn.text) + after[0].text
        out += [Word(whole, torn.pieces + after[0].pieces, torn.is_spaced), *after[1:]]
    return out


def placed(words: Sequence[Word], known: Sequence[Word]) -> list[Word]:
    """`words` on the lines of the words in `known` that they equal or stand in the place of."""
    out: list[Word] = []
    matcher = SequenceMatcher(None, [word.text for word in known], [word.text for word in words])
    for tag, start, end, first, last in matcher.get_opcodes():
        for number, word in enumerate(words[first:last]):
            if tag == "equal":
                pieces = known[start + number].pieces
            else:
                at = start + number * (end - start) // (last - first) if end > start else max(0, start - 1)
                pieces = ((word.text, line_at(known, at)),)
            out.append(Word(word.text, pieces, word.is_spaced, word.group))
    return out


def line_at(known: Sequence[Word], place: int) -> int | None:
    return known[min(place, len(known) - 1)].pieces[-1][1] if known else None


def lines_of(words: Sequence[Word], lines: Sequence[Line]) -> Iterator[Line]:
    """The lines that these words make: in the places of those that they stand on, sure where they were changed."""
    pieces = [
        (line, word.group, text, word.is_spaced or number > 0)
        for word in words
        for number, (text, line) in enumerate(word.pieces)
    ]
    for (line, _), run in groupby(pieces, key=lambda piece: piece[:2]):
        if line is None:
            continue
        text = "".join(f" {part}" if is_spaced else part for *_, part, is_spaced in run).strip()
        before = lines[line]
        yield before if before["text"] == text else {"text": text, "box": before["box"], "confidence": 1.0}


def nearest(known: Sequence[Word], words: Sequence[Word]) -> list[int]:
    """For each word in `known`, the place of the word in `words` that equals it or stands in its place."""
    found: list[int] = []
    matcher = SequenceMatcher(None, [word.text for word in known], [word.text for word in words])
    for tag, start, end, first, last in matcher.get_opcodes():
        for number in range(end - start):
            step = number if tag == "equal" else number * (last - first) // (end - start)
            found.append(min(first + step, len(words) - 1))
    return found
