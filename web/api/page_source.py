"""The Markdown of one page, as a person sees and corrects it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from tasks.archive import load_job
from tasks.assemble.results import iter_page_results
from tasks.ledger.records import Job
from web.api.outputs import PageTextOut
from workers.documents.text_layer import TEXT_LAYER
from workers.layout.blocks import Block
from workers.results.flow import items_of
from workers.results.markdown import MarkdownOptions, items_markdown
from workers.results.outline import Outline, outline_of
from workers.results.page import PageResult
from workers.results.prose import compounds_of

MOST_SETTLED = 300  # pages; of a longer document each page is shown with the kinds and levels it has by itself
WITHOUT_MARKS = MarkdownOptions(page_marks="none")


def shown_source(job: Job, page: PageTextOut) -> str:
    """The page's Markdown, or its lines where its layout is not found."""
    blocks = blocks_shown(job, page)
    return source_of(page, blocks) if has_layout(page, blocks) else "\n".join(line.text for line in page.lines)


def has_layout(page: PageTextOut, blocks: Sequence[Block]) -> bool:
    return not page.lines or any(block.lines for block in blocks)


def blocks_shown(job: Job, page: PageTextOut) -> tuple[Block, ...]:
    blocks = [Block.from_json(block.model_dump()) for block in page.blocks]
    return settled(job, page.page_number - 1, blocks)


def settled(job: Job, index: int, blocks: Sequence[Block]) -> tuple[Block, ...]:
    """The blocks with the kinds and levels that they have in the document, once that can be told."""
    if not job.has_ended or job.num_selected > MOST_SETTLED:
        return tuple(blocks)
    return outline(job.id, job.seq).blocks_of(index, blocks)


@lru_cache(maxsize=8)
def outline(job_id: str, seq: int) -> Outline:
    """The outline of a job that has ended; `seq` changes where a repair changes the document."""
    job = load_job(job_id)
    return outline_of(iter_page_results(job)) if job and job.seq == seq else Outline(settled={}, compounds=frozenset())


def source_of(page: PageTextOut, blocks: tuple[Block, ...]) -> str:
    """The page's Markdown: what a language model wrote, or what its blocks make."""
    if not page.lines and page.engine != TEXT_LAYER:
        return page.text
    result = PageResult(index=page.page_number - 1, state=page.state, engine=page.engine, blocks=blocks)
    items = items_of(result, keep_furniture=False, compounds=compounds_in(blocks))
    return items_markdown(items, WITHOUT_MARKS, with_figures=page.engine != TEXT_LAYER)


def compounds_in(blocks: Sequence[Block]) -> set[str]:
    return compounds_of(block.text for block in blocks if not block.markup)
