"""Calls the engine so that one bad page, or a bad moment, costs no other page anything."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from PIL import Image
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from tasks.generate.budget import Budget
from tasks.generate.partials import PartialTexts
from tasks.ledger import Ledger
from tasks.ledger.records import Attempts
from tasks.messages import PageTask
from tasks.metrics import count
from tasks.page_end import attempt_record
from workers.engines import (
    Control,
    Engine,
    EngineBroken,
    EngineError,
    Generation,
    OutOfMemory,
    Prepared,
    TransientEngineError,
)
from workers.reading.large import LargePage
from workers.reading.second_look import read_all

logger = logging.getLogger(__name__)

IMAGES_A_TIME = 8  # in which an engine that is not too slow for pages reads as many tiles
HOTTER = 0.3  # added to the temperature with each new try at a page that looped


@dataclass(frozen=True, slots=True)
class Loaded:
    """A claimed page with what the engine needs of it."""

    page: PageTask
    starts: int
    bucket: str
    prepared: Prepared


def no_image(_: PageTask) -> Image.Image | None:
    return None


class Runner:
    """One batch on its way through the engine; `stop` may be called from any thread.

    `on_end` is called once for each page, from any thread, as soon as it is sure what the page came to, with what came
    to nothing before. `image_of` gives a page as people see it, for a page that the engine does not have as an image.
    """

    def __init__(
        self,
        engine: Engine,
        ledger: Ledger,
        batch: Sequence[Loaded],
        *,
        deadline: float,
        retry_count: int,
        partials: PartialTexts,
        budget: Budget,
        on_end: Callable[[PageTask, Generation, Attempts], None],
        image_of: Callable[[PageTask], Image.Image | None] = no_image,
    ) -> None:
        self._image_of = image_of
        self.engine, self.ledger, self.batch = engine, ledger, list(batch)
        self.deadline, self.retry_count = deadline, retry_count
        self.outcomes: dict[PageTask, Generation] = {}
        self._partials, self._budget, self._on_end = partials, budget, on_end
        self._too_large: list[list[Loaded]] = []
        self._tries: dict[PageTask, list[dict[str, Any]]] = {}
        self._running: tuple[list[PageTask], Control] = [], Control()
        self._lock = threading.Lock()

    @property
    def pages(self) -> list[PageTask]:
        """Those that have not ended."""
        return [loaded.page for loaded in self.batch if loaded.page not in self.outcomes]

    def stop(self, pages: Set[PageTask]) -> list[PageTask]:
        """Stop the rows of these pages, all at once; returns those that were not stopped before."""
        rows, control = self._running
        stopped = [row for row, page in enumerate(rows) if page in pages and row not in control.cancelled]
        control.cancelled.update(stopped)
        return [rows[row] for row in stopped]

    def run(self) -> None:
        """Errors are isolated by halving the batch; looping pages are tried again, hotter. Raises EngineBroken."""
        generations = self.generate_isolated(self.batch)
        self.learn_sizes()
        for number in range(1, max(2, self.retry_count)):
            looping = [row for row, generation in enumerate(generations) if generation.stop_reason == "repetition"]
            if not looping:
                break
            self.note_try([self.batch[row] for row in looping], "repetition")
            again = self.generate_isolated([hotter(self.batch[row], number * HOTTER) for row in looping])
            for row, generation in zip(looping, again, strict=True):
                if generation.stop_reason in ("stop", "repetition", "cancelled"):
                    generations[row] = generation
        for loaded, generation in zip(self.batch, generations, strict=True):
            self.end(loaded.page, generation)

    def end(self, page: PageTask, generation: Generation) -> None:
        with self._lock:
            if page in self.outcomes:
                return
            self.outcomes[page] = generation
        self._on_end(page, generation, self._tries.get(page, []))

    def end_row(self, pages: Sequence[PageTask], row: int, generation: Generation) -> None:
        """A row of a try at `pages` has ended; in other ways than these, there may be another try."""
        if generation.stop_reason in ("stop", "cancelled"):
            self.end(pages[row], generation)

    def generate_isolated(self, batch: Sequence[Loaded]) -> list[Generation]:
        try:
            return self.generate_patiently(batch)
        except EngineBroken:
            raise
        except Exception as exc:
            if len(batch) > 1:
                logger.warning("a batch of %d pages failed and is halved: %r", len(batch), exc)
                self.note_try(batch, type(exc).__name__)
                middle = len(batch) // 2
                halves = batch[:middle], batch[middle:]
                return [generation for half in halves for generation in self.generate_isolated(half)]
            logger.warning("job %s page %d failed", batch[0].page.job_id, batch[0].page.page_number, exc_info=True)
            reason = str(exc) if isinstance(exc, EngineError) else f"{type(exc).__name__}: {exc}"
            return [Generation(text="", stop_reason="error", error=reason)]

    def generate_patiently(self, batch: Sequence[Loaded]) -> list[Generation]:
        """Try again what is transient, with back-off; a batch that is too large is not tried again, it is halved."""
        for attempt in Retrying(
            retry=retry_if_exception_type(TransientEngineError),
            stop=stop_after_attempt(max(1, self.retry_count)),
            wait=wait_random_exponential(multiplier=0.1, max=10),
            reraise=True,
        ):
            with attempt:
                try:
                    return self.generate_once(batch)
                except OutOfMemory as exc:
                    if len(batch) > 1:
                        raise EngineError("the batch is too large for the engine's memory") from exc
                    raise
                except TransientEngineError as exc:
                    self.note_try(batch, str(exc))
                    raise
        raise AssertionError("tenacity returns or raises")

    def generate_once(self, batch: Sequence[Loaded]) -> list[Generation]:
        left = [loaded for loaded in batch if loaded.page not in self.outcomes]
        pages = [loaded.page for loaded in left]
        on_text, on_done = self._partials.begin(pages), partial(self.end_row, pages)
        control = Control(deadline=self.deadline, on_text=on_text, on_done=on_done)
        self._running = pages, control
        try:
            generations = self.read(left, control) if left else []
        except OutOfMemory:
            self._too_large.append(left)
            raise
        self._budget.note_fit([loaded.prepared for loaded in left])
        outcomes = dict(zip(pages, generations, strict=True)) | self.outcomes
        return [outcomes[loaded.page] for loaded in batch]

    def read(self, batch: Sequence[Loaded], control: Control) -> list[Generation]:
        def image_of(row: int) -> Image.Image | None:
            return self._image_of(batch[row].page)

        return read_all(self.engine, [loaded.prepared for loaded in batch], control, image_of)

    def learn_sizes(self) -> None:
        """What did not fit because of its size is to be smaller; a page that does not fit alone says nothing of it."""
        alone = {left[0].page for left in self._too_large if len(left) == 1}
        for left in self._too_large:
            if len(left) > 1 and alone.isdisjoint(loaded.page for loaded in left):
                self._budget.note_failure([loaded.prepared for loaded in left])

    def note_try(self, batch: Sequence[Loaded], reason: str) -> None:
        """Remember for the pages' records a try that came to nothing."""
        pages = [loaded.page for loaded in batch if loaded.page not in self.outcomes]
        count(self.ledger, "retries", len(pages), reason=reason[:40])
        for page in pages:
            self._tries.setdefault(page, []).append(attempt_record(self.engine.name, 0.0, reason))


def most_times(batch: Sequence[Loaded]) -> float:
    """What a page's time is multiplied by: a large page has as much for every few images that it is as large as."""
    large = [loaded.prepared.work for loaded in batch if isinstance(loaded.prepared, LargePage)]
    return max(1.0, max(large, default=0) / IMAGES_A_TIME)


def hotter(loaded: Loaded, temperature: float) -> Loaded:
    request = replace(loaded.prepared.request, temperature=max(temperature, loaded.prepared.request.temperature))
    return replace(loaded, prepared=replace(loaded.prepared, request=request))
