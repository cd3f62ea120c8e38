"""Reads lines with two recognisers: a light one reads all, and the other one again what the first is not sure of.

The light one takes a fifth of the time. Words in doubt are read again with their neighbours, cut out where the line is
blank; a line that is mostly in doubt, or in Han or kana, of which the light one knows a third, is read again as a
whole. How sure is sure enough was chosen so that no words are lost (benchmarks/NOTES.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from workers.engines.ocr.crops import stack, step_width, to_height
from workers.engines.ocr.runtimes import Recogniser
from workers.engines.ocr.spell import STEP_PX, Span, Spelled, Word, is_worth_parts
from workers.text_lines import Pixels, Reading

MOST_LINES = 8  # read at once
MOST_WIDTH = 768  # of them all, beside one another


class Reader:
    """Any number of threads may use it at once."""

    def __init__(self, light: Recogniser, full: Recogniser) -> None:
        self._light, self._full = light, full
        self._characters = {id(one): np.array(one.characters, dtype=object) for one in (light, full)}

    def read(self, crops: Sequence[Pixels]) -> list[Reading]:
        lines = [to_height(crop) for crop in crops]
        drafts = [_Draft(line, spelled) for line, spelled in zip(lines, self._spell(self._light, lines), strict=True)]
        pieces = [piece for draft in drafts for piece in draft.pieces()]
        again = iter(self._spell(self._full, pieces))
        return [draft.finish([next(again).reading() for _ in draft.pieces()]) for draft in drafts]

    def _spell(self, recogniser: Recogniser, lines: Sequence[Pixels]) -> list[Spelled]:
        return spell(recogniser, self._characters[id(recogniser)], lines)


def spell(recogniser: Recogniser, characters: NDArray[np.object_], lines: Sequence[Pixels]) -> list[Spelled]:
    """What the recogniser, with its `characters`, makes of lines of its height; those of one width read together."""
    found: dict[int, Spelled] = {}
    for places in batches([step_width(line.shape[1]) for line in lines]):
        steps = recogniser(stack([lines[i] for i in places]))
        for row, i in enumerate(places):
            width = lines[i].shape[1]
            found[i] = Spelled(steps.of_line(row, -(-width // STEP_PX) + 1), characters, width)
    return [found[i] for i in range(len(lines))]


class _Draft:
    """A line as the light recogniser read it, and the pieces of its picture that are read again."""

    def __init__(self, line: Pixels, spelled: Spelled) -> None:
        self._spelled = spelled
        self._words: list[Word] = []
        self._spans: list[Span] | None = spelled.parts_in_doubt()
        self._pieces = [line]
        if self._spans is not None:
            self._words = spelled.words()
            columns = [spelled.columns(line, self._words, span) for span in self._spans]
            if is_worth_parts(columns, line.shape[1]):
                self._pieces = [line[:, first:last] for first, last in columns]
            else:
                self._spans = None

    def pieces(self) -> list[Pixels]:
        return self._pieces

    def finish(self, again: list[Reading]) -> Reading:
        """The line with the pieces as they were read again."""
        if self._spans is None:
            return again[0]
        if not self._spans:
            return self._spelled.reading()
        texts, chances, place = [], [], 0
        for (first, last), reading in zip(self._spans, again, strict=True):
            kept = self._words[place:first]
            texts += [self._spelled.text(word.letters) for word in kept] + [reading.text]
            chances += self._spelled.chances(kept) + [reading.confidence] * len(reading.text)
            place = last + 1
        kept = self._words[place:]
        texts += [self._spelled.text(word.letters) for word in kept]
        chances += self._spelled.chances(kept)
        doubts = tuple(word for reading in again for word in reading.doubts)
        return Reading(" ".join(filter(None, texts)), float(np.mean(chances)) if chances else 0.0, doubts)


def batches(widths: Sequence[int]) -> list[list[int]]:
    """Lines of one width together, not too many: their places in `widths`."""
    order = sorted(range(len(widths)), key=lambda i: widths[i])
    found: list[list[int]] = []
    for width, group in groupby(order, key=lambda i: widths[i]):
        places = list(group)
        most = min(MOST_LINES, max(1, MOST_WIDTH // width))
        found += [places[first : first + most] for first in range(0, len(places), most)]
    return found
