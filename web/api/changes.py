"""Wakes whoever waits for a job to change: one subscriber thread a process, however many listen."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from tasks.announcements import Announcement, subscription
from tasks.generate.partials import WATCH_S
from tasks.ledger import StoreAway
from tasks.ledger.records import Job
from tasks.settings import get_settings

logger = logging.getLogger(__name__)

Made = TypeVar("Made")

POLL_S = 5.0  # a listener looks again after this long even if no message came: messages may be lost

MOST_SHARED = 8  # pieces of one job kept for listeners that are a little behind the others


@dataclass(slots=True)
class Topic:
    """One job that is listened to; `seq` is the newest change announced since the first listener came.

    `state_seq` is the newest of the job's state.
    `readings` counts the announcements of partial texts, and `read_in` has the last one for each page, by index.
    """

    condition: threading.Condition = field(default_factory=threading.Condition)
    seq: int = 0
    state_seq: int = 0
    listeners: int = 0
    reading: threading.Lock = field(default_factory=threading.Lock)
    job: Job | None = None
    read_at: float = 0.0
    away_until: float = 0.0
    shared: dict[Hashable, Any] = field(default_factory=dict)
    readings: int = 0
    read_in: dict[int, int] = field(default_factory=dict)
    watched_at: float = -WATCH_S

    def wait(self, seq: int, timeout_s: float, readings: float = float("inf")) -> None:
        """Return when a change after `seq`, or partial texts after `readings`, are announced, or after a while."""
        with self.condition:
            self.condition.wait_for(lambda: self.seq > seq or self.readings > readings, min(timeout_s, POLL_S))

    def rest(self, seq: int, pause_s: float) -> None:
        """Let more changes come together for so long, but return at once where the job's state changes after `seq`."""
        with self.condition:
            self.condition.wait_for(lambda: self.state_seq > seq, pause_s)

    def latest(self, read: Callable[[], Job]) -> Job | None:
        """The job, read once for all who wait on it, and again after each change; None while Redis is away."""
        with self.reading:
            now = time.monotonic()
            if now < self.away_until:
                return None
            if self.job is None or self.job.seq < self.seq or now - self.read_at > POLL_S / 2:
                try:
                    self.job, self.read_at = read(), now
                except StoreAway as exc:
                    logger.warning("the job store is away: %s", exc)
                    self.away_until = time.monotonic() + POLL_S / 2
                    return None
            return self.job

    def share(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` gives, made once for all who ask for the same at about the same time."""
        with self.reading:
            if key not in self.shared:
                if len(self.shared) >= MOST_SHARED:
                    del self.shared[next(iter(self.shared))]
                self.shared[key] = make()
            made: Made = self.shared[key]
            return made

    def announce(self, seq: int, *, is_state: bool = False) -> None:
        with self.condition:
            self.seq = max(self.seq, seq)
            if is_state:
                self.state_seq = max(self.state_seq, seq)
            self.condition.notify_all()

    def announce_reading(self, indexes: Iterable[int]) -> None:
        with self.condition:
            self.readings += 1
            self.read_in |= dict.fromkeys(indexes, self.readings)
            self.condition.notify_all()

    def read_since(self, readings: int) -> list[int]:
        """Indexes of the pages whose partial text was announced after that, in page order."""
        with self.condition:
            return sorted(index for index, last in self.read_in.items() if last > readings)

    def forget_readings(self, indexes: Iterable[int]) -> None:
        """Forget announcements of pages that are not being read any more."""
        with self.condition:
            for index in indexes:
                self.read_in.pop(index, None)


class Changes:
    """Hands the ledger's announcements to the threads that wait for them."""

    def __init__(self, redis_url: str, max_listeners: int) -> None:
        self.redis_url = redis_url
        self._seats = threading.BoundedSemaphore(max_listeners)
        self._topics: dict[str, Topic] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._subscribed = threading.Event()
        self._closed = threading.Event()

    @contextlib.contextmanager
    def listen(self, job_id: str) -> Iterator[Topic | None]:
        """A topic to wait on, which misses nothing from here on; None when too many listen."""
        if not self._seats.acquire(blocking=False):
            yield None
            return
        topic = self._join(job_id)
        try:
            yield topic
        finally:
            self._leave(job_id, topic)
            self._seats.release()

    def _join(self, job_id: str) -> Topic:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="changes", daemon=True)
                self._thread.start()
            topic = self._topics.setdefault(job_id, Topic())
            topic.listeners += 1
        self._subscribed.wait(1)
        return topic

    def _leave(self, job_id: str, topic: Topic) -> None:
        with self._lock:
            topic.listeners -= 1
            if not topic.listeners:
                del self._topics[job_id]

    def close(self) -> None:
        """End the subscriber, soon."""
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._subscribe()
            except StoreAway as exc:
                self._subscribed.clear()
                logger.warning("the subscription to changes is down: %s", exc)
                self._closed.wait(1)

    def _subscribe(self) -> None:
        with subscription(self.redis_url) as next_announcement:
            self._subscribed.set()
            while not self._closed.is_set():
                if news := next_announcement(POLL_S):
                    self._announce(news)

    def _announce(self, news: Announcement) -> None:
        with self._lock:
            topic = self._topics.get(news.job_id)
        if topic and news.indexes:
            topic.announce_reading(news.indexes)
        elif topic:
            topic.announce(news.seq, is_state=news.is_state)


@cache
def get_changes() -> Changes:
    """The listener of this process, made at first use, so that it lives after a fork."""
    settings = get_settings()
    spare = max(4, settings.web_threads // 8)  # threads that listeners leave to everyone else
    return Changes(settings.redis_url, max(1, settings.web_threads - spare))
