"""The one client of the `openai` engine: attempts at a page, and how the server is doing.

An attempt that is not the last takes at most half of the time the page has left, so that a request the server lost is
tried again. While the server is down, pages wait for it, see breaker.py; a request that found it down is no
attempt. Images are encoded and answers read in a small thread pool, never in the event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential, wait_random

from workers.engines import Generation, Prepared
from workers.engines.openai.breaker import Breaker
from workers.engines.openai.options import OpenAIOptions
from workers.engines.openai.wire import Fault, fault_of_status, fault_of_transport, read_answer, request_body
from workers.engines.profiles import Profile

T = TypeVar("T")

CONNECT_S = 10.0
KEEPALIVE_S = 4.0  # below the 5 s after which uvicorn, under vLLM and SGLang, closes an idle connection
NUM_CODERS = 2  # threads that encode and read
BACK_OFF = wait_exponential(multiplier=0.25, max=20.0) + wait_random(0.0, 0.25)
MAX_NOTES = 10_000  # requests and pages remembered until someone takes the notes


@dataclass(slots=True)
class Call:
    """One page under way: when its time is over (time.monotonic()), and what it came to nothing by, last."""

    prepared: Prepared
    ends: float = float("inf")
    fault: Fault | None = None

    @property
    def page_number(self) -> int:
        return self.prepared.request.page_number


class Client:
    """Used in one event loop; its counters and `breaker.trouble` may be read in any thread.

    `requests` holds outcome and seconds of every request, until someone takes them. Raises httpx.InvalidURL.
    """

    def __init__(self, options: OpenAIOptions, profile: Profile) -> None:
        self.model, self.profile = options.model, profile
        self.num_attempts = max(1, options.retry_count)
        self.in_flight = 0
        self.requests: deque[tuple[str, float]] = deque(maxlen=MAX_NOTES)
        self.breaker = Breaker()
        self._coders = ThreadPoolExecutor(NUM_CODERS, thread_name_prefix="openai-coder")
        self._http = make_http(options)

    async def ask_patiently(self, call: Call) -> Generation:
        """All attempts at a page. Raises the last one's Fault."""
        body = await self._in_pool(lambda: request_body(call.prepared, self.model, self.profile))
        async for attempt in AsyncRetrying(
            retry=retry_if_exception(lambda exc: isinstance(exc, Fault) and exc.transient),
            stop=lambda state: state.attempt_number >= self.num_attempts or _ends_in_pause(state, call),
            wait=_pause_s,
            reraise=True,
        ):
            with attempt:
                return await self._attempt(call, body, attempt.retry_state.attempt_number)
        raise AssertionError("tenacity returns or raises")

    async def _attempt(self, call: Call, body: bytes, number: int) -> Generation:
        """One attempt, number 1 the first; as long as the server is down it begins anew."""
        share = 1.0 if number >= self.num_attempts else 0.5
        while True:
            is_trial = await self.breaker.enter()
            try:
                if call.fault is not None and not call.fault.away:
                    call.fault = None
                generation = await self._request(call, body, share)
            except Fault as fault:
                call.fault = fault
                self.breaker.fail(fault, call.page_number)
                if not (fault.away or (is_trial and fault.blames_server)):
                    raise
            else:
                self.breaker.succeed()
                return generation
            finally:
                if is_trial:
                    self.breaker.leave_trial()

    async def _request(self, call: Call, body: bytes, share: float) -> Generation:
        """One request, counted, that may take `share` of the time the page has left. Raises Fault."""
        started, outcome = time.monotonic(), ""
        self.in_flight += 1
        try:
            generation = await self._exchange(body, share * (call.ends - started))
            outcome = generation.stop_reason
            return generation
        except Fault as fault:
            outcome = fault.kind
            raise
        except asyncio.CancelledError:
            outcome = "timeout" if time.monotonic() >= call.ends else "cancelled"
            raise
        finally:
            self.in_flight -= 1
            self.requests.append((outcome, time.monotonic() - started))

    async def _exchange(self, body: bytes, seconds: float) -> Generation:
        try:
            async with asyncio.timeout(seconds):
                response = await self._http.post("chat/completions", content=body)
        except TimeoutError as exc:
            raise Fault("timeout", f"the model server gave no answer in {seconds:.0f} s") from exc
        except httpx.RequestError as exc:
            raise fault_of_transport(exc) from exc
        return await self._in_pool(lambda: read_answer(response))

    async def _in_pool(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._coders, work)

    async def look(self) -> None:
        """Whether the server answers at all; the list of models costs it nothing."""
        try:
            response = await self._http.get("models", timeout=CONNECT_S)
        except httpx.RequestError as exc:
            self.breaker.fail(fault_of_transport(exc), 0)
            return
        if response.status_code >= 500:
            self.breaker.fail(fault_of_status(response), 0)
        else:
            self.breaker.succeed()

    async def close(self) -> None:
        await self._http.aclose()
        self._coders.shutdown()


def make_http(options: OpenAIOptions) -> httpx.AsyncClient:
    """The pool of connections that all pages share, with one more than there are pages, for `look`."""
    key = {"Authorization": f"Bearer {options.api_key}"} if options.api_key else {}
    return httpx.AsyncClient(
        base_url=options.base_url.rstrip("/") + "/",
        headers={"Content-Type": "application/json"} | key,
        timeout=httpx.Timeout(None, connect=CONNECT_S),
        limits=httpx.Limits(max_connections=options.parallel_requests + 1, keepalive_expiry=KEEPALIVE_S),
    )


def _told_s(state: RetryCallState) -> float | None:
    """Seconds for which the server asked to be left alone."""
    fault = state.outcome.exception() if state.outcome else None
    return fault.retry_after_s if isinstance(fault, Fault) else None


def _pause_s(state: RetryCallState) -> float:
    """Seconds before the next attempt: what the server asked for, else longer each time, with jitter."""
    told_s = _told_s(state)
    return BACK_OFF(state) if told_s is None else told_s


def _ends_in_pause(state: RetryCallState, call: Call) -> bool:
    """Whether the server asked to be left alone for longer than the page has time."""
    return time.monotonic() + (_told_s(state) or 0.0) >= call.ends
