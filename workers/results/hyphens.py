"""Which words torn at a line's end had a hyphen of their own, by what the whole document shows.

A document that hyphenates tears many lines; where few lines end in a hyphen, it is the word's own ("cross-platform").
Elsewhere a word keeps it where both its halves are words of the document by themselves and the whole is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from workers.results.prose import COMPOUND, LAST_WORD, TORN

LEAST_LINES = 30  # of a document that shows whether it hyphenates
MOST_TORN = 0.025  # of the lines: such a document tears no words
MOST_WORDS = 200_000  # that are kept in mind
LEAST_HALF = 3  # letters
MOST_LINE = 80  # characters that are looked at for the last word
WORD = re.compile(r"[^\W\d_]{2,40}")


class Hyphens:
    """What was seen of the lines of a document, page after page."""

    def __init__(self) -> None:
        self._compounds: set[str] = set()
        self._words: set[str] = set()
        self._torn: set[tuple[str, str]] = set()
        self._num_lines = self._num_torn = 0

    def look(self, texts: Iterable[str]) -> None:
        for text in texts:
            lines = [" ".join(line.split()) for line in text.split("\n")]
            for line, after in zip(lines, [*lines[1:], ""], strict=True):
                self._look_at(line, after)

    def _look_at(self, line: str, after: str) -> None:
        if "-" in line or "\u2010" in line:
            self._compounds |= {word.casefold() for word in COMPOUND.findall(line)}
        self._num_lines += bool(after)
        whole = line
        is_torn = after and TORN.search(line)
        head, tail = (LAST_WORD.search(line[-MOST_LINE:]), WORD.match(after)) if is_torn else (None, None)
        if head and tail:
            self._num_torn += 1
            self._torn.add((head[0][:-1].casefold(), tail[0].casefold()))
            whole = line[: -len(head[0])]
        if len(self._words) < MOST_WORDS:
            self._words |= {word.casefold() for word in WORD.findall(whole)}

    def compounds(self) -> frozenset[str]:
        """The words with a hyphen of their own, in lower case, those that lines have torn too."""
        is_whole = self._num_lines >= LEAST_LINES and self._num_torn <= MOST_TORN * self._num_lines
        own = {f"{head}-{tail}" for head, tail in self._torn if self._is_own(head, tail, is_whole=is_whole)}
        return frozenset(self._compounds | own)

    def _is_own(self, head: str, tail: str, *, is_whole: bool) -> bool:
        if head + tail in self._words:
            return False
        are_words = min(len(head), len(tail)) >= LEAST_HALF and {head, tail} <= self._words
        return is_whole or are_words
