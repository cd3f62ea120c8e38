"""Every setting Pagefan has, read from the environment once. No other module reads the environment."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

from workers.documents.kinds import DocumentLimits
from workers.engines import EngineOptions
from workers.engines.registry import ENGINES
from workers.net.addresses import AddressRules


class SettingsError(Exception):
    """A setting has a value that Pagefan cannot use."""


def setting(default: Any, unit: str, help: str) -> Any:
    return field(default=default, metadata={"unit": unit, "help": help})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One field a setting; the environment variable has the field's name in capitals."""

    redis_url: str = setting("redis://127.0.0.1:6379/0", "URL", "The Redis that is broker, result store and ledger.")
    blob_url: str = setting("file://./data/blobs", "URL", "Where sources, pages and results lie; any fsspec URL.")
    engine: str = setting("auto", "name", "What reads the pages: auto, " + ", ".join(sorted(ENGINES)) + ".")
    model: str = setting("", "id or path", "The model an engine loads: a hub id or a local folder.")
    model_revision: str = setting("", "git revision", "Pins a hub model to one revision.")
    device: str = setting("auto", "name", "Where the model runs: auto, cpu, cuda, cuda:1.")
    dtype: str = setting("auto", "name", "Number type of the weights: auto, float32, bfloat16, float16.")
    attention: str = setting("auto", "name", "Attention implementation: auto, sdpa, eager, flash_attention_2.")
    prompt_style: str = setting("auto", "name", "How the prompt reaches the model: auto, chat, raw, none.")
    openai_base_url: str = setting("", "URL", "An OpenAI-compatible server, up to and with /v1.")
    openai_api_key: str = setting("", "secret", "The key that server wants.")
    parallel_vlm_requests: int = setting(1, "requests", "Concurrent requests to that server; 1 is one after another.")
    vlm_concurrent_timeout: float = setting(300.0, "s", "Time one page's generation may take over all its attempts.")
    vlm_retry_count: int = setting(2, "attempts", "Attempts at a page when the error is transient.")
    vlm_resize_factor: int = setting(32, "px", "Both sides of a page image are multiples of this.")
    vlm_max_dimension: int = setting(1024, "px", "Longest side of a page image.")
    ocr_max_dimension: int = setting(1760, "px", "Longest side of a page image for the ocr engine; A4 at 150 dpi.")
    ocr_threads: int = setting(0, "threads", "Threads of one ocr engine; 0 is one a core.")
    max_new_tokens: int = setting(4096, "tokens", "Longest answer for a page where the job does not say.")
    echo_seconds: float = setting(0.0, "s", "Time the echo engine sleeps for a batch, as a GPU would work.")
    echo_jitter_s: float = setting(0.0, "s", "Largest random delay the echo engine adds to it.")
    gpu_workers: int = setting(1, "workers", "GPU workers of the local stack; they share out its GPUs, or its cores.")
    gpu_batch_pages: int = setting(8, "pages", "Most pages in one generation.")
    gpu_batch_wait_ms: int = setting(20, "ms", "Longest time a page waits for others to fill its batch.")
    page_window: int = setting(32, "pages", "Most pages of a job that are under way at once.")
    urgent_pages: int = setting(8, "pages", "First pages of a job that go ahead of other jobs' later pages.")
    poison_limit: int = setting(3, "starts", "Process deaths on a page after which the page is given up.")
    visibility_timeout_s: float = setting(4.0, "s", "Silence of a worker after which its tasks go to another.")
    reconcile_s: float = setting(2.0, "s", "Time between two looks for lost messages.")
    shutdown_grace_s: float = setting(30.0, "s", "Time running pages have to finish after SIGTERM.")
    render_processes: int = setting(0, "processes", "Render processes of a CPU worker; 0 is one a core.")
    open_timeout_s: float = setting(30.0, "s", "Time to open a document and count its pages.")
    render_timeout_s: float = setting(30.0, "s", "Time to render and prepare one page.")
    render_memory_mb: int = setting(1536, "MiB", "Address space one render may take on top of its process.")
    max_upload_mb: int = setting(200, "MiB", "Largest file that is taken.")
    fetch_timeout_s: float = setting(60.0, "s", "Time to fetch a document from a URL, redirects included.")
    fetch_allow: str = setting("", "host:port, network", "Addresses URLs may reach besides public ones, by comma.")
    webhook_secret: str = setting("", "secret", "Signs the calls of webhook_url; empty takes no webhook_url.")
    max_pages: int = setting(10_000, "pages", "Longest document that is taken.")
    max_page_pixels: int = setting(64_000_000, "px", "Largest image that is decoded, width times height.")
    max_jobs_queued: int = setting(1000, "jobs", "Unfinished jobs at which new ones are refused with 503.")
    keep_page_images: int = setting(300, "pages", "Jobs up to this long keep their page images; 0 keeps none.")
    page_cache_mb: int = setting(1024, "MiB", "Room for texts of pages, to be used for equal pages; 0 keeps none.")
    job_ttl_s: int = setting(604_800, "s", "Time a finished job and its files are kept.")
    api_keys: str = setting("", "secrets", "Comma-separated keys, beside those of `pagefan keys`.")
    key_requests_per_min: int = setting(1200, "requests", "Most requests of one key in a minute; 0 sets no limit.")
    key_active_jobs: int = setting(0, "jobs", "Most unfinished jobs of one key; 0 sets no limit.")
    key_pages_per_day: int = setting(0, "pages", "Most pages of one key in a day, UTC; 0 sets no limit.")
    allow_open: int = setting(0, "0 or 1", "1 lets a server without keys be reached from other machines.")
    publish_address: str = setting("", "address", "Where a container's port is published; empty is WEB_HOST.")
    web_host: str = setting("127.0.0.1", "address", "Address the web server binds to.")
    web_port: int = setting(8000, "port", "Port of the web server.")
    web_threads: int = setting(640, "threads", "Requests one web process serves at once; each live listener is one.")
    flower_port: int = setting(5555, "port", "Port of Flower; 0 starts none.")
    flower_basic_auth: str = setting("", "user:password", "Login of Flower; needed when it is not on loopback.")
    log_level: str = setting("INFO", "level", "DEBUG, INFO, WARNING or ERROR.")
    log_format: str = setting("text", "name", "text for people, json for machines.")

    def address_rules(self) -> AddressRules:
        return AddressRules.parse(self.fetch_allow)

    def engine_options(self) -> EngineOptions:
        return EngineOptions(
            model=self.model,
            model_revision=self.model_revision,
            device=self.device,
            dtype=self.dtype,
            attention=self.attention,
            prompt_style=self.prompt_style,
            resize_factor=self.vlm_resize_factor,
            max_dimension=self.vlm_max_dimension,
            ocr_max_dimension=self.ocr_max_dimension,
            ocr_threads=self.ocr_threads,
            base_url=self.openai_base_url,
            api_key=self.openai_api_key,
            parallel_requests=self.parallel_vlm_requests,
            timeout_s=self.vlm_concurrent_timeout,
            retry_count=self.vlm_retry_count,
            echo_seconds=self.echo_seconds,
            echo_jitter_s=self.echo_jitter_s,
        )


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Settings from `environ`; raises SettingsError naming the key and the value that cannot be used."""
    values: dict[str, Any] = {}
    for spec in fields(Settings):
        raw = environ.get(spec.name.upper())
        if raw is None or raw == "":
            continue
        kind: Any = type(spec.default)
        try:
            values[spec.name] = kind(raw)
        except ValueError as exc:
            raise SettingsError(f"{spec.name.upper()}={raw!r} is not {kind.__name__}") from exc
        if kind in (int, float) and values[spec.name] < 0:
            raise SettingsError(f"{spec.name.upper()}={raw!r} is below 0")
    settings = Settings(**values)
    if settings.engine not in ("auto", *ENGINES):
        raise SettingsError(f"ENGINE={settings.engine!r} is not one of auto, {', '.join(sorted(ENGINES))}")
    try:
        settings.address_rules()
    except ValueError as exc:
        raise SettingsError(f"FETCH_ALLOW={settings.fetch_allow!r} has an entry that cannot be read: {exc}") from exc
    return settings


@cache
def get_settings() -> Settings:
    """The settings of this process, from its environment."""
    return load_settings(os.environ)


WORKER_QUEUES = "PAGEFAN_WORKER_QUEUES"
WORKER_ID = "PAGEFAN_WORKER_ID"

# What glibc is told in an engine's process: keep the memory of one batch for the next. An engine on a CPU otherwise
# spends a third of its time on having the same memory zeroed by the kernel (measured with the tiny reader).
KEEP_MEMORY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
}


def mark_worker_queues(queues: Iterable[str]) -> None:
    """Tell the child processes of this worker which queues it serves, and which worker it is, by the environment."""
    os.environ[WORKER_QUEUES] = ",".join(sorted(queues))
    os.environ[WORKER_ID] = secrets.token_hex(8)
    if "gpu" in queues:
        for name, value in KEEP_MEMORY.items():
            os.environ.setdefault(name, value)


def worker_queues() -> frozenset[str]:
    """The queues of the worker that this process belongs to; empty outside one."""
    return frozenset(filter(None, os.environ.get(WORKER_QUEUES, "").split(",")))


def worker_id() -> str:
    """What the children of one worker have in common, whichever of them it is; empty outside one."""
    return os.environ.get(WORKER_ID, "")


def document_limits() -> DocumentLimits:
    settings = get_settings()
    return DocumentLimits(max_pages=settings.max_pages, max_page_pixels=settings.max_page_pixels)
