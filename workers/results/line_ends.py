"""Lines that end where their writer wanted: addresses, the head of a letter, verse.

Running text ends a line where the next word has no room. Where it had room, before most ends of a paragraph, the lines
are meant, and stay; so do short lines in a page of longer ones, none of which goes on in a small letter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from workers.layout.blocks import Block
from workers.results.prose import LAST_MARKS

MOST_LINES = 12
ROOM = 1.3  # times the next word and a space, in the mean width of letters
LEAST_MEANT = 0.5  # of the ends
SHORT = 0.5  # of the page's longest line


def keeps_lines(block: Block, lines: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the lines of a paragraph, among those of its upright page, are to stand each by itself."""
    if block.kind != "paragraph" or not 2 <= len(block.lines) <= MOST_LINES or block.lines[-1] >= len(lines):
        return False
    own = [lines[i] for i in block.lines]
    if [line["text"] for line in own] != block.text.split("\n") or any(not line.get("box") for line in own):
        return False
    widest = max(width_of(line) for line in own)
    ends = list(pairwise(own))
    if widest <= SHORT * max(width_of(line) for line in lines if line.get("box")):
        return all(begins_anew(before, after) for before, after in ends)
    return sum(is_meant(before, after, widest) for before, after in ends) >= LEAST_MEANT * len(ends)


def begins_anew(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether nothing in the texts says that the first of two lines goes on in the second."""
    one, two = before["text"].strip(), after["text"].strip()
    return bool(one and two) and one[-1] not in LAST_MARKS and not two[0].islower()


def is_meant(before: Mapping[str, Any], after: Mapping[str, Any], widest: float) -> bool:
    """Whether the first word of `after` had room on the line `before`."""
    if not begins_anew(before, after):
        return False
    first = after["text"].split()[0]
    letter = width_of(after) / max(1, len(after["text"]))
    return bool(width_of(before) + ROOM * letter * (len(first) + 1) <= widest)


def width_of(line: Mapping[str, Any]) -> float:
    x0, _, x1, _ = line["box"]
    return float(x1 - x0)
