"""What an engine is asked besides the pages of jobs. It waits in a worker's memory; the ledger knows nothing of it."""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass, field

from PIL import Image

from tasks.generate.budget import Budget
from tasks.generate.partials import PartialTexts
from tasks.generate.runner import Loaded, Runner
from tasks.ledger import Ledger
from tasks.ledger.records import Attempts
from tasks.messages import PageTask
from tasks.settings import Settings
from workers.engines import Engine, Generation


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask with an image; its page is none of the job's. `said` is what comes of it."""

    asked: Loaded
    image: Image.Image
    said: Future[Generation] = field(default_factory=Future)

    def begin(
        self, engine: Engine, ledger: Ledger, settings: Settings, partials: PartialTexts, budget: Budget
    ) -> Runner:
        """What runs it from now on, within the time that a page has."""
        return Runner(
            engine,
            ledger,
            [self.asked],
            deadline=time.monotonic() + settings.vlm_concurrent_timeout,
            retry_count=settings.vlm_retry_count,
            partials=partials,
            budget=budget,
            on_end=self.end,
            image_of=self.image_of,
        )

    def image_of(self, _: PageTask) -> Image.Image:
        return self.image

    def end(self, _: PageTask, generation: Generation, __: Attempts) -> None:
        self.said.set_result(generation)

    def give_up(self) -> None:
        """Say `cancelled` where nothing came of it, so that it is asked again."""
        if not self.said.done():
            self.said.set_result(Generation(text="", stop_reason="cancelled"))
