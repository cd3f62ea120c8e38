"""The one owner of an engine: gathers ready pages of any jobs into batches and generates one batch at a time.

Four threads of the GPU worker's child process share the work, so that the engine never waits for Redis or files:

- the owner loads the model and is the only one that calls it;
- the reader reads ahead the pages that will be next;
- the writer stores results;
- the keeper renews claims and passes on cancellations and partial texts.

A batch that outlives its deadline by far ends its process, even where it holds Python's lock and no thread could run.
An engine whose pages join those that run, as those of a model server do, has a slot for each: a thread that generates
one page and is then given the next, so that no page waits for the slowest of a batch.

The Celery tasks, in the main thread, only wait for their page to end. A page is claimed in Redis before it is
generated, so that no two processes work on it; a claim that is not renewed lapses, and another process takes the page.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import redis
from PIL import Image

from tasks.blobs import Blobs
from tasks.generate.budget import Budget
from tasks.generate.held import Held
from tasks.generate.intake import Intake
from tasks.generate.keeper import Keeper, blame, release_of_the_dead
from tasks.generate.partials import PartialTexts
from tasks.generate.question import Question
from tasks.generate.read_ahead import Reader
from tasks.generate.runner import Loaded, Runner, most_times
from tasks.generate.served import takes_single_pages
from tasks.generate.watchdog import Running
from tasks.generate.writer import Writer
from tasks.ledger import Ledger
from tasks.ledger.records import Attempts
from tasks.marks import worker_id
from tasks.messages import PageTask
from tasks.metrics import observe
from tasks.settings import Settings
from workers.engines import Engine, Generation

logger = logging.getLogger(__name__)

READ_AHEAD = 4  # where there are slots, as many pages are read ahead as end in a fourth of the time of all


class Batcher:
    """Owns an engine; see the module. `start` returns when the model is loaded, or raises what `load` raised."""

    def __init__(
        self,
        engine: Engine,
        ledger: Ledger,
        blobs: Blobs,
        settings: Settings,
        return_early: Callable[[PageTask], None],
        on_lines: Callable[[PageTask], None],
    ) -> None:
        self.engine, self.ledger, self.settings = engine, ledger, settings
        self.token = f"{worker_id() or secrets.token_hex(8)}:{os.getpid()}:{time.time_ns()}"
        self.slots: ThreadPoolExecutor | None = None
        self.running = Running()
        self.held = Held(ledger)
        self.partials = PartialTexts(ledger)
        self.budget = Budget()
        self.reader = Reader(engine, ledger, blobs, self.budget)
        self.writer = Writer(engine.name, ledger, self.held, self.partials, on_lines)
        self.keeper = Keeper(
            self.token, engine, ledger, self.held, self.running, self.budget, self.writer, self.partials, return_early
        )
        self.closing = threading.Event()
        self.intake = Intake(
            self.token, engine, ledger, settings, self.held, self.reader, self.writer, self.running, self.closing
        )
        self.failure: Exception | None = None
        self.settled = threading.Event()  # the model is loaded, or it failed to load
        self.begun = threading.Event()  # a batch was begun since the reader looked
        self.kick = threading.Event()
        self.questions: deque[Question] = deque()
        self.threads = [
            threading.Thread(target=target, name=target.__name__, daemon=True)
            for target in (self.own, self.read_ahead, self.keeper.keep)
        ]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()
        self.settled.wait()
        if self.failure:
            raise self.failure

    def close(self, grace_s: float) -> None:
        """Let the running batch end within `grace_s`, store it, and give everything else back without blame."""
        self.closing.set()
        self.kick.set()
        self.begun.set()
        self.running.is_busy.set()
        self.threads[0].join(grace_s)
        self.writer.close(wait=not self.threads[0].is_alive())
        if claimed := self.held.claimed():
            self.ledger.release(self.token, claimed, blameless=True)
        self.keeper.closed.set()

    # the Celery task's thread

    def wait_for(self, page: PageTask) -> bool:
        """Whether the page has ended, here or elsewhere; False where it has to be prepared again before it can."""
        return self.held.wait_for(page, self.kick)

    def collect(self, page: PageTask) -> None:
        """The page has ended, and its task returns now."""
        self.held.collect(page)

    def ask(self, question: Loaded, image: Image.Image) -> Future[Generation]:
        """Have something asked that is no page of a job, at the next turn; the ledger does not know of it."""
        self.questions.append(asked := Question(question, image))
        self.kick.set()
        return asked.said

    # the owner's thread

    def own(self) -> None:
        try:
            self.engine.load()
        except Exception as exc:
            self.failure = exc
            self.settled.set()
            return
        release_of_the_dead(self.ledger, self.token)
        self.get_ready()
        while not self.closing.is_set():
            try:
                self.kick.clear()  # before the look: what comes after it wakes this thread again
                if self.questions and len(self.running) < self.intake.most:
                    self.run_question(self.questions.popleft())
                    continue
                batch = self.intake.next()
                if batch:
                    self.run_batch(batch)
                elif not self.closing.is_set():
                    self.kick.wait()
            except redis.RedisError as exc:
                logger.warning("Redis is away, the engine waits: %s", exc)
                self.lapse()
                self.closing.wait(1)
            except Exception:
                logger.exception("a batch could not be begun; its pages bear the blame")
                blame(self.ledger, self.token, self.lapse())
                self.closing.wait(1)
        if self.slots:
            self.slots.shutdown()

    def get_ready(self) -> None:
        """The engine is loaded, and tells now how it wants its pages."""
        most = self.intake.most
        self.slots = ThreadPoolExecutor(most, "slot") if takes_single_pages(self.engine) else None
        self.reader.most = max(1, most // READ_AHEAD) if self.slots else most
        self.keeper.loaded.set()
        self.settled.set()

    def lapse(self) -> list[PageTask]:
        """Let the claims go of pages that do not run yet; returns these pages."""
        self.intake.forget()
        return self.held.lapse(self.running.pages())

    def run_batch(self, batch: list[Loaded]) -> None:
        """Generate the batch, in parts where it is too large for the engine's memory.

        Where there are slots, see that its pages are generated, and do not wait for them.
        """
        if self.slots is None:
            for part in self.budget.cut([loaded.prepared for loaded in batch]):
                if not self.closing.is_set():  # `close` gives back what is not begun
                    self.run(self.begin(batch[part]))
            return
        for loaded in batch:
            self.slots.submit(self.run, self.begin([loaded]))

    def begin(self, batch: list[Loaded]) -> Runner:
        started = time.monotonic()
        self.ledger.start([loaded.page for loaded in batch])
        self.writer.later(observe, self.ledger, "batch_pages", len(batch) + (len(self.running) if self.slots else 0))
        runner = Runner(
            self.engine,
            self.ledger,
            batch,
            deadline=started + self.settings.vlm_concurrent_timeout * most_times(batch),
            retry_count=self.settings.vlm_retry_count,
            partials=self.partials,
            budget=self.budget,
            on_end=partial(self.end_page, started, len(batch)),
            image_of=self.reader.image_of,
        )
        self.running.add(runner)
        self.begun.set()
        return runner

    def run_question(self, question: Question) -> None:
        """Ask it, and wait for the answer only where there are no slots."""
        runner = question.begin(self.engine, self.ledger, self.settings, self.partials, self.budget)
        self.running.add(runner)
        if self.slots:
            self.slots.submit(self.finish, question, runner)
        else:
            self.finish(question, runner)

    def finish(self, question: Question, runner: Runner) -> None:
        self.run(runner)
        self.partials.end(question.asked.page)
        question.give_up()

    def run(self, runner: Runner) -> None:
        try:
            runner.run()
        except redis.RedisError as exc:
            logger.warning("Redis is away, a batch is given up: %s", exc)
        except Exception:
            logger.exception("the engine is broken; its process is replaced")
            self.ledger.release(self.token, runner.pages, blameless=False)
            self.writer.close(wait=True)
            os._exit(1)
        self.running.remove(runner)
        for page in runner.pages:
            self.writer.drop(page)
        self.kick.set()

    def end_page(self, started: float, num_pages: int, page: PageTask, generation: Generation, tries: Attempts) -> None:
        """Have the outcome stored of a page whose batch of `num_pages` was started at this time; from any thread."""
        self.writer.save(page, generation, (time.monotonic() - started) / num_pages, tries)

    # the reader's thread

    def read_ahead(self) -> None:
        """At the start of each batch, and then until the next one is complete."""
        while not self.closing.is_set():
            self.running.is_busy.wait()
            self.begun.clear()
            is_complete = self.reader.look()
            self.begun.wait(0.5 if is_complete else 0.1)
