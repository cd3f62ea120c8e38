"""The words of lines with boxes, which are interpolated: engines give a box to a line."""

from __future__ import annotations

import re
from collections.abc import Sequence

from workers.layout.blocks import Box
from workers.lines import Line
from workers.reading.layer_lines import LayerWord

WORD = re.compile(r"\S+")


def words_of(lines: Sequence[Line]) -> list[LayerWord]:
    """Each word with the 0-based place of its line; a line that runs downwards is divided from top to bottom."""
    return [
        LayerWord(found[0], part_of(line, found.start(), found.end()), number)
        for number, line in enumerate(lines)
        for found in WORD.finditer(line.text)
    ]


def part_of(line: Line, start: int, end: int) -> Box:
    """The box of these characters of a line, as if all were of one width."""
    x0, y0, x1, y1 = line.box
    first, last = start / len(line.text), end / len(line.text)
    if y1 - y0 > x1 - x0 and len(line.text) > 2:
        return (x0, round(y0 + first * (y1 - y0), 1), x1, round(y0 + last * (y1 - y0), 1))
    return (round(x0 + first * (x1 - x0), 1), y0, round(x0 + last * (x1 - x0), 1), y1)
