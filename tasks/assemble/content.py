"""What a page says: as it was read, or as a person corrected it, which is kept beside what was read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.archive import read_content
from tasks.blobs import BlobMissing, job_key
from tasks.ledger.records import Page
from tasks.services import get_blobs
from workers.documents.text_layer import TEXT_LAYER
from workers.layout.blocks import Block
from workers.layout.dialects.markdown import read_markdown
from workers.layout.dialects.plain import read_plain
from workers.results.corrected import correct


def correction_key(job_id: str, index: int) -> str:
    return job_key(job_id, f"corrections/{index + 1:06d}.json")


def content_of(job_id: str, page: Page) -> dict[str, Any]:
    """The page's text, lines and blocks, corrected where a person has; empty for a page that has none."""
    content = read_content(page)
    if not page.corrected_at:
        return content
    try:
        kept = get_blobs().read_json(correction_key(job_id, page.index))
    except BlobMissing:  # it was just undone
        return content
    made = correct(content.get("lines", ()), blocks_of(page, content), shown=kept["shown"], text=kept["text"])
    blocks = [block.to_json() for block in made.blocks]
    return content | {"text": made.text, "lines": list(made.lines), "blocks": blocks}


def blocks_of(page: Page, content: Mapping[str, Any]) -> tuple[Block, ...]:
    """The page's blocks as its layout found them; else those of its Markdown, or paragraphs of its plain text."""
    if found := content.get("blocks"):
        return tuple(map(Block.from_json, found))
    text = content.get("text", "")
    is_plain = page.engine == TEXT_LAYER or bool(content.get("lines"))
    return read_plain(text) if is_plain else read_markdown(text)
