"""How a page ends: its text is written first, then the ledger says so, then what is not needed any more is removed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import redis

from tasks.assemble.page_webhooks import page_ended
from tasks.blobs import IMAGE, LAYER, PACKED, WORDS, BlobMissing, page_key, patiently
from tasks.cache import keep, take_back
from tasks.layout import PARTIAL, has_layout, keeps_images, layout_content
from tasks.ledger import UnknownJob
from tasks.ledger.records import Attempts
from tasks.messages import JobOptions, PageState, PageTask, TextLayer
from tasks.metrics import count
from tasks.reasons import REASONS
from tasks.runs import load_run
from tasks.services import get_blobs, get_ledger
from tasks.written import extracted, written_layout
from workers.documents.text_layer import LOW_RECALL, TEXT_LAYER, is_healthy, recall
from workers.engines import Generation, Line
from workers.layout.blocks import PageLayout
from workers.reading.confidence import confidence_notices, confidence_of
from workers.reading.layer_lines import LayerWord
from workers.reading.put_together import put_together

logger = logging.getLogger(__name__)

UNREAD = frozenset({"unreadable", "unread_script", "unread_ink"})  # notices of what an engine could not read


def content_key(page: PageTask) -> str:
    """Each run of a page has a file of its own, so that a repair never touches what it may not better."""
    return page_key(page.job_id, page.index, f"r{page.run}.json")


def attempt_record(engine: str, seconds: float, reason: str) -> dict[str, Any]:
    return {"engine": engine, "seconds": round(seconds, 3), "reason": reason}


@patiently
def save_text(
    page: PageTask,
    text: str,
    *,
    state: PageState = "ok",
    reason: str = "",
    engine: str,
    seconds: float,
    stop_reason: str = "stop",
    tokens: int = 0,
    lines: tuple[Line, ...] = (),
    layer: str = "",
    layout: PageLayout | None = None,
    extracted: Mapping[str, Any] | None = None,
    rotation: int = 0,
    cached: bool = False,
    text_layer_recall: float | None = None,
    notices: tuple[str, ...] = (),
    attempts: Attempts = (),
    **patch: Any,
) -> None:
    """End a page with its text; the first end wins and a second one changes nothing.

    `layout` is that of a PDF's own text or of a language model's answer; another page with `lines` gets its own after
    its end, see `tasks.layout`. `layer` is PARTIAL for a page with words of a text layer among its lines.
    """
    key = content_key(page)
    about: dict[str, Any] = {"engine": engine, "stop_reason": stop_reason, "tokens": tokens}
    about["seconds"] = round(seconds, 3)
    content = {"page_number": page.page_number, "text": text, "lines": [line.to_json() for line in lines]}
    content |= ({"layer": layer} if layer else {}) | dict(extracted or {})
    get_blobs().write_json(key, content | about | (layout_content(page, layout) if layout else {}))
    about |= {"rotation": rotation, "cached": cached, "text_layer_recall": text_layer_recall}
    about |= {
        "confidence": None if engine == TEXT_LAYER or extracted else confidence_of(lines),
        "notices": [*notices, *confidence_notices(lines)],
    }
    if get_ledger().move(page, state, attempts=attempts, reason=reason, blob=key, **about, **patch):
        log_end(page, state, seconds, reason)
    remove_intermediates(page, keep_image=bool(lines) and engine != TEXT_LAYER and has_layout())


def save_generation(
    page: PageTask, generation: Generation, *, engine: str, seconds: float, attempts: Attempts = ()
) -> None:
    """End a page with what the engine made of it, after the `attempts` that came to nothing."""
    engine = generation.engine or engine
    if is_unread(page, generation):
        fail_unread(page, generation, engine, [*attempts, attempt_record(engine, seconds, generation.notices[0])])
        return
    record = get_ledger().page(page.job_id, page.index)
    keep_in_cache(page, record.cache_key, generation, engine, attempts)
    words = read_words(page)
    places, words = (words, []) if generation.data else ([], words)
    generation = put_together(generation, words)
    attempts = [*attempts, attempt_record(engine, seconds, generation.stop_reason)]
    common: dict[str, Any] = {
        "engine": engine,
        "seconds": seconds,
        "stop_reason": generation.stop_reason,
        "tokens": generation.tokens,
        "lines": generation.lines,
        "rotation": generation.rotation,
        "text_layer_recall": compare_with_layer(page, generation.text),
        "notices": generation.notices,
        "layer": PARTIAL if words else "",
        "layout": written_layout(page, generation, record.width, record.height, places),
        "extracted": extracted(generation, page.page_number, places),
    }
    if generation.stop_reason == "stop":
        save_text(page, generation.text, attempts=attempts[:-1], **common)
    elif generation.stop_reason in ("repetition", "length") and generation.text.strip():
        reason = "repetition" if generation.stop_reason == "repetition" else "truncated"
        save_text(page, generation.text, state="fallback", reason=reason, attempts=attempts, **common)
    else:
        reason = "generation_failed" if generation.stop_reason == "error" else generation.stop_reason
        fail_page(page, reason, generation.error or REASONS.get(reason, ""), attempts=attempts)


def is_unread(page: PageTask, generation: Generation) -> bool:
    """Whether a page that looks written came back without text, or so poor that the job's text layer has more."""
    if generation.stop_reason != "stop" or not UNREAD & set(generation.notices):
        return False
    if not any(map(str.isalnum, generation.text)):
        return True
    layer = read_layer(page) if falls_back(page) else ""
    return is_healthy(layer) and recall(layer, generation.text) < LOW_RECALL


def fail_unread(page: PageTask, generation: Generation, engine: str, attempts: Attempts) -> None:
    """End such a page, by the first of its notices."""
    reason = next(notice for notice in generation.notices if notice in UNREAD)
    logger.info("job %s page %d: %s could not read it (%s)", page.job_id, page.page_number, engine, reason)
    fail_page(page, reason, attempts=attempts, notices=generation.notices)


def keep_in_cache(page: PageTask, key: str, generation: Generation, engine: str, attempts: Attempts) -> None:
    """Keep a text for equal pages to come; not one that needed a second, hotter try."""
    if key and generation.stop_reason == "stop" and not attempts:
        keep(key, generation, engine=engine)
        take_back(page.job_id, key)


def compare_with_layer(page: PageTask, text: str) -> float | None:
    try:
        return measure_recall(load_run(page.job_id, page.run).options, read_layer(page), text)
    except UnknownJob:
        return None


def measure_recall(options: JobOptions, layer: str, text: str) -> float | None:
    """Share of the layer's words that the text has; None where the layer is unsound or the text is no transcript."""
    if not options.is_plain or not is_healthy(layer):
        return None
    return round(recall(layer, text), 3)


@patiently
def fail_page(
    page: PageTask, reason: str, detail: str = "", *, attempts: Attempts = (), notices: tuple[str, ...] = ()
) -> None:
    """End a page without the engine's text: with the PDF's text layer where the job asks for that, else `failed`."""
    layer = read_layer(page) if falls_back(page) else ""
    if is_healthy(layer, min_letters=1):  # a short page is better than none
        save_text(page, layer, state="fallback", reason=reason, engine=TEXT_LAYER, seconds=0.0, attempts=attempts)
        return
    detail = detail or REASONS.get(reason, "")
    if get_ledger().move(page, "failed", attempts=attempts, reason=reason, detail=detail, notices=list(notices)):
        log_end(page, "failed", 0.0, reason)
    if reason != "poison":
        remove_intermediates(page)


def give_up_page(page: PageTask, reason: str, detail: str = "", *, attempts: Attempts = ()) -> None:
    """End a page whatever happens: without its text layer where that raises, by the ledger alone."""
    try:
        fail_page(page, reason, detail, attempts=attempts)
    except redis.RedisError:
        raise
    except Exception:
        logger.exception("job %s page %d fails without a look at its files", page.job_id, page.page_number)
        detail = detail or REASONS.get(reason, "")
        if get_ledger().move(page, "failed", attempts=attempts, reason=reason, detail=detail):
            log_end(page, "failed", 0.0, reason)


def falls_back(page: PageTask) -> bool:
    """Whether the job takes a PDF's own text for a page that fails; values are not to be had from that."""
    return text_layer_of(page) != "ignore" and not wants_places(page)


def wants_places(page: PageTask) -> bool:
    try:
        return load_run(page.job_id, page.run).options.wants_places
    except UnknownJob:
        return False


def text_layer_of(page: PageTask) -> TextLayer:
    """What the job says of a PDF's own text."""
    try:
        return load_run(page.job_id, page.run).options.text_layer
    except UnknownJob:
        return "ignore"


def read_layer(page: PageTask) -> str:
    """The page's text layer, kept by prepare_page; empty when there is none."""
    try:
        return get_blobs().read(page_key(page.job_id, page.index, LAYER)).decode()
    except BlobMissing:
        return ""


def read_words(page: PageTask) -> list[LayerWord]:
    """Words of a text layer that covers a part of the page, or tells places, kept by prepare_page; else none."""
    if text_layer_of(page) != "auto" and not wants_places(page):
        return []
    try:
        words = get_blobs().read_json(page_key(page.job_id, page.index, WORDS))
    except BlobMissing:
        return []
    return [LayerWord.from_json(word) for word in words]


def remove_intermediates(page: PageTask, *, keep_image: bool = False) -> None:
    """Remove what only the engine needed; the image too, unless its layout is still to be found or viewers want it."""
    blobs = get_blobs()
    blobs.delete(page_key(page.job_id, page.index, PACKED))
    blobs.delete(page_key(page.job_id, page.index, LAYER))
    if text_layer_of(page) == "auto" or wants_places(page):
        blobs.delete(page_key(page.job_id, page.index, WORDS))
    if not keep_image and not keeps_images(page):
        blobs.delete(page_key(page.job_id, page.index, IMAGE))


def log_end(page: PageTask, state: str, seconds: float, reason: str) -> None:
    page_ended(page)
    count(get_ledger(), "pages", state=state)
    extra = {"job": page.job_id, "page": page.page_number}
    logger.info(
        "job %s page %d %s%s %.2f s", page.job_id, page.page_number, state, f" ({reason})" if reason else "", seconds,
        extra=extra,
    )  # fmt: skip
