"""The client of the `openai` engine: attempts at a page, and which of the servers each of them goes to.

A page has its whole time for its first attempt; one that failed is tried again where there is as much time left as it
took. While every server is down, pages wait for one, see breaker.py; a request that found its server down is no
attempt. Images are encoded in a small thread pool, never in the event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential, wait_random

from workers.engines import Generation, Prepared
from workers.engines.openai.options import OpenAIOptions
from workers.engines.openai.server import Server
from workers.engines.openai.wire import Fault, request_body
from workers.engines.options import json_object
from workers.engines.profiles import Profile

MOST_REFUSED = 32
NOT_STRUCTURED = ("http_400", "http_422", "http_501")  # of servers that take no schema, or not this one
NUM_CODERS = 2  # threads that encode and read
BACK_OFF = wait_exponential(multiplier=0.25, max=20.0) + wait_random(0.0, 0.25)
MAX_NOTES = 10_000  # requests and pages remembered until someone takes the notes


@dataclass(slots=True)
class Call:
    """One page under way: when its time is over (time.monotonic()), and what it came to nothing by, last.

    `text` is what the server has said so far; `on_text` is told of it.
    """

    prepared: Prepared
    on_text: Callable[[str], None] | None = None
    ends: float = float("inf")
    fault: Fault | None = None
    text: str = ""
    tried: Server | None = None

    @property
    def page_number(self) -> int:
        return self.prepared.request.page_number

    def tell(self, text: str) -> None:
        self.text = text
        if self.on_text:
            self.on_text(text)


class Client:
    """Used in one event loop; its counters and `trouble` may be read in any thread.

    `requests` holds outcome and seconds of every request, until someone takes them. Raises httpx.InvalidURL for an
    address and EngineError for other options that cannot be used.
    """

    def __init__(self, options: OpenAIOptions, profile: Profile) -> None:
        self.model, self.profile = options.model, profile
        self.extra = json_object("OPENAI_EXTRA_BODY", options.extra_body)
        self.num_attempts = max(1, options.retry_count)
        self.requests: deque[tuple[str, float]] = deque(maxlen=MAX_NOTES)
        self.refused: deque[str] = deque(maxlen=MOST_REFUSED)  # schemas without which it answers
        self._coders = ThreadPoolExecutor(NUM_CODERS, thread_name_prefix="openai-coder")
        self.servers = [Server(url, options, self._coders) for url in options.base_urls]

    @property
    def in_flight(self) -> int:
        return sum(server.in_flight for server in self.servers)

    @property
    def trouble(self) -> str:
        """Why pages wait; empty as long as one server is well."""
        troubles = [server.breaker.trouble for server in self.servers]
        return "" if not all(troubles) else troubles[0]

    async def ask_patiently(self, call: Call) -> Generation:
        """All attempts at a page; a server that takes no schema is asked without. Raises the last one's Fault."""
        schema = call.prepared.request.schema
        if schema in self.refused:
            return await self._ask(call, structured=False)
        try:
            return await self._ask(call, structured=True)
        except Fault as fault:
            if not schema or fault.kind not in NOT_STRUCTURED:
                raise
        generation = await self._ask(call, structured=False)
        self.refused.append(schema)
        return generation

    async def _ask(self, call: Call, *, structured: bool) -> Generation:
        body = await asyncio.get_running_loop().run_in_executor(
            self._coders,
            lambda: request_body(call.prepared, self.model, self.profile, self.extra, structured=structured),
        )
        async for attempt in AsyncRetrying(
            retry=retry_if_exception(lambda exc: isinstance(exc, Fault) and exc.transient),
            stop=lambda state: state.attempt_number >= self.num_attempts or _is_late(state, call),
            wait=_pause_s,
            reraise=True,
        ):
            with attempt:
                return await self._attempt(call, body)
        raise AssertionError("tenacity returns or raises")

    async def _attempt(self, call: Call, body: bytes) -> Generation:
        """One attempt; as long as the server is down it begins anew, with another if there is one."""
        while True:
            server = choose(self.servers, call.tried)
            call.tried = server
            is_trial = await server.breaker.enter()
            try:
                if call.fault is not None and not call.fault.away:
                    call.fault = None
                generation = await self._request(server, call, body)
            except Fault as fault:
                call.fault = fault
                server.breaker.fail(fault, call.page_number)
                if not (fault.away or (is_trial and fault.blames_server)):
                    raise
            else:
                server.breaker.succeed()
                return generation
            finally:
                if is_trial:
                    server.breaker.leave_trial()

    async def _request(self, server: Server, call: Call, body: bytes) -> Generation:
        """One request, counted. Raises Fault."""
        started, outcome = time.monotonic(), ""
        call.text = ""
        try:
            generation = await server.exchange(body, call.tell)
            outcome = generation.stop_reason
            return generation
        except Fault as fault:
            outcome = fault.kind
            fault.seconds = time.monotonic() - started
            raise
        except asyncio.CancelledError:
            outcome = "timeout" if time.monotonic() >= call.ends else "cancelled"
            raise
        finally:
            self.requests.append((outcome, time.monotonic() - started))

    async def look(self, *, only_troubled: bool) -> None:
        """Ask the servers how they are, all at once."""
        asked = [server for server in self.servers if server.breaker.trouble or not only_troubled]
        await asyncio.gather(*(server.look() for server in asked))

    async def close(self) -> None:
        for server in self.servers:
            await server.close()
        self._coders.shutdown()


def choose(servers: Sequence[Server], tried: Server | None) -> Server:
    """The server that is well and has the least to do, rather than the one that was tried last."""
    return min(servers, key=lambda server: (bool(server.breaker.trouble), server is tried, server.in_flight))


def _told_s(state: RetryCallState) -> float | None:
    """Seconds for which the server asked to be left alone."""
    fault = state.outcome.exception() if state.outcome else None
    return fault.retry_after_s if isinstance(fault, Fault) else None


def _pause_s(state: RetryCallState) -> float:
    """Seconds before the next attempt: what the server asked for, else longer each time, with jitter."""
    told_s = _told_s(state)
    return BACK_OFF(state) if told_s is None else told_s


def _is_late(state: RetryCallState, call: Call) -> bool:
    """Whether the page has not as much time left as the failed attempt took, and as the server asked for."""
    fault = state.outcome.exception() if state.outcome else None
    took_s = fault.seconds if isinstance(fault, Fault) else 0.0
    return time.monotonic() + max(_told_s(state) or 0.0, took_s) >= call.ends
