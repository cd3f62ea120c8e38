"""A page made ready: rendered in a process that can be killed, what the engine needs is kept; or the page ends here.

It ends here where its text is at hand: a PDF's own text where the job prefers it, or what the page cache has.
"""

from __future__ import annotations

import logging
from typing import Any

import redis

from tasks.blobs import IMAGE, LAYER, PACKED, BlobMissing, page_key, patiently
from tasks.cache import cache_key, look_up, take_back
from tasks.layout import NO_LAYOUT, has_layout, lay_out, lay_out_layer
from tasks.ledger import UnknownJob
from tasks.ledger.records import Page
from tasks.messages import JobOptions, PageTask
from tasks.metrics import count
from tasks.page_end import measure_recall, save_text
from tasks.runs import load_run
from tasks.services import engine_name, engine_options, get_blobs, get_ledger, get_sandbox
from tasks.settings import document_limits, get_settings
from workers.documents.kinds import DocumentError
from workers.documents.open import read_text_layer
from workers.documents.pages import PreparedPage
from workers.documents.pages import prepare_page as render_and_prepare
from workers.documents.text_layer import TEXT_LAYER, is_healthy
from workers.engines import Line
from workers.sandbox.sandbox import SandboxDied, SandboxTimeout

logger = logging.getLogger(__name__)


def is_unwanted(page: PageTask) -> bool:
    """Whether the page has ended or its job is cancelled; no while Redis is away."""
    try:
        return get_ledger().look(page) is None
    except redis.RedisError:
        return False


def is_prepared(page: PageTask, seen: Page) -> bool:
    """Whether an earlier run of this message got as far as the image."""
    return seen.state in ("ready", "generating") and get_blobs().exists(page_key(page.job_id, page.index, IMAGE))


def render(page: PageTask) -> PreparedPage:
    """The page, rendered in a process that can be killed. Raises DocumentError with the reason when it cannot be."""
    context, settings = load_run(page.job_id, page.run), get_settings()
    for death in range(1, settings.poison_limit + 1):
        try:
            return get_sandbox().run(
                render_and_prepare,
                get_blobs().local(context.source_key),
                page.index,
                engine=engine_name(),
                options=engine_options(),
                request=context.request(page.index),
                dpi=context.options.dpi,
                password=context.options.password,
                limits=document_limits(),
                timeout_s=settings.render_timeout_s,
                should_stop=lambda: is_unwanted(page),
            )
        except SandboxTimeout as exc:
            limit = settings.render_timeout_s
            raise DocumentError("timeout", f"Rendering took over {limit:g} s and was stopped.") from exc
        except SandboxDied as exc:
            logger.warning("job %s page %d: render process died (%d): %s", page.job_id, page.page_number, death, exc)
    raise DocumentError("poison", f"The process that rendered this page died {settings.poison_limit} times.")


@patiently
def keep_prepared(page: PageTask, prepared: PreparedPage) -> None:
    """Write what the engine needs, then say that the page is ready; one that is blank or known already ends here."""
    ledger, blobs = get_ledger(), get_blobs()
    about: dict[str, Any] = {"width": prepared.width, "height": prepared.height, "has_image": True}
    key = cache_key(page, prepared)
    blobs.write(page_key(page.job_id, page.index, IMAGE), prepared.png)
    if prepared.is_blank:
        save_text(page, "", state="blank", engine="", seconds=0.0, **about)
        return
    if end_without_engine(page, prepared, key, **about):
        return
    if prepared.packed is not None:
        blobs.write(page_key(page.job_id, page.index, PACKED), prepared.packed)
    if prepared.text_layer.strip():
        blobs.write(page_key(page.job_id, page.index, LAYER), prepared.text_layer.encode())
    bucket = load_run(page.job_id, page.run).bucket(prepared.num_tokens)
    ledger.move(page, "ready", num_tokens=prepared.num_tokens, bucket=bucket, cache_key=key, **about)
    ledger.offer(page)


def end_without_engine(page: PageTask, prepared: PreparedPage, cache_key: str, **about: Any) -> bool:
    """End the page `ok` if its text is at hand. A repair asks for a new reading, so it gets neither."""
    if page.run > 1:
        return False
    options = load_run(page.job_id, page.run).options
    if prefers_layer(options) and is_healthy(prepared.text_layer):
        layout = lay_out_layer(page, prepared.width, prepared.height)
        about |= {"layout": layout, "notices": () if layout or not has_layout() else (NO_LAYOUT,)}
        save_text(page, prepared.text_layer.strip(), engine=TEXT_LAYER, seconds=0.0, **about)
        return True
    entry = look_up(cache_key)
    if entry is None:
        return False
    take_back(page.job_id, cache_key)
    save_text(
        page,
        entry["text"],
        engine=entry["engine"],
        seconds=0.0,
        tokens=entry["tokens"],
        lines=tuple(Line(**line) for line in entry["lines"]),
        rotation=entry["rotation"],
        notices=tuple(entry.get("notices", ())),
        cached=True,
        cache_key=cache_key,
        text_layer_recall=measure_recall(options, prepared.text_layer, entry["text"]),
        **about,
    )
    count(get_ledger(), "pages_cached")
    lay_out(page)
    return True


def prefers_layer(options: JobOptions) -> bool:
    """A text layer can answer for a transcription only."""
    return options.text_layer == "prefer" and options.task == "transcribe" and not options.prompt


def keep_text_layer(page: PageTask) -> None:
    """For a page that cannot be rendered: keep its text layer, if the job falls back to that and it can be read."""
    try:
        context = load_run(page.job_id, page.run)
        if context.options.text_layer == "ignore" or context.kind != "pdf":
            return
        text = get_sandbox().run(
            read_text_layer,
            get_blobs().local(context.source_key),
            page.index,
            password=context.options.password,
            timeout_s=get_settings().render_timeout_s,
        )
        get_blobs().write(page_key(page.job_id, page.index, LAYER), text.encode())
    except (DocumentError, SandboxDied, SandboxTimeout, UnknownJob, BlobMissing) as exc:
        logger.info("job %s page %d has no text layer either: %s", page.job_id, page.page_number, exc)
