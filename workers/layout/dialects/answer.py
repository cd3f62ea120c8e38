"""What a reader of a dialect makes of a model's answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workers.layout.blocks import Block, BlockKind, Box
from workers.results.escape import escape_inline

MOST_LEVEL = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`blocks` have boxes in the numbers of the dialect. `turn` is the clockwise turn in degrees that the model asks
    for, to read the page again."""

    blocks: tuple[Block, ...]
    turn: int = 0


Reader = Callable[[str], Answer]


def box_of(numbers: Sequence[float]) -> Box | None:
    """The box of four numbers in any order of its corners; None of fewer, and of one without an area."""
    if len(numbers) < 4:
        return None
    x0, y0, x1, y1 = numbers[:4]
    box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
    return box if box[0] < box[2] and box[1] < box[3] else None


def heading(text: str, level: int, box: Box | None = None, *, kind: BlockKind = "heading") -> Block:
    """A heading whose level is the model's; its text is plain."""
    text = escape_inline(" ".join(text.split()))
    return Block(kind=kind, text=text, level=min(max(level, 1), MOST_LEVEL), markup="markdown", box=box)
