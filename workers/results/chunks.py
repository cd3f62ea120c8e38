"""The document in chunks for retrieval, as JSON Lines: pieces of one section, each with its headings and places.

A chunk ends where a title or a heading of the first two levels begins, and else when it is full. Text is plain, tables
are Markdown and whole, even where that is more than `max_chars`. The text of every block but furniture is in exactly
one chunk, that of a long one in several that follow one another. Sizes are characters: tokens are a model's own.
With `max_chars` 0 each block is a chunk with the headings right above it, and so is each list.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import IO, Any

from workers.layout.blocks import Box
from workers.results.chunk_parts import WHOLE, Part, cut, joined, parts_of
from workers.results.flow import Place, flow
from workers.results.json_file import dump
from workers.results.outline import Outline, with_outline
from workers.results.page import PageResult, missing_text

MAX_CHARS = 2000  # about 500 tokens of English
BREAKING_LEVEL = 2
LEAST_ROOM = 100  # characters: with less room below its headings a text begins a chunk of its own

Sizes = dict[int, tuple[int, int]]
Chunk = tuple[list[str], list[Part]]  # the headings that it stands below, its own among them, and its parts


def write_chunks(pages: Iterable[PageResult], outline: Outline, out: IO[str], max_chars: int = MAX_CHARS) -> None:
    """Write a line for each chunk; the pages come in order, and `outline` is of the same pages."""
    sizes: Sizes = {}
    numbers = count(1)
    packer = Packer(max_chars) if max_chars else BlockPacker()
    for part in iter_parts(noted(with_outline(pages, outline), sizes), outline):
        for chunk in packer.add(part):
            out.write(dump(record(next(numbers), *chunk, sizes)) + "\n")
    for chunk in packer.end():
        out.write(dump(record(next(numbers), *chunk, sizes)) + "\n")


def noted(pages: Iterable[PageResult], sizes: Sizes) -> Iterator[PageResult]:
    for page in pages:
        sizes[page.page_number] = (page.width, page.height)
        yield page


def iter_parts(pages: Iterable[PageResult], outline: Outline) -> Iterator[Part]:
    """The parts of the document, with a word in the place of each page without text."""
    for flowed in flow(pages, compounds=outline.compounds):
        page = flowed.page
        if not page.has_text:
            yield Part("missing", missing_text(page), (Place(page.page_number, None),))
        yield from parts_of(flowed)


class Packer:
    """Puts parts into chunks; holds the one that is not full."""

    def __init__(self, max_chars: int) -> None:
        self._max_chars = max_chars
        self._parts: list[Part] = []
        self._path: list[tuple[int, str]] = []  # levels and texts of the headings that the next part stands below
        self._headings: list[str] = []  # of the chunk

    def add(self, part: Part) -> Iterator[Chunk]:
        """Take a part in; gives the chunks that are full then."""
        if part.level:
            yield from self._add_heading(part)
        elif len(part.text) <= self._room():
            self._put(part)
        else:
            yield from self._add_large(part)

    def end(self) -> Iterator[Chunk]:
        if self._parts:
            yield self._take(len(self._parts))

    def _add_heading(self, part: Part) -> Iterator[Chunk]:
        """A heading of a lower level goes on in a chunk that is not half full; none begins in one that it overfills."""
        is_half_full = len(joined(self._parts)) * 2 >= self._max_chars
        if self._has_body() and (part.level <= BREAKING_LEVEL or is_half_full):
            yield self._take(len(self._parts))
        self._path = [above for above in self._path if above[0] < part.level] + [(part.level, part.text)]
        for piece in cut(part, self._max_chars, self._max_chars):
            if self._parts and len(piece.text) > self._room():
                yield self._take(len(self._parts))
            self._put(piece)

    def _add_large(self, part: Part) -> Iterator[Chunk]:
        """Take in a part that is too large for the chunk. The headings right above it go with it."""
        if num_body := self._num_to_body():
            yield self._take(num_body)
        is_tight = self._room() < min(len(part.text), LEAST_ROOM) and part.kind not in WHOLE
        if self._parts and is_tight:
            yield self._take(len(self._parts))
        for piece in cut(part, self._room(), self._max_chars):
            if self._has_body():
                yield self._take(len(self._parts))
            self._put(piece)

    def _put(self, part: Part) -> None:
        if not self._has_body():
            self._headings = [text for _, text in self._path]
        self._parts.append(part)

    def _take(self, num_parts: int) -> Chunk:
        """The first parts as a chunk; the others begin the next one."""
        chunk = (self._headings, self._parts[:num_parts])
        del self._parts[:num_parts]
        self._headings = [text for _, text in self._path]
        return chunk

    def _room(self) -> int:
        """Characters that another part may have."""
        return self._max_chars - (len(joined(self._parts)) + 2 if self._parts else 0)

    def _has_body(self) -> bool:
        return self._num_to_body() > 0

    def _num_to_body(self) -> int:
        """How many parts there are up to the last that is no heading."""
        return max((place for place, part in enumerate(self._parts, 1) if not part.level), default=0)


class BlockPacker(Packer):
    """Makes a chunk of each block, with the headings right above it; the items of a list are one."""

    def __init__(self) -> None:
        super().__init__(sys.maxsize)

    def add(self, part: Part) -> Iterator[Chunk]:
        is_next_item = part.kind == "list_item" and bool(self._parts) and self._parts[-1].kind == "list_item"
        if self._has_body() and not is_next_item:
            yield self._take(len(self._parts))
        yield from super().add(part)


def record(number: int, headings: list[str], parts: Sequence[Part], sizes: Sizes) -> dict[str, Any]:
    """Boxes are pixels of the page image, whose width and height stand beside them."""
    text = joined(parts)
    boxes: dict[int, list[Box]] = {}
    for place in (place for part in parts for place in part.places):
        boxes.setdefault(place.page_number, []).extend([place.box] if place.box else [])
    return {
        "number": number,
        "text": text,
        "num_chars": len(text),
        "headings": headings,
        "pages": sorted(boxes),
        "kinds": list(dict.fromkeys(part.kind for part in parts)),
        "places": [
            {"page_number": page, "width": sizes[page][0], "height": sizes[page][1], "boxes": boxes[page]}
            for page in sorted(boxes)
        ],
    }
