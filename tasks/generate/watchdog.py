"""The batches that an engine works on now: their deadlines, how to stop their pages, and how busy they keep it."""

from __future__ import annotations

import faulthandler
import threading
import time
from collections import deque
from collections.abc import Set
from typing import Any

from tasks.generate.runner import Runner
from tasks.messages import PageTask

OVERTIME_S = 10.0  # time past its deadline after which a batch's process ends
PACE_S = 60.0  # over which pages are counted
STDERR = 2  # the descriptor: sys.stderr is Celery's, which has none


class Running:
    """Used by all threads of an engine's process. `is_busy` is set while there is a batch.

    A batch that outlives its deadline by far ends the process, from a thread of faulthandler's that needs no lock.
    """

    def __init__(self) -> None:
        self.is_busy = threading.Event()
        self._runners: list[Runner] = []
        self._lock = threading.Lock()
        self._busy_s, self._busy_since = 0.0, 0.0
        self._reported = time.monotonic(), 0.0
        self._begun_at: dict[int, float] = {}  # by the runner's identity
        self._ended: deque[tuple[float, int]] = deque()  # of late: when, and how many pages
        self._last: dict[str, float] | None = None

    def __len__(self) -> int:
        return len(self._runners)

    def add(self, runner: Runner) -> None:
        with self._lock:
            if not self._runners:
                self._busy_since = time.monotonic()
            self._runners.append(runner)
            self._begun_at[id(runner)] = time.time()
            self._watch()
            self.is_busy.set()

    def remove(self, runner: Runner) -> None:
        with self._lock:
            self._runners.remove(runner)
            self._note(runner)
            self._watch()
            if not self._runners:
                self._busy_s += time.monotonic() - self._busy_since
                self.is_busy.clear()

    def _watch(self) -> None:
        faulthandler.cancel_dump_traceback_later()
        if self._runners:
            first = min(runner.deadline for runner in self._runners)
            left_s = max(0.0, first - time.monotonic()) + OVERTIME_S
            faulthandler.dump_traceback_later(left_s, exit=True, file=STDERR)

    def _note(self, runner: Runner) -> None:
        now, num_pages = time.time(), len(runner.batch)
        seconds = round(now - self._begun_at.pop(id(runner), now), 2)
        self._last = {"pages": num_pages, "seconds": seconds, "at": now}
        self._ended.append((now, num_pages))

    def pace(self) -> dict[str, Any]:
        """Pages a second over the last minute, and the batch that ended last: its pages, seconds, and when."""
        with self._lock:
            oldest = time.time() - PACE_S
            while self._ended and self._ended[0][0] < oldest:
                self._ended.popleft()
            pages_s = sum(num_pages for _, num_pages in self._ended) / PACE_S
            return {"pages_s": round(pages_s, 2)} | ({"last_batch": self._last} if self._last else {})

    def pages(self) -> set[PageTask]:
        """Those that have not ended."""
        with self._lock:
            return {page for runner in self._runners for page in runner.pages}

    def stop(self, pages: Set[PageTask]) -> list[PageTask]:
        """Stop these pages, all at once; returns those that were running and not stopped before."""
        with self._lock:
            return [page for runner in self._runners for page in runner.stop(pages)]

    def busy_ratio(self) -> float:
        """Share of the time since the last call that there was a batch."""
        with self._lock:
            now = time.monotonic()
            busy_s = self._busy_s + (now - self._busy_since if self._runners else 0.0)
            before, busy_before = self._reported
            self._reported = now, busy_s
        return round(min(1.0, (busy_s - busy_before) / max(now - before, 1e-6)), 3)
