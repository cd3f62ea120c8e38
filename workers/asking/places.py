"""Where the values that a model took from a document stand: on which of its pages, and where on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workers.asking.bm25 import terms
from workers.asking.passages import words_of_name
from workers.lines import Line
from workers.reading.layer_lines import LayerWord
from workers.reading.values import SHORT, SURE, Value, letters_of, locate, values_in


@dataclass(frozen=True, slots=True)
class PageWords:
    """The words of a page, whose number counts from 1, with their boxes on its image."""

    page_number: int
    words: Sequence[LayerWord]


def is_named_beside(value: Value, place: Line, page: PageWords) -> bool:
    """Whether a word of the value's name is on the line where it stands."""
    line = next((word.line for word in page.words if word.box[:2] == place.box[:2]), None)
    said = {term for word in page.words if word.line == line for term in terms(word.text)}
    return any(len(term) >= SHORT and term in said for term in terms(words_of_name(value.path)))


def placed_values(data: Any, pages: Sequence[PageWords]) -> list[dict[str, Any]]:
    """Records {path, value, page_number, box}; both of the latter are None for a value that is not found.

    The first page that has the very words is taken, else the first that has its letters or its number. What is as short
    as a digit or two is taken only where a word of its name stands on the same line.
    """
    values = values_in(data)
    found = [(page, locate(values, page.words)) for page in pages]
    return [record_of(value, [(page, lines[place]) for page, lines in found]) for place, value in enumerate(values)]


def record_of(value: Value, places: Sequence[tuple[PageWords, Line | None]]) -> dict[str, Any]:
    having = [(page, line) for page, line in places if line]
    if len(letters_of(value.text)) < SHORT:
        having = [(page, line) for page, line in having if is_named_beside(value, line, page)]
    sure = [(page, line) for page, line in having if line.confidence == SURE]
    number, box = next(((page.page_number, line.box) for page, line in (*sure, *having)), (None, None))
    return {"path": value.path, "value": value.value, "page_number": number, "box": box}
