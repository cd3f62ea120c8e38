"""Keeps claims alive while an engine works, passes on cancellations and partial texts, and reports the worker."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Set

import redis
from kombu.exceptions import OperationalError

from tasks.generate.budget import Budget
from tasks.generate.facts import engine_facts
from tasks.generate.held import Held
from tasks.generate.partials import PartialTexts
from tasks.generate.served import engine_report, most_pages, observe_requests
from tasks.generate.watchdog import Running
from tasks.generate.writer import Writer
from tasks.lanes import own_lane, queue_of
from tasks.ledger import Ledger, UnknownJob
from tasks.messages import PageTask
from tasks.metrics import count
from tasks.settings import get_settings
from workers.engines import Engine

logger = logging.getLogger(__name__)

CLAIM_S = 4.0  # a claim lapses after this long without renewal
OVERDUE_S = 0.5  # an ended page waits this long for its task
RENEW_S = 0.5  # how often claims are renewed, and how fast a cancellation reaches the engine


class Keeper:
    """What the keeper's thread does, every RENEW_S, until `closed`."""

    def __init__(
        self,
        token: str,
        engine: Engine,
        ledger: Ledger,
        held: Held,
        running: Running,
        budget: Budget,
        writer: Writer,
        partials: PartialTexts,
        return_early: Callable[[PageTask], None],
    ) -> None:
        self.token, self.engine, self.ledger = token, engine, ledger
        self.held, self.running, self.budget, self.writer, self.partials = held, running, budget, writer, partials
        self.return_early, self.queue = return_early, queue_of(own_lane())
        self.loaded, self.closed = threading.Event(), threading.Event()

    def keep(self) -> None:
        while not self.closed.wait(RENEW_S):
            self.writer.later(self.return_overdue)
            claimed = self.held.claimed()
            try:
                if claimed:
                    lost = self.ledger.renew(self.token, claimed, ttl_s=CLAIM_S)
                    self.stop_rows({claimed[place] for place in lost})
                self.partials.flush()
                if self.loaded.is_set():
                    self.report()
            except redis.RedisError as exc:
                logger.warning("claims could not be renewed: %s", exc)
            except Exception:  # whatever an engine's report raises must not cost the claims
                logger.exception("the keeper goes on after this")

    def report(self) -> None:
        facts = engine_facts(self.engine) | self.running.pace() | engine_report(self.engine)
        facts |= {"batch_tokens": self.budget.most, "holds": most_pages(self.engine, get_settings().gpu_batch_pages)}
        busy = self.running.busy_ratio()
        self.ledger.report_alive(self.queue, self.token, engine=self.engine.name, busy=busy, **facts)
        observe_requests(self.engine, self.ledger)

    def stop_rows(self, pages: Set[PageTask]) -> None:
        """Stop the rows of these pages, all at once; a page whose job goes on was taken by another process."""
        for page in self.running.stop(pages):
            if self.ledger.look(page) is not None:
                logger.warning("job %s page %d: the claim was lost", page.job_id, page.page_number)
                count(self.ledger, "claims_lost")

    def return_overdue(self) -> None:
        """See to ended pages whose tasks stand behind one that waits; in the writer's thread."""
        for page in self.held.overdue(OVERDUE_S):
            self.held.collect(page)
            try:
                self.return_early(page)
            except (redis.RedisError, OperationalError, UnknownJob) as exc:
                logger.warning("job %s page %d waits for its task: %s", page.job_id, page.page_number, exc)


def blame(ledger: Ledger, token: str, pages: list[PageTask]) -> None:
    """Give claims back as if the process had died of these pages, so that they cannot come back for ever."""
    try:
        ledger.start(pages)
        ledger.release(token, pages, blameless=False)
    except Exception as exc:
        logger.warning("the claims were not given back, they lapse by themselves: %r", exc)


def release_of_the_dead(ledger: Ledger, token: str) -> None:
    """Free what the process held that this one replaces, rather than wait until the claims lapse.

    A worker has one such process at a time, so whoever else claimed pages in its name is dead.
    """
    try:
        num_pages = ledger.release_others(token)
    except redis.RedisError as exc:
        logger.warning("Redis is away, the claims of the process before this lapse by themselves: %s", exc)
    else:
        if num_pages:
            logger.warning("%d pages were under way in the process before this", num_pages)
