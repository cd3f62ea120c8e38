"""A page made ready: rendered in a process that can be killed, what the engine needs is kept; or the page ends here.

It ends here where its text is at hand: a PDF's own text where the job prefers it, or what the page cache has.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import redis

from tasks.beside import is_unwanted, read_beside
from tasks.blobs import IMAGE, LAYER, PACKED, WORDS, page_key, patiently
from tasks.cache import cache_key, generation_of, look_up, take_back
from tasks.layout import NO_LAYOUT, PARTIAL, has_layout, lay_out, lay_out_layer
from tasks.ledger.records import Page
from tasks.messages import JobOptions, PageTask
from tasks.metrics import count
from tasks.page_end import measure_recall, save_generation, save_text
from tasks.runs import load_run
from tasks.services import engine_name, get_blobs, get_ledger, get_sandbox
from tasks.settings import document_limits, get_settings
from tasks.written import extracted, written_layout
from workers.documents.kinds import DocumentError
from workers.documents.open import read_text_layer
from workers.documents.pages import PreparedPage
from workers.documents.pages import prepare_page as render_and_prepare
from workers.documents.text_layer import TEXT_LAYER, is_healthy
from workers.engines import EngineError
from workers.reading.layer_lines import lines_of
from workers.reading.put_together import put_together
from workers.sandbox.sandbox import SandboxDied, SandboxTimeout

logger = logging.getLogger(__name__)


def is_prepared(page: PageTask, seen: Page) -> bool:
    """Whether an earlier run of this message got as far as the image."""
    return seen.state in ("ready", "generating") and get_blobs().exists(page_key(page.job_id, page.index, IMAGE))


def is_unprepared(page: PageTask) -> bool:
    """Whether the page still waits for its image."""
    seen = get_ledger().look(page)
    return seen is not None and seen.state in ("queued", "preparing")


def render(page: PageTask, *, judges_layer: bool = True) -> PreparedPage:
    """The page, rendered in a process that can be killed. Raises DocumentError with the reason when it cannot be.

    Where a look at its text layer takes too long, the page is rendered without it.
    """
    context, settings = load_run(page.job_id, page.run), get_settings()
    options = context.options
    judges_layer = judges_layer and (options.wants_places or (page.run == 1 and options.wants_layer))
    for death in range(1, settings.poison_limit + 1):
        try:
            return get_sandbox().run(
                render_and_prepare,
                get_blobs().local(context.source_key),
                page.index,
                engine=context.engine,
                options=settings.engine_options(context.engine),
                request=context.request(page.index),
                dpi=context.options.dpi,
                password=context.options.password,
                limits=document_limits(),
                judges_layer=judges_layer,
                timeout_s=settings.render_timeout_s,
                should_stop=lambda: is_unwanted(page),
            )
        except EngineError as exc:  # its words say what is missing
            raise DocumentError("generation_failed", str(exc)) from exc
        except SandboxTimeout as exc:
            if judges_layer:
                logger.info("job %s page %d is rendered without a look at its text", page.job_id, page.page_number)
                return render(page, judges_layer=False)
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
    context = load_run(page.job_id, page.run)
    if context.engine != engine_name(context.lane):
        ledger.move(page, "preparing", cache_key=key, **about)
        keep_layer(page, prepared)
        started = time.monotonic()
        generation = read_beside(page, prepared, context.request(page.index))
        save_generation(page, generation, engine=context.engine, seconds=time.monotonic() - started)
        lay_out(page)
        return
    if prepared.packed is not None:
        blobs.write(page_key(page.job_id, page.index, PACKED), prepared.packed)
    keep_layer(page, prepared)
    about |= {"bucket": context.bucket(prepared.num_tokens)} | ({"lane": context.lane} if context.lane else {})
    ledger.move(page, "ready", num_tokens=prepared.num_tokens, cache_key=key, **about)
    ledger.offer(page)


def end_without_engine(page: PageTask, prepared: PreparedPage, cache_key: str, **about: Any) -> bool:
    """End the page `ok` if its text is at hand. A repair asks for a new reading, so it gets neither."""
    if page.run > 1:
        return False
    options = load_run(page.job_id, page.run).options
    if layer_stands(options, prepared):
        layout = lay_out_layer(page, prepared.width, prepared.height)
        about |= {"layout": layout, "notices": () if layout or not has_layout() else (NO_LAYOUT,)}
        lines = tuple(lines_of(prepared.layer_words))
        save_text(page, prepared.text_layer.strip(), engine=TEXT_LAYER, seconds=0.0, lines=lines, **about)
        return True
    entry = look_up(cache_key)
    if entry is None:
        return False
    take_back(page.job_id, cache_key)
    read = generation_of(entry)
    is_partial = options.wants_layer and options.text_layer == "auto" and prepared.layer_verdict == "partial"
    if is_partial:
        read = put_together(read, prepared.layer_words)
    save_text(
        page,
        read.text,
        engine=entry["engine"],
        seconds=0.0,
        tokens=read.tokens,
        lines=read.lines,
        layout=written_layout(page, read, prepared.width, prepared.height, prepared.layer_words),
        extracted=extracted(read, page.page_number, prepared.layer_words),
        rotation=read.rotation,
        notices=read.notices,
        layer=PARTIAL if is_partial else "",
        cached=True,
        cache_key=cache_key,
        text_layer_recall=measure_recall(options, layer_of(prepared), read.text),
        **about,
    )
    count(get_ledger(), "pages_cached")
    lay_out(page)
    return True


def layer_stands(options: JobOptions, prepared: PreparedPage) -> bool:
    """Whether the PDF's own text is the page's; where nobody could look at the pixels, `prefer` goes by the letters."""
    if not options.wants_layer:
        return False
    if not prepared.layer_verdict:
        return options.text_layer == "prefer" and is_healthy(prepared.text_layer)
    return prepared.layer_verdict == "sound"


def layer_of(prepared: PreparedPage) -> str:
    """The page's text layer; "" for one that the pixels show to be garbage."""
    return "" if prepared.layer_verdict == "unsound" or not prepared.text_layer.strip() else prepared.text_layer


def keep_layer(page: PageTask, prepared: PreparedPage) -> None:
    """Keep what the page's end may want of its text layer: the text if that is no garbage, words to put together."""
    blobs = get_blobs()
    if layer := layer_of(prepared):
        blobs.write(page_key(page.job_id, page.index, LAYER), layer.encode())
    options = load_run(page.job_id, page.run).options
    is_partial = prepared.layer_verdict == "partial" and options.text_layer == "auto"
    if prepared.layer_words and (is_partial or options.wants_places):
        blobs.write_json(page_key(page.job_id, page.index, WORDS), list(prepared.layer_words))


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
    except redis.RedisError:
        raise
    except Exception as exc:  # whatever a reader raises at a hostile file
        logger.info("job %s page %d has no text layer either: %r", page.job_id, page.page_number, exc)
