"""Every setting Pagefan has, read from the environment once. No other module reads the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from math import isfinite
from typing import Any, get_args

from tasks.messages import TextLayer
from workers.documents.kinds import DocumentLimits
from workers.engines import EngineOptions
from workers.engines.options import declared
from workers.engines.profiles import profiles
from workers.engines.registry import ENGINES, options_of
from workers.layout.dialects.readers import READERS
from workers.net.addresses import AddressRules
from workers.net.places import Place, parse_places

DOCUMENT_READERS = ("auto", "engine", "ocr", "tesseract")
CONTRACTS = ("azure", "docling", "mistral", "openwebui", "tika")  # `web.compat` has a module for each


class SettingsError(Exception):
    """A setting has a value that Pagefan cannot use."""


def setting(default: Any, unit: str, help: str) -> Any:
    return field(default=default, metadata={"unit": unit, "help": help})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One field a setting; the environment variable has the field's name in capitals.

    `of_engines` has the settings that only an engine knows, as far as they were set: by name, see `known_settings`.
    """

    redis_url: str = setting("redis://127.0.0.1:6379/0", "URL", "The Redis that is broker, result store and ledger.")
    blob_url: str = setting("file://./data/blobs", "URL", "Where sources, pages and results lie; any fsspec URL.")
    engine: str = setting("auto", "name", "What reads the pages: auto, " + ", ".join(sorted(ENGINES)) + ".")
    other_engines: str = setting(
        "", "names", "Engines that a job may ask for besides ENGINE, each with its own worker."
    )
    model: str = setting("", "id or path", "The model an engine loads: a hub id or a local folder.")
    device: str = setting("auto", "name", "Where the model runs: auto, cpu, cuda, cuda:1.")
    vlm_concurrent_timeout: float = setting(300.0, "s", "Time one page's generation may take over all its attempts.")
    vlm_retry_count: int = setting(2, "attempts", "Attempts at a page when the error is transient.")
    max_new_tokens: int = setting(
        0, "tokens", "Longest answer for a page where the job does not say; 0 is the model's own, else 4096."
    )
    text_layer: str = setting(
        "", "name", "A PDF's own text where the job does not say; empty is auto for ocr and tesseract, else ignore."
    )
    document_reader: str = setting(
        "auto", "name", "Reads documents that are asked about whole: auto, ocr, tesseract, engine."
    )
    question_chars: int = setting(
        16_000, "characters", "Most text of a document that a question about it is asked with."
    )
    gpu_workers: int = setting(
        0, "workers", "GPU workers of the local stack; they share out its GPUs, or its cores. 0 is by the machine."
    )
    gpu_batch_pages: int = setting(32, "pages", "Most pages generated at once; memory and engine may allow fewer.")
    gpu_batch_wait_ms: int = setting(20, "ms", "Longest time a page waits for others to fill its batch.")
    page_window: int = setting(32, "pages", "Pages of a job under way at once; more where the engines hold more.")
    urgent_pages: int = setting(8, "pages", "First pages of a job that go ahead of other jobs' later pages.")
    poison_limit: int = setting(3, "starts", "Process deaths on a page after which the page is given up.")
    visibility_timeout_s: float = setting(4.0, "s", "Silence of a worker after which its tasks go to another.")
    reconcile_s: float = setting(2.0, "s", "Time between two looks for lost messages.")
    stalled_s: float = setting(60.0, "s", "Time that work may wait with nothing moving before /readyz says so.")
    shutdown_grace_s: float = setting(30.0, "s", "Time running pages have to finish after SIGTERM.")
    render_processes: int = setting(0, "processes", "Render processes of a CPU worker; 0 is one a core.")
    open_timeout_s: float = setting(30.0, "s", "Time to open a document and count its pages.")
    render_timeout_s: float = setting(30.0, "s", "Time to render and prepare one page.")
    render_memory_mb: int = setting(1536, "MiB", "Address space one render may take on top of its process.")
    layout_timeout_s: float = setting(20.0, "s", "Time to find the layout of one page; 0 finds none.")
    layout_processes: int = setting(0, "processes", "Layout processes of a CPU worker; 0 is one a core.")
    max_upload_mb: int = setting(200, "MiB", "Largest file that is taken.")
    fetch_timeout_s: float = setting(60.0, "s", "Time to fetch a document from a URL, redirects included.")
    fetch_allow: str = setting("", "host:port, network", "Addresses URLs may reach besides public ones, by comma.")
    webhook_secret: str = setting("", "secret", "Signs the calls of webhook_url; empty takes no webhook_url.")
    storage: str = setting("", "JSON", "Buckets and servers that jobs may name: docs/storage.md.")
    max_pages: int = setting(10_000, "pages", "Longest document that is taken.")
    max_page_pixels: int = setting(200_000_000, "px", "Largest image that is decoded, width times height.")
    max_jobs_queued: int = setting(1000, "jobs", "Unfinished jobs at which new ones are refused with 503.")
    keep_page_images: int = setting(300, "pages", "Jobs up to this long keep their page images; 0 keeps none.")
    page_cache_mb: int = setting(1024, "MiB", "Room for texts of pages, to be used for equal pages; 0 keeps none.")
    job_stall_s: float = setting(
        172_800.0, "s", "Time without any change after which a job is given up; 0 is no limit."
    )
    job_ttl_s: int = setting(604_800, "s", "Time a finished job and its files are kept.")
    api_keys: str = setting("", "secrets", "Comma-separated keys, beside those of `pagefan keys`.")
    key_requests_per_min: int = setting(1200, "requests", "Most requests of one key in a minute; 0 sets no limit.")
    key_active_jobs: int = setting(0, "jobs", "Most unfinished jobs of one key; 0 sets no limit.")
    key_pages_per_day: int = setting(0, "pages", "Most pages of one key in a day, UTC; 0 sets no limit.")
    allow_open: int = setting(0, "0 or 1", "1 lets a server without keys be reached from other machines.")
    publish_address: str = setting("", "address", "Where a container's port is published; empty is WEB_HOST.")
    web_host: str = setting("127.0.0.1", "address", "Address the web server binds to.")
    web_port: int = setting(8000, "port", "Port of the web server.")
    compat: str = setting(",".join(CONTRACTS), "names", "Other services whose calls are served too; none for none.")
    web_threads: int = setting(640, "threads", "Requests one web process serves at once; each live listener is one.")
    flower_port: int = setting(5555, "port", "Port of Flower; 0 starts none.")
    flower_basic_auth: str = setting("", "user:password", "Login of Flower; needed when it is not on loopback.")
    log_level: str = setting("INFO", "level", "DEBUG, INFO, WARNING or ERROR.")
    log_format: str = setting("text", "name", "text for people, json for machines.")
    of_engines: Mapping[str, Any] = field(default_factory=dict)

    def address_rules(self) -> AddressRules:
        return AddressRules.parse(self.fetch_allow)

    def places(self) -> tuple[Place, ...]:
        """Where documents may be read and results written; raises ValueError."""
        return parse_places(self.storage)

    def contracts(self) -> tuple[str, ...]:
        """The contracts of other services that are served; raises ValueError for one that is not known."""
        names = tuple(filter(None, (name.strip() for name in self.compat.split(","))))
        if unknown := set(names) - {*CONTRACTS, "none"}:
            raise ValueError(f"{min(unknown)!r} is not one of {', '.join(CONTRACTS)}")
        return () if "none" in names else names

    def other_engine_names(self) -> tuple[str, ...]:
        """The engines of OTHER_ENGINES but ENGINE itself; raises ValueError for one that is not known."""
        names = tuple(dict.fromkeys(filter(None, (name.strip() for name in self.other_engines.split(",")))))
        if unknown := set(names) - set(ENGINES):
            raise ValueError(f"{min(unknown)!r} is not one of {', '.join(sorted(ENGINES))}")
        return tuple(name for name in names if name != self.engine)

    def engine_options(self, engine: str) -> EngineOptions:
        """What the engine of this name is told; raises KeyError where there is none."""
        options = options_of(engine)
        values = {name: getattr(self, name) for name in COMMON} | dict(self.of_engines)
        return options(**{known.name: values[known.setting] for known in declared(options) if known.setting in values})


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A setting as people see it."""

    name: str
    default: Any
    unit: str
    help: str


COMMON = {
    spec.name: Known(name=spec.name, default=spec.default, **spec.metadata)
    for spec in fields(Settings)
    if spec.name != "of_engines"
}


def known_settings() -> dict[str, Known]:
    """Every setting by its name: those of Pagefan, then those that the engines declare for themselves."""
    declared_by_engines = (option for engine in ENGINES for option in declared(options_of(engine)) if option.setting)
    own = {
        option.setting: Known(name=option.setting, default=option.default, unit=option.unit, help=option.help)
        for option in declared_by_engines
    }
    return COMMON | {name: known for name, known in own.items() if name not in COMMON}


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Settings from `environ`; raises SettingsError naming the key and the value that cannot be used."""
    values = {
        name: read_value(known, raw) for name, known in known_settings().items() if (raw := environ.get(name.upper()))
    }
    common = {name: values.pop(name) for name in COMMON if name in values}
    settings = Settings(**common, of_engines=values)
    if settings.engine not in ("auto", *ENGINES):
        raise SettingsError(f"ENGINE={settings.engine!r} is not one of auto, {', '.join(sorted(ENGINES))}")
    if settings.text_layer not in ("", *get_args(TextLayer)):
        raise SettingsError(f"TEXT_LAYER={settings.text_layer!r} is not one of {', '.join(get_args(TextLayer))}")
    if settings.document_reader not in DOCUMENT_READERS:
        raise SettingsError(f"DOCUMENT_READER={settings.document_reader!r} is not one of {', '.join(DOCUMENT_READERS)}")
    try:
        settings.address_rules()
    except ValueError as exc:
        raise SettingsError(f"FETCH_ALLOW={settings.fetch_allow!r} has an entry that cannot be read: {exc}") from exc
    try:
        settings.places()
    except ValueError as exc:
        raise SettingsError(f"STORAGE cannot be used: {exc}; docs/storage.md has an example") from exc
    if (profile := values.get("model_profile", "auto")) not in ("auto", *profiles()):
        raise SettingsError(f"MODEL_PROFILE={profile!r} is not one of auto, {', '.join(profiles())}")
    if (dialect := values.get("model_dialect", "")) not in ("", *READERS):
        raise SettingsError(f"MODEL_DIALECT={dialect!r} is not one of {', '.join(READERS)}")
    try:
        settings.other_engine_names()
    except ValueError as exc:
        raise SettingsError(f"OTHER_ENGINES={settings.other_engines!r} has a name that is not known: {exc}") from exc
    try:
        settings.contracts()
    except ValueError as exc:
        raise SettingsError(f"COMPAT={settings.compat!r} has a name that is not known: {exc}") from exc
    return settings


def read_value(known: Known, raw: str) -> Any:
    """The value in the type of the setting's default."""
    kind: Any = type(known.default)
    try:
        value = kind(raw)
    except ValueError as exc:
        raise SettingsError(f"{known.name.upper()}={raw!r} is not {kind.__name__}") from exc
    if kind is float and not isfinite(value):
        raise SettingsError(f"{known.name.upper()}={raw!r} is no finite number")
    if kind in (int, float) and value < 0:
        raise SettingsError(f"{known.name.upper()}={raw!r} is below 0")
    return value


@cache
def get_settings() -> Settings:
    """The settings of this process, from its environment."""
    return load_settings(os.environ)


def document_limits() -> DocumentLimits:
    settings = get_settings()
    return DocumentLimits(max_pages=settings.max_pages, max_page_pixels=settings.max_page_pixels)
