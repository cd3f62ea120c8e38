"""Which scripts the ocr engine's model reads, and how one that it does not read shows.

The model's own list of characters has Latin, Han and kana, and Greek without most accents. Of a line in another script
it makes a letter or two for its whole length, or Latin noise that it is not sure of.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from workers.text_lines import Reading

SCRIPTS = ("Latin", "Chinese", "Japanese")
LONG_ASPECT = 3.0  # a box this much longer than high has several letters in any script
SPARSE = 0.35  # letters for each height that a line is long: Latin print has two, Han nearly one
UNSURE = 0.72  # confidence; bad print of a script that is known has more
FOREIGN_SHARE = 0.25  # of the length of all long lines; a hard hand that is read for the most part stays below
FOREIGN_LENGTH = 8.0  # heights: a few words


class Seen(NamedTuple):
    """A line as it was read, kept or not, and its length over its height."""

    reading: Reading
    aspect: float


def is_foreign(lines: Iterable[Seen]) -> bool:
    """Whether the page seems to be in a script that the model does not read."""
    long = [line for line in lines if line.aspect >= LONG_ASPECT]
    unread = sum(line.aspect for line in long if not is_read(line))
    return unread >= FOREIGN_LENGTH and unread >= FOREIGN_SHARE * sum(line.aspect for line in long)


def is_read(line: Seen) -> bool:
    letters = sum(not character.isspace() for character in line.reading.text)
    return line.reading.confidence >= UNSURE and letters >= SPARSE * line.aspect
