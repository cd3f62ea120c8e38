"""What a process of Pagefan shares: its settings, ledger and blobs, made at first use."""

from __future__ import annotations

from functools import cache, partial
from typing import cast

from tasks.blobs import Blobs
from tasks.engine_choice import chosen_engine
from tasks.lanes import lanes, own_lane
from tasks.ledger import Ledger, connect
from tasks.marks import worker_queues
from tasks.messages import Scope, TextLayer
from tasks.settings import get_settings
from workers.documents.pages import warm_up
from workers.engines import Engine, EngineError, EngineOptions
from workers.engines.ocr.choose import has_runtime
from workers.engines.profiles import profile_of
from workers.engines.registry import load_engine, reads_plain_text
from workers.layout.laid_out import warm_up_layout
from workers.processes import num_cores
from workers.reading.plain_reader import loaded_engine
from workers.sandbox.sandbox import Sandbox


@cache
def get_ledger() -> Ledger:
    """The ledger; a worker waits for a Redis that is away, the web tells its caller to."""
    return Ledger(connect(get_settings().redis_url, retries=8 if worker_queues() else 1))


@cache
def get_impatient_ledger() -> Ledger:
    """A ledger that says at once when Redis is away."""
    return Ledger(connect(get_settings().redis_url, retries=0))


@cache
def get_blobs() -> Blobs:
    return Blobs(get_settings().blob_url, is_purged=lambda job_id: get_ledger().is_purged(job_id))


@cache
def get_sandbox() -> Sandbox:
    """The render processes of this CPU worker."""
    settings = get_settings()
    imports = partial(warm_up, engine_name(), engine_options())
    return Sandbox(settings.render_processes or num_cores(), settings.render_memory_mb, warm_up=imports)


@cache
def get_layout_sandbox() -> Sandbox:
    """The processes of this CPU worker that find layout; they start at the first page that needs one."""
    return Sandbox(num_layout_processes(), get_settings().render_memory_mb, warm_up=warm_up_layout)


@cache
def get_reading_sandbox() -> Sandbox:
    """The one process of this CPU worker that reads pages for questions about documents; it starts at the first."""
    settings = get_settings()
    load = partial(loaded_engine, reader_name(), settings.engine_options(reader_name()))
    return Sandbox(1, settings.render_memory_mb, warm_up=load)


def num_layout_processes() -> int:
    return get_settings().layout_processes or num_cores()


@cache
def engine_name(lane: str = "") -> str:
    """The engine of a lane."""
    return lane or chosen_engine(get_settings())


def engine_names() -> tuple[str, ...]:
    """The engines that a job may ask for, the one it gets without asking first."""
    return tuple(dict.fromkeys(map(engine_name, lanes())))


def lane_of(engine: str) -> str:
    """The lane of the engine that a job asks for; "" asks for none. Raises EngineError for one that is not served."""
    if engine in ("", engine_name()):
        return ""
    if engine not in lanes():
        raise EngineError(f"this server has no engine {engine!r}, only {', '.join(engine_names())}")
    return engine


def reader_name(lane: str = "") -> str:
    """The engine that reads the pages of a document which the engine of a lane is asked about as a whole."""
    wanted, engine = get_settings().document_reader, engine_name(lane)
    if wanted == "auto":
        wanted = "ocr" if has_runtime() and not reads_plain_text(engine) else "engine"
    return engine if wanted == "engine" else wanted


def default_text_layer(scope: Scope = "page", engine: str = "") -> TextLayer:
    """What becomes of a PDF's own text where a job, read by this engine, does not say."""
    if wanted := get_settings().text_layer:
        return cast("TextLayer", wanted)
    return "auto" if scope == "document" or reads_plain_text(engine or engine_name()) else "ignore"


def engine_options(lane: str = "") -> EngineOptions:
    """What the engine of a lane is told."""
    return get_settings().engine_options(engine_name(lane))


def longest_answer(lane: str = "") -> int:
    """Most tokens of an answer for a page where the job does not say."""
    return get_settings().max_new_tokens or profile_of(engine_options(lane)).max_new_tokens


def make_engine() -> Engine:
    """The engine of this process, whose model is not loaded yet."""
    lane = own_lane()
    return load_engine(engine_name(lane), engine_options(lane))
