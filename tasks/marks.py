"""What a worker's processes know of the worker that they belong to; they inherit it by their environment."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable

WORKER_QUEUES = "PAGEFAN_WORKER_QUEUES"
WORKER_PID = "PAGEFAN_WORKER_PID"
WORKER_ID = "PAGEFAN_WORKER_ID"

# What glibc is told in an engine's process: keep the memory of one batch for the next. An engine on a CPU otherwise
# spends a third of its time on having the same memory zeroed by the kernel (measured with the tiny reader).
KEEP_MEMORY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
}


def mark_worker(queues: Iterable[str]) -> None:
    """Tell the child processes of this worker whose they are and its queues; they inherit its environment."""
    os.environ[WORKER_QUEUES] = ",".join(sorted(queues))
    os.environ[WORKER_PID] = str(os.getpid())
    os.environ[WORKER_ID] = secrets.token_hex(8)
    if any(queue.startswith("gpu") for queue in queues):
        for name, value in KEEP_MEMORY.items():
            os.environ.setdefault(name, value)


def worker_queues() -> frozenset[str]:
    """The queues of the worker that this process belongs to; empty outside one."""
    return frozenset(filter(None, os.environ.get(WORKER_QUEUES, "").split(",")))


def worker_pid() -> int:
    """The process id of the worker that this process belongs to; 0 outside one."""
    return int(os.environ.get(WORKER_PID, "0"))


def worker_id() -> str:
    """What the children of one worker have in common, whichever of them it is; empty outside one."""
    return os.environ.get(WORKER_ID, "")
