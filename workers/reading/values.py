"""Values that were extracted from a page: in one list, in a table, and where they stand among the page's words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from workers.layout.blocks import Block, Box, Cell, PageLayout
from workers.lines import Line
from workers.reading.layer_lines import LayerWord
from workers.reading.numbers import date_of, says_date, says_number

MOST_VALUES = 2000
MOST_LOCATED = 300  # values of a page whose places are looked for
SURE, NEARLY = 1.0, 0.9  # confidence of a place where the words are the value, and where they are but for their marks
MOST_GROUPS = 4  # words that a number may be: 1 234 567 €
SHORT = 3  # letters and digits; a value with fewer stands where it stands once only

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Value:
    """One value by its path, such as `items[0].price`."""

    path: str
    value: Scalar

    @property
    def text(self) -> str:
        if self.value is None:
            return ""
        return str(self.value).lower() if isinstance(self.value, bool) else str(self.value)


def values_in(data: Any) -> list[Value]:
    return list(islice(_walk(data, ""), MOST_VALUES))


def _walk(data: Any, path: str) -> Iterator[Value]:
    if isinstance(data, dict):
        for name, part in data.items():
            yield from _walk(part, f"{path}.{name}" if path else name)
    elif isinstance(data, list):
        for number, part in enumerate(data):
            yield from _walk(part, f"{path}[{number}]")
    else:
        yield Value(path, data)


def table_of(values: Sequence[Value], lines: Sequence[int] = ()) -> Block:
    """Two columns, a row for each value; `lines` are places of those that were found among the page's lines."""
    rows = [("Field", "Value"), *((value.path, " ".join(value.text.split())) for value in values)]
    cells = [
        Cell(row=row, column=column, text=text, is_header=row == 0)
        for row, pair in enumerate(rows)
        for column, text in enumerate(pair)
        if text
    ]
    text = "\n".join(" ".join(pair).strip() for pair in rows)
    return Block(kind="table", text=text, cells=tuple(cells), lines=tuple(lines))


def locate(values: Sequence[Value], words: Sequence[LayerWord]) -> list[Line | None]:
    """Where each value stands on the page, the first place of several; None where it is not found."""
    letters = [letters_of(word.text) for word in words]
    return [_find(value, words, letters) if number < MOST_LOCATED else None for number, value in enumerate(values)]


def _find(value: Value, words: Sequence[LayerWord], letters: Sequence[str]) -> Line | None:
    wanted = letters_of(value.text)
    if value.value is None or isinstance(value.value, bool) or not wanted:
        return None
    if isinstance(value.value, int | float):
        found = list(_numbers(value.value, words))
    elif not (found := list(_runs(wanted, letters))) and (day := date_of(value.value)):
        found = [(at, at + 1) for at, word in enumerate(words) if says_date(word.text, day)]
    if not found or (len(wanted) < SHORT and len(found) > 1):
        return None
    said = [" ".join(word.text for word in words[start:end]) for start, end in found]
    place = said.index(value.text) if value.text in said else 0
    start, end = found[place]
    box = _around([word.box for word in words[start:end]])
    return Line(text=" ".join(value.text.split()), box=box, confidence=SURE if said[place] == value.text else NEARLY)


def _runs(wanted: str, letters: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Words one after another that have the wanted letters."""
    for start, first in enumerate(letters):
        if not first or not wanted.startswith(first):
            continue
        end, run = start + 1, first
        while len(run) < len(wanted) and end < len(letters):
            run += letters[end]
            end += 1
        if run == wanted:
            yield start, end


def letters_of(text: str) -> str:
    """What two texts are compared by: no case, no space, no marks."""
    return "".join(filter(str.isalnum, text.casefold()))


def _numbers(value: float, words: Sequence[LayerWord]) -> Iterator[tuple[int, int]]:
    """Words that say the number, the longest first: groups of three may be words of their own."""
    for start in range(len(words)):
        for end in range(min(start + MOST_GROUPS, len(words)), start, -1):
            is_one_line = words[end - 1].line == words[start].line
            if is_one_line and says_number(" ".join(word.text for word in words[start:end]), value):
                yield start, end
                break


def _around(boxes: Sequence[Box]) -> Box:
    return (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )


def value_records(data: Any, page_number: int, words: Sequence[LayerWord]) -> list[dict[str, Any]]:
    """Records {path, value, page_number, box} of all values; a value that is not found has no box."""
    values = values_in(data)
    return [
        {"path": value.path, "value": value.value, "page_number": page_number, "box": place.box if place else None}
        for value, place in zip(values, locate(values, words), strict=True)
    ]


def lay_out_values(data: Any, words: Sequence[LayerWord]) -> PageLayout:
    """A page that is a table of values, whose lines are those that are found."""
    values = values_in(data)
    lines = [place for place in locate(values, words) if place]
    return PageLayout(lines=tuple(lines), blocks=(table_of(values, range(len(lines))),))
