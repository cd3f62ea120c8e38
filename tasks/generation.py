"""Calls the engine so that one bad page, or a bad moment, costs no other page anything."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from tasks.ledger import Ledger
from tasks.messages import PageTask
from tasks.metrics import count
from tasks.outcomes import attempt_record
from tasks.partials import PartialTexts
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

logger = logging.getLogger(__name__)

HOTTER = 0.3  # added to the temperature with each new try at a page that looped


@dataclass(frozen=True, slots=True)
class Loaded:
    """A claimed page with what the engine needs of it."""

    page: PageTask
    starts: int
    bucket: str
    prepared: Prepared


class Ends:
    """Pages of a batch that need no more work; each is passed to `on_end` once, from whatever thread says it first."""

    def __init__(self, on_end: Callable[[PageTask, Generation], None]) -> None:
        self.outcomes: dict[PageTask, Generation] = {}
        self._on_end = on_end
        self._lock = threading.Lock()

    def add(self, page: PageTask, generation: Generation) -> None:
        with self._lock:
            if page in self.outcomes:
                return
            self.outcomes[page] = generation
        self._on_end(page, generation)

    def add_row(self, pages: Sequence[PageTask], row: int, generation: Generation) -> None:
        """A row of a try has ended; in another way than these, what becomes of its page is seen at the end."""
        if generation.stop_reason in ("stop", "cancelled"):
            self.add(pages[row], generation)


class Runner:
    """Used by the owner's thread; `running` tells the others which pages the engine works on now, and how to stop them.

    `tries` collects what came to nothing for each page, until its outcome is stored; `partials` has what the engine
    has said so far.
    """

    def __init__(self, engine: Engine, ledger: Ledger, retry_count: int) -> None:
        self.engine, self.ledger, self.retry_count = engine, ledger, retry_count
        self.running: tuple[list[PageTask], Control] | None = None
        self.ends = Ends(lambda *_: None)
        self.tries: dict[PageTask, list[dict[str, Any]]] = {}
        self.partials = PartialTexts(ledger)

    def generate(self, batch: list[Loaded], deadline: float, ends: Ends) -> None:
        """Add each page to `ends` as soon as it is sure what it came to.

        Errors are isolated by halving the batch; looping pages are tried again, hotter.
        """
        self.ends = ends
        generations = self.generate_isolated(batch, deadline)
        for number in range(1, max(2, self.retry_count)):
            looping = [row for row, generation in enumerate(generations) if generation.stop_reason == "repetition"]
            if not looping:
                break
            self.note_try([batch[row] for row in looping], "repetition")
            again = self.generate_isolated([hotter(batch[row], number * HOTTER) for row in looping], deadline)
            for row, generation in zip(looping, again, strict=True):
                if generation.stop_reason in ("stop", "repetition", "cancelled"):
                    generations[row] = generation
        for loaded, generation in zip(batch, generations, strict=True):
            ends.add(loaded.page, generation)

    def generate_isolated(self, batch: list[Loaded], deadline: float) -> list[Generation]:
        try:
            return self.generate_patiently(batch, deadline)
        except EngineBroken:
            raise
        except Exception as exc:
            if len(batch) > 1:
                logger.warning("a batch of %d pages failed and is halved: %r", len(batch), exc)
                self.note_try(batch, type(exc).__name__)
                middle = len(batch) // 2
                halves = batch[:middle], batch[middle:]
                return [generation for half in halves for generation in self.generate_isolated(half, deadline)]
            logger.warning("job %s page %d failed", batch[0].page.job_id, batch[0].page.page_number, exc_info=True)
            reason = str(exc) if isinstance(exc, EngineError) else f"{type(exc).__name__}: {exc}"
            return [Generation(text="", stop_reason="error", error=reason)]

    def generate_patiently(self, batch: list[Loaded], deadline: float) -> list[Generation]:
        """Try again what is transient, with back-off; a batch that is too large is not tried again, it is halved."""
        for attempt in Retrying(
            retry=retry_if_exception_type(TransientEngineError),
            stop=stop_after_attempt(max(1, self.retry_count)),
            wait=wait_random_exponential(multiplier=0.1, max=10),
            reraise=True,
        ):
            with attempt:
                try:
                    return self.generate_once(batch, deadline)
                except OutOfMemory as exc:
                    if len(batch) > 1:
                        raise EngineError("the batch is too large for the engine's memory") from exc
                    raise
                except TransientEngineError as exc:
                    self.note_try(batch, str(exc))
                    raise
        raise AssertionError("tenacity returns or raises")

    def generate_once(self, batch: Sequence[Loaded], deadline: float) -> list[Generation]:
        left = [loaded for loaded in batch if loaded.page not in self.ends.outcomes]
        pages = [loaded.page for loaded in left]
        on_text, on_done = self.partials.begin(pages), partial(self.ends.add_row, pages)
        control = Control(deadline=deadline, on_text=on_text, on_done=on_done)
        self.running = pages, control
        generations = self.engine.generate([loaded.prepared for loaded in left], control) if left else []
        outcomes = dict(zip(pages, generations, strict=True)) | self.ends.outcomes
        return [outcomes[loaded.page] for loaded in batch]

    def note_try(self, batch: Sequence[Loaded], reason: str) -> None:
        """Remember for the pages' records a try that came to nothing."""
        pages = [loaded.page for loaded in batch if loaded.page not in self.ends.outcomes]
        count(self.ledger, "retries", len(pages), reason=reason[:40])
        for page in pages:
            self.tries.setdefault(page, []).append(attempt_record(self.engine.name, 0.0, reason))


def hotter(loaded: Loaded, temperature: float) -> Loaded:
    request = replace(loaded.prepared.request, temperature=max(temperature, loaded.prepared.request.temperature))
    return replace(loaded, prepared=replace(loaded.prepared, request=request))
