"""Pages read on a CPU worker by an engine of print, beside the model of the GPU workers.

For the pages of a document that is asked about as a whole, and for the places of values on scans.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import redis

from tasks.messages import PageTask
from tasks.runs import load_run
from tasks.services import engine_name, get_blobs, get_ledger, get_reading_sandbox, get_sandbox, reader_name
from tasks.settings import document_limits, get_settings
from workers.documents.kinds import DocumentError
from workers.documents.pages import PreparedPage
from workers.documents.pages import prepare_page as render_and_prepare
from workers.engines import EngineError, Generation, PageRequest
from workers.reading.line_words import words_of
from workers.reading.plain_reader import read_prepared
from workers.sandbox.sandbox import SandboxDied, SandboxTimeout

logger = logging.getLogger(__name__)


def is_unwanted(page: PageTask) -> bool:
    """Whether the page has ended or its job is cancelled; no while Redis is away."""
    try:
        return get_ledger().look(page) is None
    except redis.RedisError:
        return False


def read_beside(page: PageTask, prepared: PreparedPage, request: PageRequest) -> Generation:
    """What the engine of print reads on a page that was prepared for it. Raises DocumentError."""
    name, settings = reader_name(load_run(page.job_id, page.run).lane), get_settings()
    for death in range(1, settings.poison_limit + 1):
        try:
            return get_reading_sandbox().run(
                read_prepared,
                prepared.packed,
                prepared.png,
                request,
                engine=name,
                options=settings.engine_options(name),
                timeout_s=settings.vlm_concurrent_timeout,
                should_stop=lambda: is_unwanted(page),
            )
        except EngineError as exc:
            raise DocumentError("generation_failed", str(exc)) from exc
        except SandboxTimeout as exc:
            limit = settings.vlm_concurrent_timeout
            raise DocumentError("timeout", f"Reading with {name} took over {limit:g} s and was stopped.") from exc
        except SandboxDied as exc:
            logger.warning("job %s page %d: %s died (%d): %s", page.job_id, page.page_number, name, death, exc)
    raise DocumentError("poison", f"The process that read this page died {settings.poison_limit} times.")


def with_places(page: PageTask, prepared: PreparedPage) -> PreparedPage:
    """With the words that stand on the page, where values are wanted of it and no sound text layer tells of all.

    A page that cannot be read goes without: its values then have no boxes.
    """
    context = load_run(page.job_id, page.run)
    wants_places, lane = context.options.wants_places, context.lane
    is_known = prepared.is_blank or prepared.layer_verdict == "sound"
    if not wants_places or is_known or reader_name(lane) == engine_name(lane):
        return prepared
    try:
        made = render_for_reader(page)
        lines = read_beside(page, made, plain_request(page)).lines
    except (DocumentError, EngineError, SandboxDied, SandboxTimeout) as exc:
        logger.info("job %s page %d: its values will have no places: %s", page.job_id, page.page_number, exc)
        return prepared
    scale = prepared.width / made.width, prepared.height / made.height
    words = (word.scaled(*scale) for word in words_of(lines))
    return replace(prepared, layer_words=(*prepared.layer_words, *words))


def plain_request(page: PageTask) -> PageRequest:
    return PageRequest(page_number=page.page_number, language=load_run(page.job_id, page.run).options.language)


def render_for_reader(page: PageTask) -> PreparedPage:
    """The page at the size that the engine of print wants."""
    context, settings = load_run(page.job_id, page.run), get_settings()
    reader = reader_name(context.lane)
    return get_sandbox().run(
        render_and_prepare,
        get_blobs().local(context.source_key),
        page.index,
        engine=reader,
        options=settings.engine_options(reader),
        request=plain_request(page),
        dpi=context.options.dpi,
        password=context.options.password,
        limits=document_limits(),
        timeout_s=settings.render_timeout_s,
        should_stop=lambda: is_unwanted(page),
    )
