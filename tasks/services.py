"""What a process of Pagefan shares: its settings, ledger and blobs, made at first use."""

from __future__ import annotations

import os
from functools import cache

from tasks.blobs import Blobs
from tasks.ledger import Ledger, connect
from tasks.settings import get_settings, worker_queues
from workers.sandbox import Sandbox


@cache
def get_ledger() -> Ledger:
    """The ledger; a worker waits for a Redis that is away, the web tells its caller to."""
    return Ledger(connect(get_settings().redis_url, retries=8 if worker_queues() else 1))


@cache
def get_blobs() -> Blobs:
    return Blobs(get_settings().blob_url)


@cache
def get_sandbox() -> Sandbox:
    """The render processes of this CPU worker."""
    settings = get_settings()
    return Sandbox(settings.render_processes or os.cpu_count() or 1, settings.render_memory_mb)
