"""Plain text without places, as blocks: a paragraph for each run of lines between blank ones."""

from __future__ import annotations

from workers.layout.blocks import Block


def read_plain(text: str) -> tuple[Block, ...]:
    parts = text.replace("\r\n", "\n").split("\n\n")
    texts = ("\n".join(line.rstrip() for line in part.split("\n") if line.strip()) for part in parts)
    return tuple(Block(kind="paragraph", text=kept) for kept in texts if kept)
