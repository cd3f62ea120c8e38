"""Which pages of a document are meant: "1-3,7,-1" as people write it, and the ranges it stands for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

MAX_LENGTH = 100_000  # characters; 10,000 single pages need under 60,000
PART = re.compile(r"(?P<first>-?\d{1,9})(?P<dash>-)?(?P<last>-?\d{1,9})?")
LONG_DASHES = str.maketrans("–—−", "---")


@dataclass(frozen=True, slots=True)
class Selection:
    """Pages in document order, each once, as ranges of 0-based indexes: (first, one past the last).

    Its text has people's 1-based numbers, as "1-3,7"; `Selection.parse(str(selection))` gives it back.
    """

    ranges: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, indexes: Iterable[int]) -> Self:
        """The selection of these 0-based indexes, in any order, with or without repeats."""
        return cls.merge((index, index + 1) for index in indexes)

    @classmethod
    def merge(cls, ranges: Iterable[tuple[int, int]]) -> Self:
        """The pages in any of `ranges`, which may overlap and come in any order."""
        merged: list[tuple[int, int]] = []
        for start, stop in sorted(ranges):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
            else:
                merged.append((start, stop))
        return cls(tuple(merged))

    @classmethod
    def parse(cls, text: str) -> Self:
        """The selection written as "1-3,7"; "" is none.

        Raises ValueError for other text. What people write may count from the end: it goes to `select_pages`.
        """
        ranges = []
        for first, last in parse_parts(text):
            if last is None or first < 0 or last < 0:
                raise ValueError(f"{text!r} counts from the end; it needs the number of pages")
            ranges.append((first - 1, last))
        return cls.merge(ranges)

    def __str__(self) -> str:
        return ",".join(f"{start + 1}-{stop}" if stop - start > 1 else f"{stop}" for start, stop in self.ranges)

    def __len__(self) -> int:
        return sum(stop - start for start, stop in self.ranges)

    def __iter__(self) -> Iterator[int]:
        """The 0-based indexes, in document order."""
        for start, stop in self.ranges:
            yield from range(start, stop)

    def __contains__(self, index: object) -> bool:
        return isinstance(index, int) and any(start <= index < stop for start, stop in self.ranges)

    def nth(self, position: int) -> int:
        """The index of the page at this 0-based position of the selection. Raises IndexError beyond its end."""
        left = position
        for start, stop in self.ranges:
            if 0 <= left < stop - start:
                return start + left
            left -= stop - start
        raise IndexError(f"a selection of {len(self)} pages has no position {position}")

    def position_of(self, index: int) -> int:
        """The 0-based position of this page in the selection. Raises ValueError for one that is not in it."""
        before = 0
        for start, stop in self.ranges:
            if start <= index < stop:
                return before + index - start
            before += stop - start
        raise ValueError(f"page {index + 1} is not in the selection {self}")


def in_ranges(page_numbers: Iterable[int]) -> str:
    """Page numbers, which count from 1, in people's words: "1-3, 9"."""
    return str(Selection.of(number - 1 for number in sorted(page_numbers))).replace(",", ", ")


def parse_parts(text: str) -> list[tuple[int, int | None]]:
    """First and last page number of each part of `text`, as people write it; None is "to the last page".

    Raises ValueError, in words for people, for text that no document could make sense of.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"The pages take over {MAX_LENGTH} characters; write ranges such as 1-300.")
    parts = [part.strip() for part in text.translate(LONG_DASHES).split(",")]
    return [parse_part(part) for part in parts if part]


def parse_part(part: str) -> tuple[int, int | None]:
    match = PART.fullmatch("-".join(piece.strip() for piece in part.split("-")))
    if not match or (match["last"] and not match["dash"]):
        raise ValueError(f"{part!r:.60} is not a page or a range of pages; write for example 1-3,7,-1.")
    first = int(match["first"])
    last = int(match["last"]) if match["last"] else None if match["dash"] else first
    if first == 0 or last == 0:
        raise ValueError(f"{part!r} names page 0; pages count from 1, and from -1 at the end.")
    if last is not None and (first < 0) == (last < 0) and last < first:
        raise ValueError(f"{part!r} runs backwards; write {last}-{first}. Pages are read in the document's order.")
    return first, last


def select_pages(selection: str, num_pages: int) -> Selection:
    """The pages that `selection` names in a document of `num_pages`; empty text names all of them.

    Pages count from 1, negative ones from the end (-1 is the last), "5-" goes on to the last. Raises ValueError,
    in words for people, for text that is no selection or a page that the document does not have.
    """
    parts = parse_parts(selection) or [(1, None)]
    ranges = []
    for first, last in parts:
        start = page_index(first, num_pages)
        stop = num_pages if last is None else page_index(last, num_pages) + 1
        if stop <= start:
            raise ValueError(
                f"{first}-{last} runs backwards in a document of {num_pages} pages: it is {start + 1}-{stop}."
            )
        ranges.append((start, stop))
    return Selection.merge(ranges)


def page_index(number: int, num_pages: int) -> int:
    index = number - 1 if number > 0 else num_pages + number
    if not 0 <= index < num_pages:
        pages = "1 page" if num_pages == 1 else f"{num_pages} pages"
        raise ValueError(f"There is no page {number}: the document has {pages}.")
    return index
