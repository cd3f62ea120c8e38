"""The layout of pages that a language model wrote, which says itself what their blocks are."""

from __future__ import annotations

from tasks.blobs import IMAGE, BlobMissing, page_key
from tasks.messages import PageTask
from tasks.services import get_blobs
from workers.engines import Generation
from workers.layout.blocks import PageLayout
from workers.layout.written import lay_out_answer


def written_layout(page: PageTask, generation: Generation, width: int, height: int) -> PageLayout | None:
    """What a language model's answer says of a page whose image is `width` x `height`; None where it has no blocks.

    Its figures are cut from the image as long as that is there.
    """
    if not generation.blocks:
        return None
    try:
        png = get_blobs().read(page_key(page.job_id, page.index, IMAGE))
    except BlobMissing:
        png = None
    return lay_out_answer(
        generation.blocks, width, height, png=png, page_number=page.page_number, rotation=generation.rotation
    )
