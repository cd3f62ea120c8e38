"""A page of which a text layer covers a part: the layer's words where they stand, what was read everywhere else.

The lines that were read decide what is a line. One that the layer has whole takes the layer's words; one that it has in
part stays as it was read; words of the layer where nothing was read become lines of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from workers.engines import Generation, Line
from workers.reading.layer_lines import LayerWord, likeness, lines_of
from workers.reading_order import order_rows
from workers.row_text import join_rows

WHOLE = 0.8  # of a line's letters: the layer's words in it have as many, or the layer has it in part only
ALIKE = 0.5  # the layer's words and the line are of one text


def put_together(generation: Generation, words: Sequence[LayerWord]) -> Generation:
    """The reading with the layer's words in it; boxes of both are pixels of one image.

    Readings without places, and those of pages that do not stand upright, stay as they are.
    """
    level = [word for word in words if word.angle == 0]
    if not generation.lines or not level or generation.rotation or generation.stop_reason != "stop":
        return generation
    owner = owners(level, generation.lines)
    lines = [
        with_words(line, [word for word, at in zip(level, owner, strict=True) if at == place])
        for place, line in enumerate(generation.lines)
    ]
    lines += lines_of([word for word, at in zip(level, owner, strict=True) if at < 0])
    boxes = [line.box for line in lines]
    rows = order_rows(boxes)
    text = join_rows(rows, boxes, [line.text for line in lines])
    return replace(generation, text=text, lines=tuple(lines[i] for row in rows for i in row))


def owners(words: Sequence[LayerWord], lines: Sequence[Line]) -> list[int]:
    """The place of the line that each word lies in, -1 for none. A word lies in a line where its middle does."""
    boxes: NDArray[np.float64] = np.array([line.box for line in lines])
    places = []
    for word in words:
        x, y = (word.box[0] + word.box[2]) / 2, (word.box[1] + word.box[3]) / 2
        inside = (boxes[:, 0] <= x) & (x <= boxes[:, 2]) & (boxes[:, 1] <= y) & (y <= boxes[:, 3])
        distance = np.where(inside, np.abs((boxes[:, 1] + boxes[:, 3]) / 2 - y), np.inf)
        places.append(int(distance.argmin()) if inside.any() else -1)
    return places


def with_words(line: Line, words: Sequence[LayerWord]) -> Line:
    """The line with the layer's words for its own, where they are the same line."""
    text = " ".join(word.text for word in sorted(words, key=lambda word: word.box[0]))
    read = sum(map(str.isalnum, line.text))
    if not text or sum(map(str.isalnum, text)) < WHOLE * read or likeness(text, line.text) < ALIKE:
        return line
    return replace(line, text=text, confidence=1.0, doubts=())
