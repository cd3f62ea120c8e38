"""The one owner of an engine: gathers ready pages of any jobs into batches and generates one batch at a time.

Four threads of the GPU worker's child process share the work, so that the engine never waits for Redis or files:

- the owner loads the model and is the only one that calls it;
- the reader reads ahead the pages that will be next;
- the writer stores results;
- the keeper renews claims and passes on cancellations and partial texts.

A batch that outlives its deadline by far ends its process, even where it holds Python's lock and no thread could run.
An engine that is the client of a model server has a slot for each request that the server takes at once: a thread that
generates one page and is then given the next, so that no page waits for the slowest of a batch.

The Celery tasks, in the main thread, only wait for their page to end. A page is claimed in Redis before it is
generated, so that no two processes work on it; a claim that is not renewed lapses, and another process takes the page.
"""

from __future__ import annotations

import contextlib
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
from kombu.exceptions import OperationalError

from tasks.blobs import BlobMissing, Blobs
from tasks.generate.keeper import ServedEngine, most_pages, observe_requests, server_report
from tasks.generate.partials import PartialTexts
from tasks.generate.read_ahead import Reader, place
from tasks.generate.runner import Loaded, Runner, most_times
from tasks.generate.watchdog import Running
from tasks.ledger import Ledger, UnknownJob
from tasks.ledger.records import Attempts, Claimed
from tasks.messages import PageTask
from tasks.metrics import count, observe
from tasks.page_end import attempt_record, fail_page, save_generation
from tasks.settings import Settings
from workers.engines import Engine, EngineError, Generation
from workers.repetition import cut_loop

logger = logging.getLogger(__name__)

LOOK_S, HELD_LOOK_S = 0.2, 1.0  # how often a task looks at a page that others may work on, and at one held here
CLAIM_S = 5.0  # a claim lapses after this long without renewal
OVERDUE_S = 0.5  # an ended page waits this long for its task
RENEW_S = 0.5  # how often claims are renewed, and how fast a cancellation reaches the engine


class Batcher:
    """Owns an engine; see the module. `start` returns when the model is loaded."""

    def __init__(
        self,
        engine: Engine,
        ledger: Ledger,
        blobs: Blobs,
        settings: Settings,
        return_early: Callable[[PageTask], None],
    ) -> None:
        self.return_early = return_early
        self.engine, self.ledger, self.blobs, self.settings = engine, ledger, blobs, settings
        self.partials = PartialTexts(ledger)
        self.token = f"{socket.gethostname()}:{os.getpid()}:{time.time_ns()}"
        self.most = most_pages(engine, settings.gpu_batch_pages)
        self.slots = ThreadPoolExecutor(self.most, "slot") if isinstance(engine, ServedEngine) else None
        self.running = Running()
        self.reader = Reader(engine, ledger, blobs, self.most)
        self.loaded = threading.Event()
        self.closing = threading.Event()
        self.closed = threading.Event()
        self.begun = threading.Event()  # a batch was begun since the reader looked
        self.kick = threading.Event()
        self.page_ended = threading.Condition()
        self.lock = threading.Lock()
        self.wanted: dict[tuple[str, int], PageTask] = {}
        self.held: dict[tuple[str, int], PageTask] = {}
        self.storing: set[tuple[str, int]] = set()
        # Ended pages whose tasks have not come, and when they ended.
        self.uncollected: dict[tuple[str, int], tuple[PageTask, float]] = {}
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
        self.begun.set()
        self.running.is_busy.set()
        self.threads[0].join(grace_s)
        self.writer.shutdown(wait=not self.threads[0].is_alive())
        with self.lock:
            held = list(self.held.values())
        if held:
            self.ledger.release(self.token, held, blameless=True)
        self.closed.set()

    # the Celery task's thread

    def wait_for(self, page: PageTask) -> bool:
        """Whether the page has ended, here or elsewhere; False where it has to be prepared again before it can."""
        key = (page.job_id, page.index)
        self.wanted[key] = page
        try:
            self.ledger.offer(page)
            while (seen := self.ledger.look(page)) is not None:
                if seen.state in ("queued", "preparing"):
                    return False
                self.kick.set()
                with self.page_ended:
                    self.page_ended.wait(HELD_LOOK_S if key in self.held else LOOK_S)
            return True
        finally:
            self.wanted.pop(key, None)

    def collect(self, page: PageTask) -> None:
        """The page has ended, and its task returns now."""
        self.uncollected.pop((page.job_id, page.index), None)

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
        if self.slots:
            self.slots.shutdown()

    def rest(self) -> None:
        """Sleep until a page task arrives; while one waits for a page of another process, look again soon."""
        self.kick.clear()
        if not self.closing.is_set():  # `close` may have kicked just before
            self.kick.wait(0.05 if self.wanted else None)

    def claim_batch(self) -> list[Loaded]:
        if self.slots:
            num_free = self.most - len(self.running)
            return self.claim(num_free) if num_free else []
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
        """Generate the batch; where there are slots, see that its pages are, and do not wait for them."""
        if self.slots is None:
            self.run(self.begin(batch))
            return
        for loaded in batch:
            self.slots.submit(self.run, self.begin([loaded]))

    def begin(self, batch: list[Loaded]) -> Runner:
        started = time.monotonic()
        self.ledger.start([loaded.page for loaded in batch])
        self.write_later(observe, self.ledger, "batch_pages", len(batch))
        runner = Runner(
            self.engine,
            self.ledger,
            batch,
            deadline=started + self.settings.vlm_concurrent_timeout * most_times(batch),
            retry_count=self.settings.vlm_retry_count,
            partials=self.partials,
            on_end=partial(self.end_page, started, len(batch)),
            image_of=self.reader.image_of,
        )
        self.running.add(runner)
        self.begun.set()
        return runner

    def run(self, runner: Runner) -> None:
        try:
            runner.run()
        except redis.RedisError as exc:
            logger.warning("Redis is away, a batch is given up: %s", exc)
        except Exception:
            logger.exception("the engine is broken; its process is replaced")
            self.ledger.release(self.token, runner.pages, blameless=False)
            self.writer.shutdown(wait=True)
            os._exit(1)
        self.running.remove(runner)
        for page in runner.pages:
            self.drop(page)
        self.kick.set()

    def end_page(self, started: float, num_pages: int, page: PageTask, generation: Generation, tries: Attempts) -> None:
        """Have the outcome stored of a page whose batch of `num_pages` was started at this time; from any thread."""
        seconds = (time.monotonic() - started) / num_pages
        self.hand_over(page, self.store_generation, page, generation, seconds, tries)

    def hand_over(self, page: PageTask, work: Callable[..., None], *arguments: Any) -> None:
        """Have the writer store what became of a claimed page."""
        with self.lock:
            self.storing.add((page.job_id, page.index))
        self.write_later(work, *arguments)

    def write_later(self, work: Callable[..., None], *arguments: Any) -> None:
        """Have the writer do this; after `close`, which gave back what was not stored, nothing."""
        with contextlib.suppress(RuntimeError):
            self.writer.submit(work, *arguments)

    def let_claims_lapse(self) -> None:
        """Renew no claim of a page that is neither generated nor on its way to the store."""
        with self.lock:
            running = self.running.pages()
            self.held = {key: page for key, page in self.held.items() if key in self.storing or page in running}

    # the reader's thread

    def read_ahead(self) -> None:
        """At the start of each batch, and then until the next one is complete."""
        while not self.closing.is_set():
            self.running.is_busy.wait()
            self.begun.clear()
            is_complete = self.reader.look()
            self.begun.wait(0.5 if is_complete else 0.1)

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
            self.uncollected[page.job_id, page.index] = page, time.monotonic()
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
        if (page.job_id, page.index) in self.wanted:
            with self.page_ended:
                self.page_ended.notify_all()
        self.partials.end(page)

    def return_overdue(self) -> None:
        """See to ended pages whose tasks stand behind one that waits."""
        now = time.monotonic()
        for page, ended in list(self.uncollected.values()):
            if now - ended < OVERDUE_S:
                continue
            self.collect(page)
            try:
                self.return_early(page)
            except (redis.RedisError, OperationalError, UnknownJob) as exc:
                logger.warning("job %s page %d waits for its task: %s", page.job_id, page.page_number, exc)

    # the keeper's thread

    def keep(self) -> None:
        while not self.closed.wait(RENEW_S):
            self.write_later(self.return_overdue)
            with self.lock:
                held = list(self.held.values())
            try:
                if held:
                    self.stop_rows({held[place] for place in self.ledger.renew(self.token, held, ttl_s=CLAIM_S)})
                self.partials.flush()
                if self.loaded.is_set():
                    server = server_report(self.engine)
                    self.ledger.report_alive(
                        "gpu", self.token, engine=self.engine.name, busy=self.running.busy_ratio(), **server
                    )
                    observe_requests(self.engine, self.ledger)
            except redis.RedisError as exc:
                logger.warning("claims could not be renewed: %s", exc)

    def stop_rows(self, pages: set[PageTask]) -> None:
        """Stop the rows of these pages, all at once; a page whose job goes on was taken by another process."""
        for page in self.running.stop(pages):
            if self.ledger.look(page) is not None:
                logger.warning("job %s page %d: the claim was lost", page.job_id, page.page_number)
                count(self.ledger, "claims_lost")
