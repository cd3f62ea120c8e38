"""Blocks as parts of chunks: what each says in plain words, where it stands, and how a long one is cut."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from workers.results.captions import captions_of
from workers.results.flow import Flowed, Item, Place
from workers.results.markdown import DEFAULTS, table_markdown

HEADINGS = frozenset({"title", "heading"})
WHOLE = frozenset({"table"})  # never cut
ENDS = (re.compile(r"\n"), re.compile(r"[.!?。！？]['\"”’»)\]]*\s"), re.compile(r"\s"))  # the better place first
LEAST_SHARE = 0.5  # of the room: a better place nearer to the beginning than this is left for a worse one


@dataclass(frozen=True, slots=True)
class Part:
    """A block, or some of it. `separator` stands before it, after another part; `level` is that of a heading."""

    kind: str
    text: str
    places: tuple[Place, ...]
    level: int = 0
    separator: str = "\n\n"


def parts_of(flowed: Flowed) -> Iterator[Part]:
    """The parts of a page, in reading order; a caption and its figure or table are one part."""
    before = ""
    for items in together(flowed.items):
        block = next((item.block for item in items if item.block.kind != "caption"), items[0].block)
        texts = [text_of(item) for item in items]
        starts = [0, len(texts[0]) + 2 if texts[0] else 0]
        if text := "\n\n".join(filter(None, texts)):
            places = tuple(
                replace(place, start=start + place.start)
                for item, start in zip(items, starts, strict=False)
                for place in item.places
            )
            separator = "\n" if block.kind == before == "list_item" else "\n\n"
            yield Part(block.kind, text, places, max(1, block.level) if block.kind in HEADINGS else 0, separator)
            before = block.kind


def together(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Each item by itself, but a caption with its figure or table, which stands beside it."""
    owners = captions_of(items)
    partners = owners | {owner: caption for caption, owner in owners.items()}
    for place, item in enumerate(items):
        partner = partners.get(place)
        if partner is None:
            yield [item]
        elif place < partner:
            yield [item, items[partner]]


def text_of(item: Item) -> str:
    """What the block says; a table as Markdown, a list item with its mark."""
    block = item.block
    if block.kind == "table":
        return table_markdown(block, DEFAULTS) if block.cells else block.text.strip()
    if block.kind == "code":
        return block.text.strip("\n")
    if block.kind in HEADINGS:
        return " ".join(item.text.split())
    return f"{block.marker} {item.text}".strip() if block.kind == "list_item" else item.text.strip()


def cut(part: Part, first_room: int, room: int) -> list[Part]:
    """The part in pieces: the first has at most `first_room` characters, the others `room`, unless it stays whole."""
    if part.kind in WHOLE or len(part.text) <= first_room:
        return [part]
    pieces: list[Part] = []
    start, most = 0, first_room
    while len(part.text) - start > most:
        end = start + end_of_piece(part.text[start : start + most + 1], most)
        pieces.append(piece(part, start, end))
        start, most = end, room
    return [*pieces, piece(part, start, len(part.text))]


def end_of_piece(text: str, most: int) -> int:
    """Where to cut, at most after `most` characters: after a line, a sentence, or a word, in a word if need be."""
    for pattern in ENDS:
        ends = [found.end() for found in pattern.finditer(text) if found.end() <= most]
        if ends and ends[-1] >= most * LEAST_SHARE:
            return ends[-1]
    return most


def piece(part: Part, start: int, end: int) -> Part:
    """Some of the part, at the places where it stands."""
    begins = [place.start for place in part.places]
    ends = [*begins[1:], len(part.text)]
    places = tuple(
        place for place, first, last in zip(part.places, begins, ends, strict=True) if first < end and last > start
    )
    text = part.text[start:end].strip("\n" if part.kind == "code" else None)
    return replace(part, text=text, places=places or part.places[-1:])


def joined(parts: Sequence[Part]) -> str:
    return "".join(f"{part.separator if index else ''}{part.text}" for index, part in enumerate(parts))
