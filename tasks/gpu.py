"""The one owner of an engine: gathers ready pages of any jobs into batches and generates one batch at a time.

Four threads of the GPU worker's child process share the work, so that the engine never waits for Redis or files:

- the owner loads the model and is the only one that calls it;
- the reader reads ahead the pages that will be next;
- the writer stores results;
- the keeper renews claims and passes on cancellations and partial texts.

A batch that outlives its deadline by far ends its process, even where it holds Python's lock and no thread could run.

The Celery tasks, in the main thread, only wait for their page to end. A page is claimed in Redis before it is
generated, so that no two processes work on it; a claim that is not renewed lapses, and another process takes the page.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import redis

from tasks.blobs import BlobMissing, Blobs
from tasks.generation import Ends, Loaded, Runner
from tasks.ledger import Ledger, UnknownJob
from tasks.messages import PageTask
from tasks.metrics import count, observe
from tasks.outcomes import attempt_record, fail_page, save_generation
from tasks.read_ahead import Reader, place
from tasks.records import Attempts, Claimed
from tasks.serving import batch_seconds, most_pages, observe_requests, server_report
from tasks.settings import Settings
from workers.engines import (
    Control,
    Engine,
    EngineBroken,
    EngineError,
    Generation,
)
from workers.repetition import cut_loop

logger = logging.getLogger(__name__)

CLAIM_S = 5.0  # a claim lapses after this long without renewal
RENEW_S = 0.5  # how often claims are renewed, and how fast a cancellation reaches the engine
STDERR = 2  # the descriptor: sys.stderr is Celery's, which has none
OVERTIME_S = 10.0  # time past its deadline after which a batch's process ends


class Batcher:
    """Owns an engine; see the module. `start` returns when the model is loaded."""

    def __init__(self, engine: Engine, ledger: Ledger, blobs: Blobs, settings: Settings) -> None:
        self.engine, self.ledger, self.blobs, self.settings = engine, ledger, blobs, settings
        self.runner = Runner(engine, ledger, settings.vlm_retry_count)
        self.token = f"{socket.gethostname()}:{os.getpid()}:{time.time_ns()}"
        self.most = most_pages(engine, settings.gpu_batch_pages)
        self.reader = Reader(engine, ledger, blobs, self.most)
        self.loaded = threading.Event()
        self.closing = threading.Event()
        self.closed = threading.Event()
        self.kick = threading.Event()
        self.busy = threading.Event()
        self.page_ended = threading.Condition()
        self.lock = threading.Lock()
        self.wanted: dict[tuple[str, int], PageTask] = {}
        self.held: dict[tuple[str, int], PageTask] = {}
        self.storing: set[tuple[str, int]] = set()
        self.busy_s = 0.0
        self.reported = time.monotonic(), 0.0
        self.writer = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self.threads = [
            threading.Thread(target=target, name=target.__name__, daemon=True)
            for target in (self.own, self.read_ahead, self.keep)
        ]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()
        self.loaded.wait()

    def close(self, grace_s: float) -> None:
        """Let the running batch end within `grace_s`, store it, and give everything else back without blame."""
        self.closing.set()
        self.kick.set()
        self.busy.set()
        self.threads[0].join(grace_s)
        self.writer.shutdown(wait=not self.threads[0].is_alive())
        with self.lock:
            held = list(self.held.values())
        if held:
            self.ledger.release(self.token, held, blameless=True)
        self.closed.set()

    # the Celery task's thread

    def wait_for(self, page: PageTask) -> None:
        """Return when the page has ended, here or elsewhere, or has to be prepared again."""
        key = (page.job_id, page.index)
        self.wanted[key] = page
        self.kick.set()
        try:
            while (seen := self.ledger.look(page)) is not None:
                if seen.state in ("queued", "preparing"):
                    return
                with self.page_ended:
                    self.page_ended.wait(0.2)
                self.kick.set()
        finally:
            self.wanted.pop(key, None)

    # the owner's thread

    def own(self) -> None:
        try:
            self.engine.load()
        except Exception:
            logger.exception("the engine %s could not be loaded; see the reason above", self.engine.name)
            time.sleep(5)  # the parent starts a new process at once
            os._exit(1)
        self.loaded.set()
        while not self.closing.is_set():
            try:
                batch = self.claim_batch()
                if batch:
                    self.run_batch(batch)
                else:
                    self.rest()
            except redis.RedisError as exc:
                logger.warning("Redis is away, the engine waits: %s", exc)
                self.let_claims_lapse()
                self.closing.wait(1)

    def rest(self) -> None:
        """Sleep until a page task arrives; while one waits for a page of another process, look again soon."""
        self.kick.clear()
        self.kick.wait(0.05 if self.wanted else None)

    def claim_batch(self) -> list[Loaded]:
        batch = self.claim(self.most)
        suspect = len(batch) == 1 and batch[0].starts > 0
        if batch and not suspect and len(batch) < self.most:
            self.closing.wait(self.settings.gpu_batch_wait_ms / 1000)
            batch += self.claim(self.most - len(batch), company_of=batch[0])
        return sorted(batch, key=lambda loaded: place(loaded.page))

    def claim(self, most: int, *, company_of: Loaded | None = None) -> list[Loaded]:
        """Claim and read up to `most` pages; as company of another page, none that must run alone."""
        want = () if company_of else tuple(self.wanted.values())
        bucket = company_of.bucket if company_of else None
        claims = self.ledger.take(self.token, most=most, ttl_s=CLAIM_S, want=want, bucket=bucket)
        with self.lock:
            self.held.update({(claim.task.job_id, claim.task.index): claim.task for claim in claims})
        return [loaded for claim in claims if (loaded := self.load(claim)) is not None]

    def load(self, claim: Claimed) -> Loaded | None:
        """What the engine needs of a claimed page; None where it cannot run, and then its outcome is on its way."""
        page = claim.task
        if claim.starts >= self.settings.poison_limit:
            attempts = [attempt_record(self.engine.name, 0.0, "process died")] * claim.starts
            self.hand_over(page, self.store, page, lambda: fail_page(page, "poison", attempts=attempts))
            return None
        try:
            prepared = self.reader.take(page)
        except (BlobMissing, UnknownJob) as exc:
            logger.warning("job %s page %d must be prepared again: %r", page.job_id, page.page_number, exc)
            self.ledger.move(page, "queued")
            self.drop(page)
            return None
        except (EngineError, OSError, ValueError) as exc:
            detail = f"The prepared page could not be read ({exc}); retry it."
            self.hand_over(page, self.store, page, lambda: fail_page(page, "internal", detail))
            return None
        return Loaded(page, claim.starts, claim.bucket, prepared)

    def run_batch(self, batch: list[Loaded]) -> None:
        started = time.monotonic()
        pages = [loaded.page for loaded in batch]
        self.ledger.start(pages)
        self.busy.set()
        deadline = started + batch_seconds(self.engine, len(batch), self.settings.vlm_concurrent_timeout)
        faulthandler.dump_traceback_later(deadline + OVERTIME_S - started, exit=True, file=STDERR)
        ends = Ends(partial(self.end_page, started, len(batch)))
        try:
            self.runner.generate(batch, deadline, ends)
        except EngineBroken:
            logger.exception("the engine is broken; its process is replaced")
            self.ledger.release(self.token, [page for page in pages if page not in ends.outcomes], blameless=False)
            self.writer.shutdown(wait=True)
            os._exit(1)
        finally:
            faulthandler.cancel_dump_traceback_later()
            self.runner.running = None
            self.busy.clear()
        self.busy_s += time.monotonic() - started
        self.writer.submit(observe, self.ledger, "batch_pages", len(batch))

    def end_page(self, started: float, num_pages: int, page: PageTask, generation: Generation) -> None:
        """Have the outcome stored of a page whose batch of `num_pages` was started at this time; from any thread."""
        seconds = (time.monotonic() - started) / num_pages
        tries = self.runner.tries.pop(page, [])
        self.hand_over(page, self.store_generation, page, generation, seconds, tries)

    def hand_over(self, page: PageTask, work: Callable[..., None], *arguments: Any) -> None:
        """Have the writer store what became of a claimed page."""
        with self.lock:
            self.storing.add((page.job_id, page.index))
        self.writer.submit(work, *arguments)

    def let_claims_lapse(self) -> None:
        """Renew no claim whose page is not on its way to the store: nobody works on it any more."""
        with self.lock:
            self.held = {key: page for key, page in self.held.items() if key in self.storing}

    # the reader's thread

    def read_ahead(self) -> None:
        while not self.closing.is_set():
            self.busy.wait()
            self.reader.look()
            self.closing.wait(0.1)

    # the writer's thread

    def store_generation(self, page: PageTask, generation: Generation, seconds: float, tries: Attempts) -> None:
        observe(self.ledger, "page_seconds", seconds, step="generate", engine=self.engine.name)
        count(self.ledger, "tokens", generation.tokens, engine=self.engine.name)
        if generation.stop_reason == "cancelled":
            self.measure_cancel(page)
            self.drop(page)
            return
        if generation.stop_reason == "repetition":
            generation = replace(generation, text=cut_loop(generation.text))
        self.store(
            page, lambda: save_generation(page, generation, engine=self.engine.name, seconds=seconds, attempts=tries)
        )

    def measure_cancel(self, page: PageTask) -> None:
        job = self.ledger.job(page.job_id)
        if job is not None and job.ended_at is not None:
            observe(self.ledger, "cancel_seconds", max(0.0, time.time() - job.ended_at))

    def store(self, page: PageTask, save: Callable[[], None]) -> None:
        try:
            save()
        except OSError as exc:
            logger.exception("job %s page %d could not be stored", page.job_id, page.page_number)
            fail_page(
                page,
                "storage",
                f"The page's text could not be stored ({exc.strerror}); free space and retry it.",
            )
        except redis.RedisError:
            logger.exception("job %s page %d could not be recorded; it runs again", page.job_id, page.page_number)
        finally:
            self.drop(page)

    def drop(self, page: PageTask) -> None:
        with self.lock:
            self.held.pop((page.job_id, page.index), None)
            self.storing.discard((page.job_id, page.index))
        with self.page_ended:
            self.page_ended.notify_all()
        self.runner.partials.end(page)

    # the keeper's thread

    def keep(self) -> None:
        while not self.closed.wait(RENEW_S):
            with self.lock:
                held = list(self.held.values())
            try:
                if held:
                    self.stop_rows({held[place] for place in self.ledger.renew(self.token, held, ttl_s=CLAIM_S)})
                self.runner.partials.flush()
                if self.loaded.is_set():
                    server = server_report(self.engine)
                    self.ledger.report_alive(
                        "gpu", self.token, engine=self.engine.name, busy=self.busy_ratio(), **server
                    )
                    observe_requests(self.engine, self.ledger)
            except redis.RedisError as exc:
                logger.warning("claims could not be renewed: %s", exc)

    def busy_ratio(self) -> float:
        """Share of the time since the last report that the engine generated."""
        now, busy_s = time.monotonic(), self.busy_s
        before, busy_before = self.reported
        self.reported = now, busy_s
        return round(min(1.0, (busy_s - busy_before) / max(now - before, 1e-6)), 3)

    def stop_rows(self, pages: set[PageTask]) -> None:
        """Stop the rows of these pages, all at once; a page whose job goes on was taken by another process."""
        rows, control = self.runner.running or ((), Control())
        stopped = [row for row, page in enumerate(rows) if page in pages and row not in control.cancelled]
        control.cancelled.update(stopped)
        for page in (rows[row] for row in stopped):
            if self.ledger.look(page) is not None:
                logger.warning("job %s page %d: the claim was lost", page.job_id, page.page_number)
                count(self.ledger, "claims_lost")
