"""Work that waits for one thread, in turns: the many pages of one job do not hold up the only page of another."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

Work = Callable[[], object]


class Turns:
    """What is put in for a key is taken in that order, and keys take turns; safe to share between threads."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Work]] = {}  # the key whose turn it is stands first
        self._lock = threading.Lock()

    def put(self, key: str, work: Work) -> None:
        with self._lock:
            self._waiting.setdefault(key, deque()).append(work)

    def take(self) -> Work:
        """The next one, which must be there: once for each that was put in."""
        with self._lock:
            key = next(iter(self._waiting))
            works = self._waiting.pop(key)
            work = works.popleft()
            if works:
                self._waiting[key] = works
            return work
