"""Reads the pages that will be next while the engine works, and has their batch brought to its device."""

from __future__ import annotations

import logging

import redis
from PIL import Image

from tasks.blobs import IMAGE, PACKED, BlobMissing, Blobs, page_key
from tasks.generate.budget import Budget
from tasks.lanes import own_lane
from tasks.ledger import Ledger, UnknownJob
from tasks.messages import PageTask
from tasks.runs import load_run
from workers.engines import Engine, EngineError, Prepared, StagingEngine
from workers.png import open_png
from workers.reading.large import LargePage, unpack

logger = logging.getLogger(__name__)


class Reader:
    """One thread calls `look` now and then, another takes what was read; nothing is claimed."""

    def __init__(self, engine: Engine, ledger: Ledger, blobs: Blobs, budget: Budget) -> None:
        self.engine, self.ledger, self.blobs, self.budget = engine, ledger, blobs, budget
        self.most = 1  # pages that are read ahead; the engine says how many once it is loaded
        self.ahead: dict[PageTask, Prepared] = {}
        self.staged: list[Prepared] = []

    def take(self, page: PageTask) -> Prepared:
        """What the engine needs of the page. Raises BlobMissing, UnknownJob, EngineError, OSError or ValueError."""
        return self.ahead.pop(page, None) or self.read(page)

    def look(self) -> bool:
        """Read the pages whose turn it is now, as far as they have not been; stage them where they fill a batch.

        Whether they do.
        """
        try:
            coming = self.ledger.peek(self.most, own_lane())
            for page in coming:
                if page not in self.ahead:
                    self.ahead[page] = self.read(page)
            for page in set(self.ahead) - set(coming):
                self.ahead.pop(page, None)
            self.stage([prepared for page in sorted(coming, key=place) if (prepared := self.ahead.get(page))])
            return len(coming) == self.most
        except (BlobMissing, UnknownJob, EngineError, redis.RedisError, OSError, ValueError) as exc:
            logger.debug("not read ahead: %r", exc)
            return False
        except Exception:  # for the owner to meet, page by page
            logger.warning("not read ahead", exc_info=True)
            return False

    def stage(self, batch: list[Prepared]) -> None:
        """Where the batch is full: all of it, or the first part where it is too large for the engine's memory."""
        if len(batch) != self.most or not isinstance(self.engine, StagingEngine):
            return
        first = batch[next(self.budget.cut(batch))]
        is_plain = not any(isinstance(page, LargePage) for page in first)
        if is_plain and list(map(id, first)) != list(map(id, self.staged)):
            self.engine.stage(first)
            self.staged = first

    def read(self, page: PageTask) -> Prepared:
        """The page as the engine wants it: the packed tensors if they are there, else made anew of its image."""
        request = load_run(page.job_id, page.run).request(page.index)
        try:
            return unpack(self.engine, self.blobs.read(page_key(page.job_id, page.index, PACKED)), request)
        except BlobMissing:
            image = open_png(self.blobs.read(page_key(page.job_id, page.index, IMAGE)))
            return self.engine.prepare(image.convert(self.engine.image_spec.mode), request)

    def image_of(self, page: PageTask) -> Image.Image | None:
        """The page as people see it; None where it is gone."""
        try:
            image = open_png(self.blobs.read(page_key(page.job_id, page.index, IMAGE)))
            return image.convert(self.engine.image_spec.mode)
        except (BlobMissing, OSError):
            return None


def place(page: PageTask) -> tuple[str, int]:
    """Puts the pages of a batch in one order, so that the batch that was staged is the one that is generated."""
    return page.job_id, page.index
