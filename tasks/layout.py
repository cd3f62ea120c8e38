"""From a page's lines to its blocks, beside the engine: by a CPU worker, in a process that can be killed.

A page has ended by then and its text is safe. What is lost on the way, the assembly of the document makes up for: it
finds the blocks of every page that has none yet. Where layout fails or takes too long, the page keeps plain paragraphs
of its lines and a notice.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tasks.archive import iter_pages, read_content
from tasks.blobs import IMAGE, BlobMissing, job_key, page_key, patiently
from tasks.broker import AWAY
from tasks.ledger import UnknownJob
from tasks.ledger.records import Page
from tasks.messages import PageTask
from tasks.runs import load_run
from tasks.services import get_blobs, get_layout_sandbox, get_ledger, get_sandbox, num_layout_processes
from tasks.settings import get_settings
from workers.documents.kinds import DocumentError
from workers.documents.text_layer import TEXT_LAYER
from workers.engines import Line
from workers.layout.blocks import PageLayout, figure_name
from workers.layout.laid_out import lay_out_both, lay_out_lines, lay_out_pdf_page, lay_out_plainly
from workers.sandbox.sandbox import SandboxDied, SandboxTimeout

logger = logging.getLogger(__name__)

NO_LAYOUT = "no_layout"
PARTIAL = "partial"  # what a page's file says of a text layer that covers a part, and whose words are among its lines
PLAIN_TIMEOUT_S = 20.0  # where layout itself is switched off
MARGIN_S = 10.0  # for what comes before and after the call that has the limit
LOOK_S = 0.1


def has_layout() -> bool:
    """Whether pages get blocks by the layout model; switched off by LAYOUT_TIMEOUT_S=0."""
    return get_settings().layout_timeout_s > 0


def lay_out_layer(page: PageTask, width: int, height: int) -> PageLayout | None:
    """The layout of a page that its PDF's own text stands for; None where it fails or is switched off."""
    context = load_run(page.job_id, page.run)
    if not has_layout():
        return None
    try:
        return get_layout_sandbox().run(
            lay_out_pdf_page,
            get_blobs().local(context.source_key),
            page.index,
            width=width,
            height=height,
            password=context.options.password,
            timeout_s=get_settings().layout_timeout_s,
        )
    except Exception as exc:
        note_failure(page, exc)
        return None


def lay_out(page: PageTask) -> bool:
    """Find the blocks of a page that has ended with lines, once; False where another process is at it."""
    record = get_ledger().page(page.job_id, page.index)
    content = read_content(record)
    if record.run != page.run or not awaits_layout(record, content):
        return True
    if not claim(page):
        return False
    lines = [Line.from_json(line) for line in content.get("lines", ())]
    found = lay_out_record(page, record, lines, is_partial=content.get("layer") == PARTIAL)
    keep_layout(page, record, content, found)
    return True


def awaits_layout(record: Page, content: dict[str, Any]) -> bool:
    """Whether a page has text with places and no blocks yet."""
    is_layer = record.engine == TEXT_LAYER and bool(content.get("text"))
    return "blocks" not in content and (is_layer or bool(content.get("lines")))


def claim(page: PageTask) -> bool:
    key = f"pf:layout:{page.task_id}"
    taken = get_ledger().redis.set(key, "1", nx=True, ex=int(get_settings().layout_timeout_s + MARGIN_S))
    return bool(taken)


def lay_out_record(
    page: PageTask, record: Page, lines: Sequence[Line], *, is_partial: bool = False
) -> PageLayout | None:
    """By the PDF's own text, by lines on the image or, if `is_partial`, by both; by lines alone where that fails."""
    if record.engine == TEXT_LAYER:
        return lay_out_layer(page, record.width, record.height)
    about: dict[str, Any] = {"width": record.width, "height": record.height, "rotation": record.rotation}
    about["timeout_s"] = get_settings().layout_timeout_s or PLAIN_TIMEOUT_S
    try:
        if has_layout():
            png = get_blobs().read(page_key(page.job_id, page.index, IMAGE))
            if is_partial and not about["rotation"]:
                return lay_out_partial(page, png, lines, record)
            return get_layout_sandbox().run(lay_out_lines, png, lines, page.index, **about)
        return get_sandbox().run(lay_out_plainly, lines, **about)
    except Exception as exc:
        note_failure(page, exc)
    with contextlib.suppress(DocumentError, SandboxDied, SandboxTimeout):
        return get_sandbox().run(lay_out_plainly, lines, **about)
    return None


def lay_out_partial(page: PageTask, png: bytes, lines: Sequence[Line], record: Page) -> PageLayout:
    context = load_run(page.job_id, page.run)
    return get_layout_sandbox().run(
        lay_out_both,
        get_blobs().local(context.source_key),
        png,
        lines,
        page.index,
        width=record.width,
        height=record.height,
        password=context.options.password,
        timeout_s=get_settings().layout_timeout_s,
    )


def note_failure(page: PageTask, exc: Exception) -> None:
    """Whatever the models stumble over is no reason to lose a page; but people should know."""
    known = isinstance(exc, DocumentError | SandboxDied | SandboxTimeout | BlobMissing)
    logger.warning(
        "job %s page %d keeps plain paragraphs: %s", page.job_id, page.page_number, exc, exc_info=None if known else exc
    )
    get_ledger().note(page, NO_LAYOUT)


@patiently
def keep_layout(page: PageTask, record: Page, content: dict[str, Any], found: PageLayout | None) -> None:
    """Write the blocks beside the page's text, and remove its image where nobody else needs it."""
    blobs = get_blobs()
    blobs.write_json(record.blob, content | layout_content(page, found))
    get_ledger().note(page, "" if found else NO_LAYOUT)
    if not keeps_images(page):
        blobs.delete(page_key(page.job_id, page.index, IMAGE))


def keeps_images(page: PageTask) -> bool:
    """Whether the page's job is short enough to keep its page images for people who look at it."""
    most = get_settings().keep_page_images
    try:
        return load_run(page.job_id, page.run).num_selected <= most
    except UnknownJob:  # put away or purged
        return most > 0


def layout_content(page: PageTask, found: PageLayout | None) -> dict[str, Any]:
    """Lines and blocks as a page's file has them; its figures are written as files of their own."""
    if found is None:
        return {"blocks": []}  # writers make paragraphs of the text then
    for name, png in found.crops.items():
        get_blobs().write(job_key(page.job_id, f"figures/{name}"), png)
    remove_older_figures(page, len(found.crops) + 1)
    lines = [line.to_json() for line in found.lines]
    return {"lines": lines, "blocks": [block.to_json() for block in found.blocks]}


def remove_older_figures(page: PageTask, number: int) -> None:
    """Remove the page's pictures from this number on, which an earlier reading left."""
    while get_blobs().exists(key := job_key(page.job_id, f"figures/{figure_name(page.page_number, number)}")):
        get_blobs().delete(key)
        number += 1


@contextlib.contextmanager
def left_to_assembly(page: PageTask) -> Iterator[None]:
    """What goes wrong here loses nothing but time: assembly finds the blocks that are missing."""
    try:
        yield
    except (UnknownJob, BlobMissing, OSError, *AWAY) as exc:
        logger.info("job %s page %d: its layout is left to assembly: %r", page.job_id, page.page_number, exc)


def lay_out_rest(job_id: str) -> None:
    """Find the blocks of all pages of a job that have none, a few at a time."""
    job = get_ledger().job(job_id)
    if job is None:
        return
    with ThreadPoolExecutor(num_layout_processes(), "layout") as pool:
        waiting = (
            PageTask(job_id=job_id, run=page.run, index=page.index)
            for page in iter_pages(job)
            if page.blob and (page.confidence is not None or page.engine == TEXT_LAYER)
        )
        for _ in pool.map(lay_out_patiently, waiting):
            pass


def lay_out_patiently(page: PageTask) -> None:
    """Find the page's blocks, or wait for the process that is at it; where that died, do it after all."""
    deadline = time.monotonic() + 2 * (get_settings().layout_timeout_s + MARGIN_S)
    while not lay_out(page) and time.monotonic() < deadline:
        time.sleep(LOOK_S)
