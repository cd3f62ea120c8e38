"""A job's text by its pages: chosen, cut to what a model can take at once, and searched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

PART = re.compile(r"(-?\d{1,6})?(?:(-)(\d{1,6})?)?")  # of a part without white space
AROUND = 100  # characters of a snippet on each side of what was found


@dataclass(frozen=True, slots=True)
class Hit:
    page_number: int
    snippet: str


def chosen(selection: str, last: int) -> list[int]:
    """The numbers that "1-3,7,-1" names in a document of `last` pages; "" names all. Raises ValueError."""
    numbers: set[int] = set()
    for part in selection.split(",") if selection.strip() else ["1-"]:
        match = PART.fullmatch("".join(part.split()))
        if not match or not match[1]:
            raise ValueError(f"{part!r:.60} is no page or range of pages; write for example 1-3,7,-1 or 5-.")
        first = int(match[1]) if int(match[1]) > 0 else last + 1 + int(match[1])
        stop = int(match[3]) if match[3] else last if match[2] else first
        if not 1 <= first <= stop <= last:
            raise ValueError(f"{part.strip()!r:.60} is not within the document, which has the pages 1 to {last}.")
        numbers.update(range(first, stop + 1))
    return sorted(numbers)


def excerpt(pages: Mapping[int, str], numbers: Iterable[int], max_chars: int) -> tuple[str, list[int]]:
    """The pages one after another as far as they fit, and the numbers of those left out.

    The first page is cut where it alone is longer.
    """
    shown: list[str] = []
    room, left = max_chars, list(numbers)
    while left:
        text = pages.get(left[0], "*This page has not been read, or is not among the pages of this job.*")
        whole = f"<!-- page {left[0]} -->\n\n{text}"
        if shown and len(whole) > room:
            break
        shown.append(whole if len(whole) <= room else f"{whole[:room]}\n\n*Cut here; ask again with more max_chars.*")
        room -= len(whole)
        del left[0]
    return "\n\n".join(shown), left


def shortly(numbers: Iterable[int]) -> str:
    """Page numbers, in their order, as people write them: 1-3,7."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in ranges)


def search(pages: Iterable[tuple[int, str]], query: str, most: int) -> tuple[list[Hit], int]:
    """The first `most` places of these words, in any case and with any white space between, and how many there are.

    Raises ValueError for a query without words.
    """
    wanted = " ".join(query.split()).lower()
    if not wanted:
        raise ValueError("Nothing to search for: give a word or a phrase in `query`.")
    hits = hits_in(pages, wanted)
    found = list(islice(hits, most))
    return found, len(found) + sum(1 for _ in hits)


def hits_in(pages: Iterable[tuple[int, str]], wanted: str) -> Iterator[Hit]:
    """Each place of `wanted`, which is in lower case with single spaces."""
    for number, page in pages:
        text = " ".join(page.split())
        lowered = text.lower()
        shown = text if len(text) == len(lowered) else lowered  # a few letters are two in lower case
        start = lowered.find(wanted)
        while start >= 0:
            first, stop = max(0, start - AROUND), start + len(wanted) + AROUND
            snippet = shown[first:stop].strip()
            yield Hit(number, f"{'…' if first else ''}{snippet}{'…' if stop < len(shown) else ''}")
            start = lowered.find(wanted, start + len(wanted))
