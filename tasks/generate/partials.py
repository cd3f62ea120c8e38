"""The text of pages that are being read right now, for whoever watches: small keys in Redis that lapse by themselves.

The ledger knows nothing of them. A worker writes them only while somebody watches the job, and removes a page's key
when the page has ended.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import redis

from tasks.ledger import Ledger
from tasks.messages import PageTask

CHANNEL = "pf:reading:"  # announces the indexes of pages whose partial text has changed, by comma
MOST_CHARACTERS = 20_000  # of the end of a page's text
LAPSE_S = 10.0  # a text that no worker renews is forgotten after this long
WATCH_S = 15.0  # somebody who watches says so again within this time


def text_key(job_id: str, index: int) -> str:
    return f"pf:partial:{job_id}:{index}"


def watch_key(job_id: str) -> str:
    return f"pf:watched:{job_id}"


def watch(ledger: Ledger, job_id: str) -> None:
    """Have the workers write this job's partial texts for the next 15 s."""
    ledger.redis.set(watch_key(job_id), 1, ex=int(WATCH_S))
    ledger.take_back(job_id, watch_key(job_id))


def read_partials(ledger: Ledger, job_id: str, indexes: Sequence[int]) -> dict[int, str]:
    """The partial texts of those of the pages that are being generated, by index."""
    if not indexes:
        return {}
    pages = ledger.pages_at(job_id, indexes)
    texts = ledger.redis.mget([text_key(job_id, index) for index in indexes])
    found = zip(indexes, pages, texts, strict=True)
    return {index: text for index, page, text in found if page and page.state == "generating" and text is not None}


class PartialTexts:
    """A worker's side. The engine's thread only leaves texts here; another thread writes them with `flush`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self._redis = ledger, ledger.redis
        self._texts: dict[PageTask, str] = {}
        self._sent: dict[PageTask, tuple[str, float]] = {}
        self._sending = threading.Lock()

    def begin(self, pages: Sequence[PageTask]) -> Callable[[int, str], None]:
        """What to call with (row, text) in a try at these pages; what earlier tries said is dropped."""
        for page in pages:
            self._texts[page] = ""
        return partial(self._note, pages)

    def _note(self, pages: Sequence[PageTask], row: int, text: str) -> None:
        self._texts[pages[row]] = text

    def flush(self) -> None:
        """Write what has changed since the last time, of jobs that are watched. Raises redis.RedisError."""
        with self._sending:
            now = time.monotonic()
            news = {page: text for page, text in self._texts.copy().items() if self._is_news(page, text, now)}
            watched = self._watched({page.job_id for page in news})
            news = {page: text for page, text in news.items() if page.job_id in watched}
            if not news:
                return
            self._sent |= {page: (text, now) for page, text in news.items()}
            with self._redis.pipeline(transaction=False) as pipe:
                for page, text in news.items():
                    cut = text[-MOST_CHARACTERS:].encode(errors="replace")
                    pipe.set(text_key(page.job_id, page.index), cut, px=int(LAPSE_S * 1000))
                for job_id in watched:
                    indexes = sorted(page.index for page in news if page.job_id == job_id)
                    pipe.publish(CHANNEL + job_id, ",".join(map(str, indexes)))
                pipe.execute()
            for job_id in watched:
                self._ledger.take_back(job_id, *(text_key(*page.key) for page in news if page.job_id == job_id))

    def _is_news(self, page: PageTask, text: str, now: float) -> bool:
        sent, sent_at = self._sent.get(page, ("", now))
        return text != sent or now - sent_at > LAPSE_S / 2

    def _watched(self, job_ids: Iterable[str]) -> list[str]:
        ids = sorted(job_ids)
        marks = self._redis.mget([watch_key(job_id) for job_id in ids]) if ids else []
        return [job_id for job_id, mark in zip(ids, marks, strict=True) if mark]

    def end(self, page: PageTask) -> None:
        """Forget the page's text, here and in Redis; one that Redis cannot be told of lapses."""
        if self._texts.pop(page, None) is None:
            return
        with self._sending, contextlib.suppress(redis.RedisError):
            if self._sent.pop(page, None):
                self._redis.delete(text_key(page.job_id, page.index))
