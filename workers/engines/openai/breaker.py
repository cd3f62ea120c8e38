"""A circuit breaker: while the server is down, one request at a time tries it and all others wait.

It opens at the first request that cannot reach the server, or when several requests in a row end in server errors
and they were for different pages: a page that breaks the server alone must not stop the others.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time

from workers.engines.openai.wire import Fault

logger = logging.getLogger(__name__)

MAX_FAULTS = 3  # server errors in a row, of at least two pages
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0


class Breaker:
    """Used in the event loop's thread; `trouble` may be read in any."""

    def __init__(self) -> None:
        self.trouble = ""  # why the breaker is open; empty while it is closed
        self._num_faults = 0
        self._pages: set[int] = set()
        self._next_trial = 0.0  # time.monotonic()
        self._turn = asyncio.Lock()

    async def enter(self) -> bool:
        """Wait until a request may be made; True means that it is the trial, after which `leave_trial` is due."""
        if not self.trouble:
            return False
        await self._turn.acquire()
        try:
            while self.trouble and (pause_s := self._next_trial - time.monotonic()) > 0:
                await asyncio.sleep(min(pause_s, 0.1))  # an earlier request may still come back well
            is_trial = bool(self.trouble)
        except asyncio.CancelledError:
            self._turn.release()
            raise
        if not is_trial:
            self._turn.release()
        return is_trial

    def leave_trial(self) -> None:
        self._turn.release()

    def succeed(self) -> None:
        if self.trouble:
            logger.info("the model server answers again")
        self.trouble = ""
        self._num_faults = 0
        self._pages.clear()

    def fail(self, fault: Fault, page_number: int) -> None:
        """Note a request for the page (1-based; 0 for a look at the server) that ended in `fault`."""
        if fault.is_answer:
            self.succeed()
        if not fault.blames_server:
            return
        self._num_faults += 1
        self._pages.add(page_number)
        if not (self.trouble or fault.away or (self._num_faults >= MAX_FAULTS and len(self._pages) > 1)):
            return
        if not self.trouble:
            logger.warning("pages wait for the model server: %s", fault)
        self.trouble = str(fault)
        pause_s = FIRST_PAUSE_S * 2.0 ** min(self._num_faults - 1, 10)
        pause_s = min(LONGEST_PAUSE_S, pause_s) * random.uniform(0.5, 1.0)
        self._next_trial = time.monotonic() + max(pause_s, fault.retry_after_s or 0.0)
