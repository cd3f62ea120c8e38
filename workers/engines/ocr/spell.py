"""From a recogniser's steps along a line to its text, and where in the line that text is in doubt.

A letter is one step or several alike; between letters is none (Graves et al., "Connectionist Temporal Classification",
ICML 2006).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.engines.ocr.runtimes import Steps
from workers.text_lines import Pixels, Reading

STEP_PX = 8  # of the line at the recogniser's height, for each of its steps
SURE = 0.85  # of a letter
GOOD_LINE, SURE_IN_GOOD = 0.97, 0.6  # mean of a line's letters from which a letter needs no more than this
UNSURE = 0.5  # of a letter: others are as likely together
SURE_NO_SPACE = 0.02  # chance of a space where none is read
WHOLE_SHARE = 0.6  # of a line: where more is in doubt, it is read again as a whole
NEAREST = 1  # words between two parts in doubt that are read again apart
LEAST_PX = 96  # what reading again costs at least
SMOOTH_PX = 5

Span = tuple[int, int]


class Word(NamedTuple):
    """A word by its letters' steps; `start` and `end` are the steps of the spaces around it."""

    start: int
    end: int
    letters: list[int]


class Spelled:
    """One line as it was read: `steps` is [steps], `width` the line's own without what it is padded with."""

    def __init__(self, steps: Steps, characters: NDArray[np.object_], width: int) -> None:
        self._steps, self._characters, self._width = steps, characters, width
        is_letter = steps.best != 0
        is_letter[1:] &= steps.best[1:] != steps.best[:-1]
        self._letters: NDArray[np.intp] = np.flatnonzero(is_letter)

    def reading(self) -> Reading:
        if not len(self._letters):
            return Reading("", 0.0)
        chance = float(self._steps.chance[self._letters].mean())
        return Reading(self.text(self._letters).strip(), chance, tuple(self.unsure_words()))

    def unsure_words(self) -> Iterator[str]:
        """The words of which a letter is likely to be another."""
        for word in self.words():
            if word.letters and float(self._steps.chance[word.letters].min()) < UNSURE:
                yield self.text(word.letters).strip()

    def text(self, letters: NDArray[np.intp] | list[int]) -> str:
        return "".join(self._characters[self._steps.best[letters]])

    def chances(self, words: list[Word]) -> list[float]:
        return [float(self._steps.chance[i]) for word in words for i in word.letters]

    def doubts(self) -> NDArray[np.bool_]:
        """Which steps are in doubt: letters that may be others, and gaps that may be spaces. [steps]"""
        steps, letters = self._steps, self._letters
        is_space = steps.best == len(self._characters) - 1
        beside = is_space | np.roll(is_space, 1) | np.roll(is_space, -1)
        doubts: NDArray[np.bool_] = (steps.space >= SURE_NO_SPACE) & ~beside
        doubts[: letters[0]] = False
        doubts[letters[-1] + 1 :] = False
        chances = steps.chance[letters]
        doubts[letters[chances < (SURE_IN_GOOD if chances.mean() >= GOOD_LINE else SURE)]] = True
        return doubts

    def words(self) -> list[Word]:
        space = len(self._characters) - 1
        inner = [int(i) for i in self._letters[1:-1] if self._steps.best[i] == space]
        bounds = [-1, *inner, len(self._steps.best)]
        return [Word(start, end, [int(i) for i in self._letters if start < i < end]) for start, end in pairwise(bounds)]

    def parts_in_doubt(self) -> list[Span] | None:
        """Runs of words to be read again, first and last; None for the whole line."""
        if not len(self._letters) or is_east_asian(self.text(self._letters)):
            return None
        doubts = self.doubts()
        runs: list[list[int]] = []
        for i, word in enumerate(self.words()):
            if not doubts[max(0, word.start) : word.end + 1].any():
                continue
            if runs and i - runs[-1][1] <= NEAREST:
                runs[-1][1] = i
            else:
                runs.append([i, i])
        return [(first, last) for first, last in runs]

    def columns(self, line: Pixels, words: list[Word], span: Span) -> Span:
        """Where a run of words stands in the line's picture: from blank to blank."""
        contrast = ink_of_columns(line)
        return self._blank(contrast, words[span[0]].start), self._blank(contrast, words[span[1]].end)

    def _blank(self, contrast: NDArray[np.floating], step: int) -> int:
        """The emptiest column near the step of a space; the line's ends for steps outside."""
        first, last = max(0, STEP_PX * (step - 1)), min(self._width, STEP_PX * (step + 2))
        if step < 0:
            return 0
        if step >= len(self._steps.best) or first >= last:
            return self._width
        return first + int(contrast[first:last].argmin())


def ink_of_columns(line: Pixels) -> NDArray[np.floating]:
    grey = line.mean(axis=2)
    return np.convolve(grey.max(axis=0) - grey.min(axis=0), np.ones(SMOOTH_PX) / SMOOTH_PX, "same")


def is_worth_parts(parts: list[Span], width: int) -> bool:
    """Whether reading the parts, by their columns, costs clearly less than reading the line."""
    return sum(max(LEAST_PX, end - start) for start, end in parts) <= WHOLE_SHARE * width


def is_east_asian(text: str) -> bool:
    """Whether any of `text` is Han, kana or Hangul."""
    return any("\u3040" <= char <= "\u9fff" or "\uac00" <= char <= "\ud7a3" for char in text)
