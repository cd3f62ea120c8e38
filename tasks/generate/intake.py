"""Which pages an engine is given next: claimed in the ledger, read, and put together as the engine wants them."""

from __future__ import annotations

import logging
import threading

import redis

from tasks.blobs import BlobMissing
from tasks.generate.held import Held
from tasks.generate.keeper import CLAIM_S
from tasks.generate.read_ahead import Reader, place
from tasks.generate.runner import Loaded
from tasks.generate.served import ServedEngine, most_pages, takes_single_pages
from tasks.generate.watchdog import Running
from tasks.generate.writer import Writer
from tasks.lanes import own_lane
from tasks.ledger import Ledger, UnknownJob
from tasks.ledger.records import Claimed
from tasks.page_end import attempt_record
from tasks.settings import Settings
from workers.engines import Engine

logger = logging.getLogger(__name__)


class Intake:
    """Used by the thread that owns the engine. `closing` ends a wait for pages that would fill a batch."""

    def __init__(
        self,
        token: str,
        engine: Engine,
        ledger: Ledger,
        settings: Settings,
        held: Held,
        reader: Reader,
        writer: Writer,
        running: Running,
        closing: threading.Event,
    ) -> None:
        self.token, self.engine, self.ledger, self.settings = token, engine, ledger, settings
        self.held, self.reader, self.writer, self.running, self.closing = held, reader, writer, running, closing
        self._suspect: Loaded | None = None  # claimed, and to run alone
        self._is_alone = False  # what runs

    @property
    def most(self) -> int:
        """Most pages that the engine takes now; it may learn that there is memory for fewer."""
        return most_pages(self.engine, self.settings.gpu_batch_pages)

    def next(self) -> list[Loaded]:
        """The pages of the next batch, or those that join the ones that run; none where there is nothing to do."""
        return self._single_pages() if takes_single_pages(self.engine) else self._batch()

    def forget(self) -> None:
        """Claims have lapsed."""
        self._suspect = None

    def _batch(self) -> list[Loaded]:
        most = self.most
        batch = self._claim(most)
        if batch and not is_suspect(batch) and len(batch) < most:
            self.closing.wait(self.settings.gpu_batch_wait_ms / 1000)
            batch += self._claim(most - len(batch), company_of=batch[0])
        return sorted(batch, key=lambda loaded: place(loaded.page))

    def _single_pages(self) -> list[Loaded]:
        """A page that was under way when a process died waits until no other runs, and none joins it."""
        num_running = len(self.running)
        self._is_alone = self._is_alone and num_running > 0
        num_free = self.most - num_running
        batch = self._claim(num_free) if num_free > 0 and not (self._suspect or self._is_alone) else []
        if is_suspect(batch) and not isinstance(self.engine, ServedEngine):
            self._suspect = batch.pop()
        if self._suspect and not num_running:
            batch, self._suspect, self._is_alone = [self._suspect], None, True
        return batch

    def _claim(self, most: int, *, company_of: Loaded | None = None) -> list[Loaded]:
        """Claim and read up to `most` pages; as company of another page, none that must run alone."""
        want = () if company_of else self.held.wanted()
        bucket = company_of.bucket if company_of else None
        claims = self.ledger.take(self.token, most=most, ttl_s=CLAIM_S, want=want, bucket=bucket, lane=own_lane())
        self.held.claim(claim.task for claim in claims)
        return [loaded for claim in claims if (loaded := self._load(claim)) is not None]

    def _load(self, claim: Claimed) -> Loaded | None:
        """What the engine needs of a claimed page; None where it cannot run, and then its outcome is on its way."""
        page = claim.task
        if claim.starts >= self.settings.poison_limit:
            attempts = [attempt_record(self.engine.name, 0.0, "process died")] * claim.starts
            self.writer.fail(page, "poison", attempts=attempts)
            return None
        try:
            prepared = self.reader.take(page)
        except (BlobMissing, UnknownJob) as exc:
            logger.warning("job %s page %d must be prepared again: %r", page.job_id, page.page_number, exc)
            self.ledger.move(page, "queued")
            self.writer.drop(page)
            return None
        except redis.RedisError:
            raise
        except Exception as exc:  # of the engine or of an image library, for this page only
            logger.warning("job %s page %d could not be read", page.job_id, page.page_number, exc_info=True)
            self.writer.fail(page, "internal", f"The prepared page could not be read ({exc}); retry it.")
            return None
        return Loaded(page, claim.starts, claim.bucket, prepared)


def is_suspect(batch: list[Loaded]) -> bool:
    """Whether this is a page that was under way when a process died; the ledger gives out such a page alone."""
    return len(batch) == 1 and batch[0].starts > 0
