"""What has been read so far of pages that are being read: for one page, and as events for all who listen to a job."""

from __future__ import annotations

import contextlib
import json
import time
from functools import partial

from tasks.generate.partials import WATCH_S, read_partials, watch
from tasks.ledger import StoreAway
from tasks.ledger.records import Job, Page
from tasks.services import get_ledger
from web.api.changes import Topic

EVERY_S = 0.5  # between two looks of a listener; longer where many listen
MOST_PAGES = 8  # in one look, the first in page order


def text_so_far(job: Job, page: Page) -> str:
    """What a page that is being read has so far; the first question of all may come too early for an answer."""
    with contextlib.suppress(StoreAway):
        if not page.has_ended and not job.has_ended:
            watch(get_ledger(), job.id)
            return read_partials(get_ledger(), job.id, [page.index]).get(page.index, "")
    return ""


class Feed:
    """One listener's way through the announcements of partial texts."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.seen = 0
        self.looked_at = float("-inf")

    def wait(self, seq: int, timeout_s: float) -> None:
        """As `Topic.wait`; returns for partial texts too, once the time for another look has come."""
        rest_s = self._next_look() - time.monotonic()
        if rest_s > 0:
            self.topic.wait(seq, min(rest_s, timeout_s))
        else:
            self.topic.wait(seq, timeout_s, self.seen)

    def _next_look(self) -> float:
        return self.looked_at + EVERY_S * (1 + self.topic.listeners / 50)

    def look(self, job: Job) -> str:
        """The events that are due, made once for all listeners that are as far as this one; mostly none."""
        with contextlib.suppress(StoreAway):
            self._watch(job)
            if self.topic.readings > self.seen and time.monotonic() >= self._next_look():
                key = ("partial", self.seen, self.topic.readings, job.seq)
                make = partial(encode_partials, job, self.topic, self.seen)
                self.seen, self.looked_at = self.topic.readings, time.monotonic()
                return self.topic.share(key, make)
        return ""

    def _watch(self, job: Job) -> None:
        """One of the listeners tells the workers now and then that somebody watches."""
        now = time.monotonic()
        if now - self.topic.watched_at > WATCH_S / 3:
            self.topic.watched_at = now
            watch(get_ledger(), job.id)


def encode_partials(job: Job, topic: Topic, seen: int) -> str:
    """`partial` events of the pages announced after `seen`. They have no id: a listener that resumes needs none."""
    indexes = topic.read_since(seen)[:MOST_PAGES]
    texts = read_partials(get_ledger(), job.id, indexes)
    topic.forget_readings(set(indexes) - set(texts))
    pages = ({"page_number": index + 1, "text": text} for index, text in texts.items())
    return "".join(f"event: partial\ndata: {json.dumps(page)}\n\n" for page in pages)
