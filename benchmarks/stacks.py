"""A stack to measure: one of each process, a Redis of its own, a folder of its own, no page cache."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.services import Service
from web.stack.stack import Stack

QUIET = {"WEB_PORT": "0", "FLOWER_PORT": "0", "PAGE_CACHE_MB": "0"}
SMALL_PAGES = {"ENGINE": "echo", "VLM_MAX_DIMENSION": "256"}  # so that what is measured is not the drawing of pages


@contextmanager
def running(settings: Mapping[str, str], **counts: int) -> Iterator[Service]:
    """The service once it is ready; it ends with the block. `counts` are of processes beside the usual one of each."""
    environ = {name: value for name, value in os.environ.items() if name != "REDIS_URL"} | QUIET | dict(settings)
    wanted = {"web": 1, "cpu": 1, "gpu": 1, "beat": 1} | counts
    with tempfile.TemporaryDirectory() as folder, Stack(environ, Path(folder), counts=wanted) as stack:
        service = Service(stack)
        try:
            yield service
        finally:
            service.close()
