"""The other side of `workers.sandbox.sandbox`: what a process does from its start to its end."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from traceback import format_exc
from typing import Any, NamedTuple

from workers.documents.kinds import DocumentError
from workers.documents.open import READERS, load_reader
from workers.processes import die_with_parent

logger = logging.getLogger(__name__)

MIB = 1 << 20
NICENESS = 5


class Outcome(NamedTuple):
    """What a call returned, or raised."""

    value: Any
    error: Exception | None


def serve(pipe: Connection, memory_mb: int, warm_up: Callable[[], object] | None) -> None:
    """Do calls, one after the other, until the pipe is closed."""
    enter_sandbox()
    for reader in READERS:
        load_reader(reader)
    if warm_up is not None:
        try:
            warm_up()
        except Exception:
            logger.warning("a sandbox process could not be warmed up", exc_info=True)
    limit_memory(memory_mb)
    with suppress(EOFError, OSError):
        pipe.send("ready")
        while True:
            work = pipe.recv()
            pipe.send("begin")
            pipe.send(guard(work))


def enter_sandbox() -> None:
    """Make this new process one that dies with its parent, hears no signal but death, and leaves no core.

    It yields to an engine on the same cores: pages are rendered ahead, and the engine must not wait for them.
    """
    if parent := multiprocessing.parent_process():
        die_with_parent(parent.pid or 0)
    os.nice(NICENESS)
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read by onnxruntime, which pymupdf imports
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


def limit_memory(memory_mb: int) -> None:
    """Allow this process `memory_mb` MiB of address space on top of what it has now. Linux only."""
    if sys.platform != "linux":
        return
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + memory_mb * MIB
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def guard(work: partial[Any]) -> Outcome:
    """Do the call, and hold whatever it raises."""
    try:
        return Outcome(work(), None)
    except MemoryError:
        detail = "It takes more memory than allowed. Try a lower dpi, or save the document smaller."
        return Outcome(None, DocumentError("too_large", detail))
    except BaseException as exc:
        return Outcome(None, portable(exc))


def portable(exc: BaseException) -> Exception:
    """The error with its traceback as a note, or one that names it where it would not survive the way out."""
    exc.add_note(format_exc())
    try:
        copy = pickle.loads(pickle.dumps(exc))
    except Exception:
        copy = None
    return copy if isinstance(copy, Exception) else RuntimeError(f"{type(exc).__name__}: {exc}")
