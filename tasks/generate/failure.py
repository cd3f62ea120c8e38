"""What becomes of a GPU worker's process whose engine does not load: it says so, and the next one tries again."""

from __future__ import annotations

import logging
import os
import time
from contextlib import closing
from typing import NoReturn

import redis

from tasks.lanes import own_lane, queue_of, queues
from tasks.ledger import Ledger, connect
from workers.engines import EngineError, TransientEngineError

logger = logging.getLogger(__name__)

NEVER_LOADS = "cannot be loaded"
AGAIN_S = 5.0  # the parent starts a new process at once


def give_up(exc: Exception, ledger: Ledger, *, engine: str, worker: str) -> NoReturn:
    """Log why, tell /readyz that there is a reason, and end the process after AGAIN_S."""
    says = describe(exc, engine)
    logger.error("%s: %s", says, exc, exc_info=exc)
    try:
        report_failure(ledger, worker, says)
    except redis.RedisError as away:
        logger.warning("nobody is told: %s", away)
    time.sleep(AGAIN_S)
    os._exit(1)


def describe(exc: Exception, engine: str) -> str:
    """One sentence for everybody, so without the reason, which may name folders."""
    is_final = isinstance(exc, EngineError | ImportError) and not isinstance(exc, TransientEngineError)
    what = NEVER_LOADS if is_final else "failed to load and is tried again"
    return f"the engine {engine} {what}, its worker's log says why"


def report_failure(ledger: Ledger, worker: str, says: str) -> None:
    ledger.report_alive(queue_of(own_lane()), f"{worker}:failed", trouble=says, is_loaded=False)


def forget_failure(ledger: Ledger, worker: str) -> None:
    """The worker stops: whoever starts one now, with other settings perhaps, is not to hear of it."""
    try:
        ledger.forget_worker(queue_of(own_lane()), f"{worker}:failed")
    except redis.RedisError as exc:
        logger.info("a failure is remembered for some seconds: %s", exc)


def forget_workers(redis_url: str) -> None:
    """A Redis was just started that may know of workers from before: none of them lives, whatever they said last."""
    with closing(connect(redis_url)) as client:
        Ledger(client).forget_workers(queues())
