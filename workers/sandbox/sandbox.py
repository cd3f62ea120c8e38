"""Processes that may be killed, for work on hostile files: bounded in time and memory, no harm to other work.

A document can hang PyMuPDF in C code that holds the interpreter lock, so only another process can end it.
Each process has a pipe of its own. A shared one, as in concurrent.futures and pebble, is lost for all when a process
is killed at the wrong moment: one that died while idle broke the whole pool.
"""

from __future__ import annotations

import logging
import multiprocessing
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

from workers.sandbox.child import Outcome, serve

logger = logging.getLogger(__name__)

T = TypeVar("T")

START_TIMEOUT_S = 60.0  # to start a process and warm it up
START_ATTEMPTS = 3
BEGIN_TIMEOUT_S = 15.0  # from the call to the word that it begins, on a machine that is very busy
STOP_CHECK_S = 0.5  # how often a running call asks whether its result is still wanted
START_PAUSE_S = 1.0  # between attempts when the machine has no room for a process
CALLS_PER_PROCESS = 2000  # after which it is replaced, for what C libraries do not give back


class SandboxTimeout(Exception):
    """The call took longer than it may, and its process was killed."""


class SandboxDied(Exception):
    """The process died during the call: it crashed, was killed, or could not be started."""


class SandboxStopped(Exception):
    """The caller no longer wanted the result, and the process was killed."""


class NotStarted(Exception):
    """The process was dead before the call reached it."""


class Child:
    """One process and the pipe to it; one thread at a time uses it."""

    def __init__(self, memory_mb: int, warm_up: Callable[[], object] | None) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.pipe, theirs = spawn.Pipe()
        self.process = spawn.Process(target=serve, args=(theirs, memory_mb, warm_up), name="sandbox", daemon=True)
        self.process.start()
        theirs.close()
        self.num_calls = 0

    def call(self, work: partial[Any], timeout_s: float, should_stop: Callable[[], bool] | None) -> Outcome:
        self.num_calls += 1
        try:
            with self.watched():
                self.pipe.send(work)
            self.receive(BEGIN_TIMEOUT_S)  # the word that it begins
        except (EOFError, OSError, SandboxTimeout) as exc:
            raise NotStarted from exc
        try:
            outcome: Outcome = self.receive(timeout_s, should_stop)
            return outcome
        except (EOFError, OSError) as exc:
            self.process.join(1)
            name, code = work.func.__name__, self.process.exitcode
            raise SandboxDied(f"the process of {name} died, exit code {code}") from exc

    def receive(self, timeout_s: float, should_stop: Callable[[], bool] | None = None) -> Any:
        deadline = time.monotonic() + timeout_s
        while not self.pipe.poll(min(STOP_CHECK_S, max(0.0, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                raise SandboxTimeout(f"no answer within {timeout_s:g} s")
            if should_stop is not None and should_stop():
                raise SandboxStopped
        with self.watched():
            return self.pipe.recv()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Kill the process where it stops in the middle of what goes through the pipe, which has room for little."""
        watch = threading.Timer(BEGIN_TIMEOUT_S, self.process.kill)
        watch.daemon = True
        watch.start()
        try:
            yield
        finally:
            watch.cancel()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


class Sandbox:
    """A fixed number of processes, each doing one call at a time. Any thread may use it.

    `memory_mb` is the address space in MiB that a call may take on top of its warm process. `warm_up` is called
    in each new process before that is counted; it must be picklable.
    """

    def __init__(self, processes: int, memory_mb: int, *, warm_up: Callable[[], object] | None = None) -> None:
        self._new_child = partial(Child, memory_mb, warm_up)
        self._children: set[Child] = set()
        self._free: queue.LifoQueue[Child | None] = queue.LifoQueue()  # the last used has the document open
        self._closing = threading.Event()
        # the kernel takes a process for orphaned when the thread that started it ends, so these threads stay
        self._starter = ThreadPoolExecutor(processes, thread_name_prefix="sandbox")
        for _ in range(processes):
            self._starter.submit(self._start_child)

    def run(
        self,
        function: Callable[..., T],
        *args: Any,
        timeout_s: float,
        should_stop: Callable[[], bool] | None = None,
        **kwargs: Any,
    ) -> T:
        """What `function`, a module's, returns in another process; arguments and result are pickled.

        `timeout_s` does not count the wait for a free process. `should_stop` is asked now and then whether the result
        is no longer wanted. Raises SandboxTimeout, SandboxDied, SandboxStopped, or what `function` raises; where it
        runs out of memory that is DocumentError too_large.
        """
        outcome = self._run(partial(function, *args, **kwargs), timeout_s, should_stop)
        if outcome.error is not None:
            raise outcome.error
        result: T = outcome.value
        return result

    def _run(self, work: partial[Any], timeout_s: float, should_stop: Callable[[], bool] | None) -> Outcome:
        name = work.func.__name__
        for _ in range(START_ATTEMPTS):
            child = self._take_child()
            is_well = False
            try:
                outcome = child.call(work, timeout_s, should_stop)
                is_well = child.num_calls < CALLS_PER_PROCESS
                return outcome
            except NotStarted:
                continue
            except SandboxTimeout as exc:
                raise SandboxTimeout(f"{name} took over {timeout_s:g} s and was stopped") from exc
            finally:
                if is_well:
                    self._free.put(child)
                else:
                    self._replace(child)
        raise SandboxDied(f"no process could be started for {name}; the log says why")

    def _take_child(self) -> Child:
        child = self._free.get()
        if child is None or self._closing.is_set():
            self._free.put(None)  # for the next thread that waits
            raise SandboxDied("the sandbox is closed")
        return child

    def _replace(self, child: Child) -> None:
        self._children.discard(child)
        child.kill()
        child.pipe.close()
        with suppress(RuntimeError):  # closed meanwhile
            self._starter.submit(self._start_child)

    def _start_child(self) -> None:
        """Start a process, and let calls have it when it is warm."""
        while not self._closing.is_set():
            try:
                child = self._new_child()
                break
            except OSError:
                logger.exception("a sandbox process could not be started; trying again")
                self._closing.wait(START_PAUSE_S)
        else:
            return
        self._children.add(child)
        if self._closing.is_set():
            child.kill()
        try:
            child.receive(START_TIMEOUT_S)
        except (EOFError, OSError, SandboxTimeout) as exc:
            logger.error("a sandbox process did not become ready: %r", exc)
        self._free.put(child)

    def close(self) -> None:
        """Kill the processes. Calls under way, and any later ones, raise SandboxDied."""
        self._closing.set()
        self._free.put(None)
        for child in tuple(self._children):
            child.kill()
        self._starter.shutdown(cancel_futures=True)
