"""The `openai` engine: pages in parallel against a server that speaks OpenAI's chat completions.

One asynchronous client lives as long as the process, in an event loop with a thread of its own. A page takes one of
`PARALLEL_VLM_REQUESTS` slots and keeps it over all its attempts, so that 1 means strictly one page after another. Its
time, `VLM_CONCURRENT_TIMEOUT`, begins when it gets the slot.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import TypeVar

import httpx

from workers.engines import (
    Control,
    EngineError,
    Generation,
    Prepared,
    StopReason,
)
from workers.engines.openai.client import MAX_NOTES, Call, Client
from workers.engines.openai.options import OpenAIOptions
from workers.engines.openai.wire import Fault
from workers.engines.profiled_image import ProfiledImage
from workers.engines.profiles import profile_of

T = TypeVar("T")

logger = logging.getLogger(__name__)

POLL_S = 0.1  # how fast a cancellation reaches a request
LOOK_S = 5.0  # time between two looks at a server that is down, while no page tries it
CLOSE_S = 5.0
MIN_LETTER = 5.0  # px; a line of 6 pt print on A4 at 1024 px


class OpenAIEngine(ProfiledImage):
    """Asks the servers at `base_url` for the text of each page."""

    name = "openai"

    def __init__(self, options: OpenAIOptions) -> None:
        self.revision = f"{options.model}@{options.model_revision}" if options.model_revision else options.model
        self.profile = profile_of(options)
        self.image_spec = self.profile.spec(MIN_LETTER)
        self.max_batch = max(1, options.parallel_requests)
        self.page_seconds: deque[float] = deque(maxlen=MAX_NOTES)  # of each page that ended, until someone takes them
        self.client: Client | None = None
        self._options = options
        self._slots = asyncio.Semaphore(self.max_batch)
        self._num_active = 0

    @property
    def num_slots(self) -> int:
        """A page for each request that the server takes at once."""
        return self.max_batch

    @property
    def trouble(self) -> str:
        """Why pages wait for the servers; empty when one is well."""
        return self.client.trouble if self.client else ""

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return self.client.in_flight if self.client else 0

    def take_notes(self) -> tuple[list[tuple[str, float]], list[float]]:
        """Outcome and seconds of each request, and the seconds of each page, that ended since the last call."""
        requests = self.client.requests if self.client else deque[tuple[str, float]]()
        return _take(requests), _take(self.page_seconds)

    def load(self) -> None:
        """Start the client; a server that is down now may come later. Raises EngineError without an address."""
        options = self._options
        if not options.base_urls or not options.model:
            raise EngineError(
                "The openai engine needs a server: set OPENAI_BASE_URL (such as http://127.0.0.1:8001/v1) and MODEL."
            )
        try:
            self.client = Client(options, self.profile)
        except httpx.InvalidURL as exc:
            raise EngineError(f"OPENAI_BASE_URL={options.base_url!r} cannot be used: {exc}") from exc
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="openai-loop", daemon=True)
        self._thread.start()
        self._watcher = asyncio.run_coroutine_threadsafe(self._watch(self.client), self.loop)

    def generate(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        """One Generation a page; what goes wrong with a page is in its Generation."""
        if self.client is None:
            raise EngineError("The openai engine is not loaded.")
        return asyncio.run_coroutine_threadsafe(self._run(self.client, batch, control), self.loop).result()

    def close(self) -> None:
        if self.client is not None:
            self._watcher.cancel()
            asyncio.run_coroutine_threadsafe(self.client.close(), self.loop).result(CLOSE_S)
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(CLOSE_S)
            self.loop.close()
            self.client = None

    # the event loop's thread

    async def _run(self, client: Client, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        """All pages of a batch; the control is asked for each every 0.1 s."""
        on_text = control.on_text
        calls = [
            Call(prepared, None if on_text is None else partial(on_text, row)) for row, prepared in enumerate(batch)
        ]
        rows = {asyncio.create_task(self._page(client, call, control)): row for row, call in enumerate(calls)}
        stopped: dict[int, StopReason] = {}
        outcomes: dict[int, Generation] = {}
        running = set(rows)
        while running:
            ended, running = await asyncio.wait(running, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
            for page in ended:
                row = rows[page]
                early = end_early(calls[row], stopped.get(row, "cancelled")) if page.cancelled() else None
                outcomes[row] = control.done(row, early or page.result())
            for page in running:
                row = rows[page]
                if row not in stopped and (reason := control.should_stop(row)):
                    stopped[row] = reason
                    page.cancel()
        return [outcomes[row] for row in range(len(calls))]

    async def _page(self, client: Client, call: Call, control: Control) -> Generation:
        """One page in its slot, from image to text, whatever happens."""
        async with self._slots:
            started = time.monotonic()
            call.ends = min(started + self._options.timeout_s, control.deadline)
            self._num_active += 1
            try:
                async with asyncio.timeout_at(call.ends):
                    return await client.ask_patiently(call)
            except TimeoutError:
                return end_early(call, "timeout")
            except Fault as fault:
                return end_early(call, "timeout") if fault.kind == "timeout" else failed(str(fault))
            except EngineError as exc:
                return failed(str(exc))
            except Exception as exc:
                logger.exception("page %d could not be asked for", call.page_number)
                return failed(f"{type(exc).__name__}: {exc}")
            finally:
                self._num_active -= 1
                self.page_seconds.append(time.monotonic() - started)

    async def _watch(self, client: Client) -> None:
        """Look at the servers at the start, and at each that is down while no page tries it."""
        await client.look(only_troubled=False)
        while True:
            await asyncio.sleep(LOOK_S)
            if not (client.trouble and self._num_active):
                await client.look(only_troubled=True)


def _take(notes: deque[T]) -> list[T]:
    """Empty `notes`, to which another thread adds."""
    return [notes.popleft() for _ in range(len(notes))]


def failed(reason: str) -> Generation:
    return Generation(text="", stop_reason="error", error=reason)


def end_early(call: Call, reason: StopReason) -> Generation:
    """How a page ends that was stopped; one whose time was over between two requests says why there was no answer."""
    if reason == "timeout" and call.fault is not None and call.fault.kind != "timeout":
        return failed(f"no answer in time; {call.fault}")
    return Generation(text=call.text if reason == "timeout" else "", stop_reason=reason)
