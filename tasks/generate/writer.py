"""Stores what became of pages, in a thread of its own, so that the engine never waits for Redis or files."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import redis

from tasks.generate.held import Held
from tasks.generate.partials import PartialTexts
from tasks.generate.turns import Turns, Work
from tasks.ledger import Ledger
from tasks.ledger.records import Attempts
from tasks.messages import PageTask
from tasks.metrics import count, observe
from tasks.page_end import give_up_page, save_generation
from workers.engines import Generation
from workers.repetition import cut_loop

logger = logging.getLogger(__name__)


class Writer:
    """One thread; what is handed over of one job is done in order, and jobs take turns.

    `on_lines` is told of each page stored with lines.
    """

    def __init__(
        self,
        engine: str,
        ledger: Ledger,
        held: Held,
        partials: PartialTexts,
        on_lines: Callable[[PageTask], None],
    ) -> None:
        self._engine, self._ledger, self._held, self._partials = engine, ledger, held, partials
        self._on_lines = on_lines
        self._turns = Turns()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="writer")

    def close(self, *, wait: bool) -> None:
        self._pool.shutdown(wait=wait)

    def later(self, work: Callable[..., None], *arguments: Any) -> None:
        """Do this in the writer's thread; after `close`, which gives back what is not stored, nothing."""
        self._put("", partial(work, *arguments))

    def _put(self, job_id: str, work: Work) -> None:
        self._turns.put(job_id, work)
        with contextlib.suppress(RuntimeError):
            self._pool.submit(lambda: self._turns.take()())

    def save(self, page: PageTask, generation: Generation, seconds: float, tries: Attempts) -> None:
        """Have the outcome stored of a claimed page that took `seconds`; from any thread."""
        self._held.store(page)
        self._put(page.job_id, lambda: self._save(page, generation, seconds, tries))

    def fail(self, page: PageTask, reason: str, detail: str = "", attempts: Attempts = ()) -> None:
        """Have a claimed page end without a generation; from any thread."""
        self._held.store(page)
        self._put(page.job_id, lambda: self._store(page, lambda: self._fail(page, reason, detail, attempts)))

    def drop(self, page: PageTask) -> None:
        """The page is this process's no longer."""
        self._held.drop(page)
        self._partials.end(page)

    def _save(self, page: PageTask, generation: Generation, seconds: float, tries: Attempts) -> None:
        self._store(page, lambda: self._end(page, generation, seconds, tries))

    def _end(self, page: PageTask, generation: Generation, seconds: float, tries: Attempts) -> None:
        observe(self._ledger, "page_seconds", seconds, step="generate", engine=self._engine)
        count(self._ledger, "tokens", generation.tokens, engine=self._engine)
        if generation.stop_reason == "cancelled":
            self._measure_cancel(page)
            return
        if generation.stop_reason == "repetition":
            generation = replace(generation, text=cut_loop(generation.text))
        save_generation(page, generation, engine=self._engine, seconds=seconds, attempts=tries)
        self._held.end(page)
        if generation.lines:
            self._on_lines(page)

    def _fail(self, page: PageTask, reason: str, detail: str, attempts: Attempts) -> None:
        give_up_page(page, reason, detail, attempts=attempts)
        self._held.end(page)

    def _measure_cancel(self, page: PageTask) -> None:
        job = self._ledger.job(page.job_id)
        if job is not None and job.ended_at is not None:
            observe(self._ledger, "cancel_seconds", max(0.0, time.time() - job.ended_at))

    def _store(self, page: PageTask, save: Callable[[], None]) -> None:
        try:
            self._save_or_give_up(page, save)
        except redis.RedisError:
            logger.exception("job %s page %d could not be recorded; it runs again", page.job_id, page.page_number)
        finally:
            self.drop(page)

    def _save_or_give_up(self, page: PageTask, save: Callable[[], None]) -> None:
        try:
            save()
        except redis.RedisError:
            raise
        except OSError as exc:
            logger.exception("job %s page %d could not be stored", page.job_id, page.page_number)
            detail = f"The page's text could not be stored ({exc.strerror}); free space and retry it."
            give_up_page(page, "storage", detail)
        except Exception as exc:
            logger.exception("job %s page %d could not be stored", page.job_id, page.page_number)
            give_up_page(page, "internal", f"{type(exc).__name__} while storing the page's text; retry it.")
