"""A page as a person corrected it: blocks that were left as they were stay as they are, words keep their places.

People correct a page's Markdown. What they wrote is compared with what they were shown, block by block; a block that
differs takes the place, the kind and the lines of the one that stood there, word by word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import chain
from typing import Any

from workers.layout.blocks import FURNITURE, Block
from workers.layout.dialects.markdown import read_markdown
from workers.results.escape import escape_inline, escape_line
from workers.results.items import mark_of
from workers.results.line_blocks import around, line_of
from workers.results.plain import plain_markdown
from workers.results.prose import compounds_of
from workers.results.word_places import Line, Word, lines_of, nearest, placed, words_of, words_on_lines

PICTURE = re.compile(r"!\[\]\(figures/([\w.-]+)\)")
VERBATIM = frozenset({"code", "table", "formula"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """What stands in the place of a page's text, lines and blocks."""

    text: str
    lines: tuple[Mapping[str, Any], ...]
    blocks: tuple[Block, ...]


def correct(lines: Sequence[Line], blocks: Sequence[Block], *, shown: str, text: str) -> Corrected:
    """The page with `text`, Markdown, instead of `shown`, the Markdown that the person saw of it."""
    if not lines and not any(block.box for block in blocks):
        return Corrected(text=text, lines=(), blocks=read_markdown(text))
    if lines and not any(block.lines for block in blocks):  # their layout was not found
        whole = "\n".join(line["text"] for line in lines)
        blocks = [Block(kind="paragraph", text=whole, lines=tuple(range(len(lines))))]
    return Correction(lines, blocks).make(read_markdown(shown), read_markdown(text))


class Correction:
    """One page being put together anew; `lines` and `blocks` are as they were read."""

    def __init__(self, lines: Sequence[Line], blocks: Sequence[Block]) -> None:
        self.lines, self.before = lines, blocks
        self.compounds = compounds_of(block.text for block in blocks if not block.markup)
        self.known = [self.words_of_block(block) for block in blocks]
        self.new_lines: list[Line] = []
        self.blocks: list[Block] = []

    def make(self, shown: Sequence[Block], wanted: Sequence[Block]) -> Corrected:
        origins = self.origins_of(shown)
        taken = set(chain.from_iterable(origins))
        loose = [number for number in range(len(self.before)) if number not in taken]  # what Markdown leaves out
        for tag, start, end, first, last in SequenceMatcher(None, shown, wanted, autojunk=False).get_opcodes():
            own = [number for each in origins[start:end] for number in each]
            while loose and own and loose[0] < min(own):
                self.keep(loose.pop(0))
            if tag == "equal":
                for each, block in zip(origins[start:end], wanted[first:last], strict=True):
                    self.keep_all(each) if each else self.rewrite([], [], [block])
            else:
                pairs = list(zip(origins[start:end], shown[start:end], strict=True))
                self.rewrite(own, pairs if end - start == last - first else [], wanted[first:last])
        self.keep_all(loose)
        text = "\n".join(line["text"] for line in self.new_lines) or "\n\n".join(block.text for block in self.blocks)
        return Corrected(text=text, lines=tuple(self.new_lines), blocks=tuple(self.blocks))

    def words_of_block(self, block: Block) -> list[Word]:
        """The words of a block on its lines, without the mark of a list item."""
        texts = [(place, str(self.lines[place]["text"])) for place in block.lines]
        if not texts:
            return words_of(block.text)
        if block.kind in VERBATIM:
            return [word for group, (place, text) in enumerate(texts) for word in words_of(text, place, group)]
        if block.kind == "list_item" and block.marker and mark_of(block.marker) is not None:
            texts[0] = (texts[0][0], texts[0][1].removeprefix(block.marker))
        return words_on_lines(texts, self.compounds)

    def origins_of(self, shown: Sequence[Block]) -> list[list[int]]:
        """For each block that was shown the blocks of the page, by their places, that it was made of."""
        origins: list[list[int]] = [[] for _ in shown]
        pictures = {found[1]: place for place, block in enumerate(shown) if (found := PICTURE.fullmatch(block.text))}
        words = [(word, place) for place, block in enumerate(shown) for word in plain_words(block)]
        known = [(word, number) for number, block in enumerate(self.before) for word in self.words_at(number, block)]
        votes: dict[int, Counter[int]] = {}
        if words:
            for (_, number), at in zip(known, nearest([w for w, _ in known], [w for w, _ in words]), strict=True):
                votes.setdefault(number, Counter())[words[at][1]] += 1
        for number, block in enumerate(self.before):
            if block.figure in pictures:
                origins[pictures[block.figure]].append(number)
            elif number in votes:
                origins[votes[number].most_common(1)[0][0]].append(number)
        return origins

    def words_at(self, number: int, block: Block) -> list[Word]:
        return [] if block.kind in FURNITURE or block.figure else self.known[number]

    def keep_all(self, numbers: Sequence[int]) -> None:
        for number in sorted(numbers):
            self.keep(number)

    def keep(self, number: int) -> None:
        block = self.before[number]
        self.add(block, [self.lines[place] for place in block.lines])

    def add(self, block: Block, lines: Sequence[Line]) -> None:
        start = len(self.new_lines)
        self.new_lines += lines
        self.blocks.append(replace(block, lines=tuple(range(start, len(self.new_lines)))))

    def rewrite(
        self, numbers: Sequence[int], pairs: Sequence[tuple[Sequence[int], Block]], wanted: Sequence[Block]
    ) -> None:
        """Put these blocks where those at `numbers` stood; `pairs` are what was shown instead, each with its own."""
        known = [word for number in sorted(numbers) for word in self.known[number]]
        known = known or [Word("", (("", self.last_line(numbers)),))]
        rows = [[replace_group(word, place) for word in plain_words(block)] for place, block in enumerate(wanted)]
        words = iter(placed([word for row in rows for word in row], known))
        for place, (block, row) in enumerate(zip(wanted, rows, strict=True)):
            own = [next(words) for _ in row]
            before, shown = pairs[place] if pairs else ((), None)
            old = self.before[before[0]] if before else None
            self.add_new(block, old, shown, own)

    def add_new(self, block: Block, old: Block | None, shown: Block | None, words: Sequence[Word]) -> None:
        is_same_kind = old is not None and shown is not None and kind_of(shown) == kind_of(block)
        marker = old.marker if old and is_same_kind else block.marker
        if marker and block.kind == "list_item" and words:
            words = [Word(marker, ((marker, words[0].pieces[0][1]),)), *words]
        lines = list(lines_of(words, self.lines))
        found = around([line_of(line) for line in lines])
        made = plainly(block, lines)
        if old is not None and is_same_kind:
            made = like(old, made)
        self.add(replace(made, box=found or (old.box if old else None)), lines)

    def last_line(self, numbers: Sequence[int]) -> int | None:
        """A line beside which something new stands, of a page that has lines."""
        if not self.lines:
            return None
        near = [place for number in numbers for place in self.before[number].lines]
        return near[-1] if near else max(0, min(len(self.new_lines), len(self.lines)) - 1)


def replace_group(word: Word, place: int) -> Word:
    """Words of different blocks are never on one line."""
    return Word(word.text, word.pieces, word.is_spaced, word.group + 1000 * place)


def kind_of(block: Block) -> tuple[str, int, str]:
    return (block.kind, block.level, block.marker)


def plain_words(block: Block) -> list[Word]:
    """The words that a reader sees of a block; those of a table cell by cell."""
    if block.cells:
        return [
            word
            for group, cell in enumerate(block.cells)
            for word in words_of(plain_text(block, cell.text), None, group)
        ]
    return [] if PICTURE.fullmatch(block.text) else words_of(plain_text(block, block.text))


def plain_text(block: Block, text: str) -> str:
    return plain_markdown(text) if block.markup == "markdown" else text


def plainly(block: Block, lines: Sequence[Line]) -> Block:
    """The block without Markdown where it has no marks; its text is that of its lines then."""
    if block.markup != "markdown" or PICTURE.fullmatch(block.text):
        return block
    if block.cells:
        if any(escape_inline(plain_markdown(cell.text)) != cell.text for cell in block.cells):
            return block
        cells = tuple(replace(cell, text=plain_markdown(cell.text)) for cell in block.cells)
        return replace(block, cells=cells, markup="")
    plain = plain_markdown(block.text)
    if block.text not in (escape_line(plain), escape_inline(plain), plain):
        return block
    text = "\n".join(line["text"] for line in lines).removeprefix(block.marker).lstrip() or plain
    return replace(block, text=text, markup="")


def like(old: Block, made: Block) -> Block:
    """What was made in place of `old`, as what that was: a caption, a heading of its size, an item with its mark."""
    if made.cells or old.cells or made.markup:
        return replace(made, figure=old.figure)
    text = made.text
    if old.kind == "list_item":
        text = text.removeprefix(old.marker).lstrip()
    return replace(old, text=text)
