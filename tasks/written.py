"""The layout of pages that a language model wrote, which says itself what their blocks are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tasks.blobs import IMAGE, BlobMissing, page_key
from tasks.messages import PageTask
from tasks.services import get_blobs
from workers.engines import Generation
from workers.layout.blocks import PageLayout
from workers.layout.written import lay_out_answer
from workers.reading.layer_lines import LayerWord
from workers.reading.values import lay_out_values, value_records


def extracted(generation: Generation, page_number: int, words: Sequence[LayerWord]) -> dict[str, Any]:
    """What a page's file has of the values that were extracted from it; empty for other answers."""
    if not generation.data:
        return {}
    data = json.loads(generation.data)
    return {"data": data, "values": value_records(data, page_number, words)}


def written_layout(
    page: PageTask, generation: Generation, width: int, height: int, words: Sequence[LayerWord] = ()
) -> PageLayout | None:
    """What a language model's answer says of a page whose image is `width` x `height`; None where it has no blocks.

    Values that were extracted are a table, and lines where they are found among `words`. Figures are cut from the
    page's image as long as that is there.
    """
    if generation.data:
        return lay_out_values(json.loads(generation.data), words)
    if not generation.blocks:
        return None
    try:
        png = get_blobs().read(page_key(page.job_id, page.index, IMAGE))
    except BlobMissing:
        png = None
    return lay_out_answer(
        generation.blocks, width, height, png=png, page_number=page.page_number, rotation=generation.rotation
    )
