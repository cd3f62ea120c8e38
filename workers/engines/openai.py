"""The `openai` engine: pages in parallel against a server that speaks OpenAI's chat completions.

One asynchronous client lives as long as the process, in an event loop with a thread of its own. A page takes one of
`PARALLEL_VLM_REQUESTS` slots and keeps it over all its attempts, so that 1 means strictly one page after another.
Images are encoded and answers read in a small thread pool, never in the event loop.

A page's time begins when it gets its slot. An attempt that is not the last takes at most half of what is left, so
that a request the server lost is tried again. While the server is down, pages wait for it, see openai_breaker.py; a
request that found it down is no attempt.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from typing import TypeVar

import httpx
from PIL import Image
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential_jitter

from workers.engines import Control, EngineError, EngineOptions, Generation, ImageSpec, PageRequest, Prepared
from workers.engines.openai_breaker import Breaker
from workers.engines.openai_wire import Fault, fault_of_transport, read_answer, request_body

logger = logging.getLogger(__name__)

T = TypeVar("T")

POLL_S = 0.1  # how fast a cancellation reaches a request
CONNECT_S = 10.0
KEEPALIVE_S = 4.0  # below the 5 s after which uvicorn, under vLLM and SGLang, closes an idle connection
LOOK_S = 5.0  # time between two looks at the server while no page asks it
NUM_CODERS = 2  # threads that encode and read
BACK_OFF = wait_exponential_jitter(initial=0.25, max=20.0, jitter=0.25)


@dataclass(slots=True)
class Tally:
    """What happened since it was taken last: requests by outcome, and the seconds each finished page took."""

    requests: Counter[str] = field(default_factory=Counter)
    page_seconds: list[float] = field(default_factory=list)


@dataclass(slots=True)
class _Call:
    """One page under way; `fault` is what its last attempt ended in."""

    prepared: Prepared
    ends: float = float("inf")  # time.monotonic()
    fault: Fault | None = None

    @property
    def number(self) -> int:
        return self.prepared.request.page_number

    def late(self) -> Generation:
        """How the page ends when its time is over."""
        if self.fault is None or self.fault.kind == "timeout":
            return Generation(text="", stop_reason="timeout")
        return Generation(text="", stop_reason="error", error=f"no answer in time: {self.fault}")


class OpenAIEngine:
    """Asks the server at `base_url` for the text of each page."""

    name = "openai"

    def __init__(self, options: EngineOptions) -> None:
        self.revision = f"{options.model}@{options.model_revision}" if options.model_revision else options.model
        self.image_spec = ImageSpec(factor=options.resize_factor, max_side=options.max_dimension)
        self.parallel = max(1, options.parallel_requests)
        self.max_batch = 4 * self.parallel if self.parallel > 1 else 1  # more pages than slots keep the slots full
        self.in_flight = 0  # requests now
        self.tally = Tally()
        self._options = options
        self._num_attempts = max(1, options.retry_count)
        self._thread: threading.Thread | None = None

    @property
    def trouble(self) -> str:
        """Why pages wait for the server; empty when it is well."""
        return self._breaker.trouble if self._thread else ""

    def take_tally(self) -> Tally:
        taken, self.tally = self.tally, Tally()
        return taken

    def prepare(self, image: Image.Image, request: PageRequest) -> Prepared:
        return Prepared(request=request, image=image)

    def pack(self, prepared: Prepared) -> bytes | None:  # noqa: ARG002
        return None

    def unpack(self, data: bytes, request: PageRequest) -> Prepared:
        """`data` is the page's PNG."""
        with Image.open(BytesIO(data), formats=["PNG"]) as image:
            image.load()
        return self.prepare(image, request)

    def load(self) -> None:
        """Start the client; a server that is down now may come later. Raises EngineError without an address."""
        options = self._options
        if not options.base_url or not options.model:
            raise EngineError(
                "The openai engine needs a server: set OPENAI_BASE_URL (such as http://127.0.0.1:8001/v1) and MODEL."
            )
        try:
            self._client = make_client(options, self.parallel)
        except httpx.InvalidURL as exc:
            raise EngineError(f"OPENAI_BASE_URL={options.base_url!r} cannot be used: {exc}") from exc
        self._coders = ThreadPoolExecutor(NUM_CODERS, thread_name_prefix="openai-coder")
        self._slots = asyncio.Semaphore(self.parallel)
        self._breaker = Breaker()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="openai-loop", daemon=True)
        self._thread.start()
        self._watcher = asyncio.run_coroutine_threadsafe(self._watch_server(), self.loop)

    def generate(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        """One Generation a page; what goes wrong with a page is in its Generation."""
        return asyncio.run_coroutine_threadsafe(self._run(batch, control), self.loop).result()

    def close(self) -> None:
        if self._thread is None:
            return
        self._watcher.cancel()
        asyncio.run_coroutine_threadsafe(self._client.aclose(), self.loop).result(CONNECT_S)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
        self._coders.shutdown()
        self._thread = None

    # the event loop's thread

    async def _run(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        """All pages of a batch; the control is asked for each every 0.1 s."""
        calls = [_Call(prepared) for prepared in batch]
        pages = [asyncio.create_task(self._page(call, control)) for call in calls]
        stopped: dict[int, str] = {}
        while not all(page.done() for page in pages):
            for row, page in enumerate(pages):
                if not page.done() and row not in stopped and (reason := control.should_stop(row)):
                    stopped[row] = reason
                    page.cancel()
            await asyncio.wait([page for page in pages if not page.done()] or pages, timeout=POLL_S)
        return [
            Generation(text="", stop_reason="cancelled")
            if page.cancelled() and stopped[row] == "cancelled"
            else calls[row].late()
            if page.cancelled()
            else page.result()
            for row, page in enumerate(pages)
        ]

    async def _page(self, call: _Call, control: Control) -> Generation:
        """One page in its slot, from image to text, whatever happens."""
        async with self._slots:
            started = time.monotonic()
            call.ends = min(started + self._options.timeout_s, control.deadline)
            try:
                async with asyncio.timeout_at(call.ends):
                    return await self._ask_patiently(call)
            except TimeoutError:
                return call.late()
            except Fault as fault:
                if fault.kind == "timeout":
                    return call.late()
                return Generation(text="", stop_reason="error", error=str(fault))
            except Exception as exc:
                logger.exception("page %d could not be asked for", call.number)
                reason = str(exc) if isinstance(exc, EngineError) else f"{type(exc).__name__}: {exc}"
                return Generation(text="", stop_reason="error", error=reason)
            finally:
                self.tally.page_seconds.append(time.monotonic() - started)

    async def _ask_patiently(self, call: _Call) -> Generation:
        body = await self._in_pool(lambda: request_body(call.prepared, self._options.model))
        async for attempt in AsyncRetrying(
            retry=retry_if_exception(lambda exc: isinstance(exc, Fault) and exc.transient),
            stop=lambda state: state.attempt_number >= self._num_attempts or _outlasts(state, call.ends),
            wait=_pause_s,
            reraise=True,
        ):
            with attempt:
                return await self._attempt(call, body, attempt.retry_state.attempt_number)
        raise AssertionError("tenacity returns or raises")

    async def _attempt(self, call: _Call, body: bytes, attempt_number: int) -> Generation:
        """One attempt; it goes on for as long as the server is down."""
        while True:
            is_trial = await self._breaker.enter()
            try:
                generation = await self._ask(call, body, is_last=attempt_number >= self._num_attempts)
            except Fault as fault:
                call.fault = fault
                self._breaker.fail(fault, call.number)
                if not (fault.away or (is_trial and fault.blames_server)):
                    raise
            else:
                self._breaker.succeed()
                return generation
            finally:
                if is_trial:
                    self._breaker.leave_trial()

    async def _ask(self, call: _Call, body: bytes, *, is_last: bool) -> Generation:
        """One request; raises Fault."""
        outcome = "cancelled"
        left_s = call.ends - time.monotonic()
        self.in_flight += 1
        try:
            async with asyncio.timeout(left_s if is_last else left_s / 2):
                response = await self._client.post("chat/completions", content=body)
            generation = await self._in_pool(lambda: read_answer(response))
            outcome = generation.stop_reason
            return generation
        except TimeoutError as exc:
            outcome = "timeout"
            raise Fault("timeout", "the model server gave no answer") from exc
        except httpx.TransportError as exc:
            fault = fault_of_transport(exc)
            outcome = fault.kind
            raise fault from exc
        except Fault as fault:
            outcome = fault.kind
            raise
        finally:
            self.in_flight -= 1
            self.tally.requests[outcome] += 1

    async def _in_pool(self, work: Callable[[], T]) -> T:
        return await self.loop.run_in_executor(self._coders, work)

    async def _watch_server(self) -> None:
        """Look at the server at the start, and while it is known to be down and no page asks it."""
        is_first = True
        while True:
            if is_first or (self._breaker.trouble and not self.in_flight):
                await self._look()
            is_first = False
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> None:
        """Whether the server answers at all; the list of models costs it nothing."""
        try:
            response = await self._client.get("models", timeout=CONNECT_S)
            if response.status_code < 500:
                self._breaker.succeed()
            else:
                with contextlib.suppress(Fault):
                    read_answer(response)
        except httpx.TransportError as exc:
            self._breaker.fail(fault_of_transport(exc), 0)


def make_client(options: EngineOptions, parallel: int) -> httpx.AsyncClient:
    """The client that all pages share. Raises httpx.InvalidURL."""
    return httpx.AsyncClient(
        base_url=options.base_url.rstrip("/") + "/",
        headers={"Content-Type": "application/json"}
        | ({"Authorization": f"Bearer {options.api_key}"} if options.api_key else {}),
        timeout=httpx.Timeout(None, connect=CONNECT_S),
        limits=httpx.Limits(max_connections=parallel + 1, max_keepalive_connections=parallel, keepalive_expiry=KEEPALIVE_S),
    )


def _pause_s(state: RetryCallState) -> float:
    """Seconds before the next attempt: what the server asked for, else longer each time, with jitter."""
    fault = state.outcome.exception() if state.outcome else None
    if isinstance(fault, Fault) and fault.retry_after_s is not None:
        return fault.retry_after_s
    return BACK_OFF(state)


def _outlasts(state: RetryCallState, ends: float) -> bool:
    """Whether the server asked to be left alone for longer than the page has time."""
    fault = state.outcome.exception() if state.outcome else None
    wanted_s = fault.retry_after_s if isinstance(fault, Fault) else None
    return time.monotonic() + (wanted_s or 0.0) >= ends
