"""One model server of the `openai` engine: its connections, how it is doing, and one request to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

import httpx

from workers.engines import Generation
from workers.engines.openai.breaker import Breaker
from workers.engines.openai.options import OpenAIOptions
from workers.engines.openai.stream import Answer
from workers.engines.openai.wire import fault_of_status, fault_of_transport, read_answer

T = TypeVar("T")

CONNECT_S = 10.0
KEEPALIVE_S = 4.0  # below the 5 s after which uvicorn, under vLLM and SGLang, closes an idle connection
TELL_S = 0.25  # time between two looks of people at a page's text


class Server:
    """Used in one event loop; `in_flight` and `breaker.trouble` may be read in any thread. Raises httpx.InvalidURL.

    Answers are read in `coders`, never in the event loop.
    """

    def __init__(self, base_url: str, options: OpenAIOptions, coders: Executor) -> None:
        self.breaker = Breaker()
        self.in_flight = 0
        self._coders = coders
        self._http = make_http(base_url, options)

    async def exchange(self, body: bytes, tell: Callable[[str], None]) -> Generation:
        """One request; `tell` is given the text so far. Raises Fault.

        An answer that runs in circles is cut short: the server is told so by the end of the connection.
        """
        self.in_flight += 1
        try:
            async with self._http.stream("POST", "chat/completions", content=body) as response:
                if response.status_code == 200 and is_stream(response):
                    return await self._listen(response, tell)
                await response.aread()
                return await self._in_pool(lambda: read_answer(response))
        except httpx.RequestError as exc:
            raise fault_of_transport(exc) from exc
        finally:
            self.in_flight -= 1

    async def _listen(self, response: httpx.Response, tell: Callable[[str], None]) -> Generation:
        answer, told_at = Answer(), 0.0
        async for line in response.aiter_lines():
            if not answer.add(line):
                continue
            if time.monotonic() - told_at >= TELL_S:
                told_at = time.monotonic()
                tell(answer.text)
            if answer.is_due and await self._in_pool(answer.loops):
                return answer.ended_early()
        return await self._in_pool(answer.generation)

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


def is_stream(response: httpx.Response) -> bool:
    return str(response.headers.get("Content-Type", "")).startswith("text/event-stream")


def make_http(base_url: str, options: OpenAIOptions) -> httpx.AsyncClient:
    """The pool of connections that all pages share, with one more than there are pages, for `look`."""
    key = {"Authorization": f"Bearer {options.api_key}"} if options.api_key else {}
    return httpx.AsyncClient(
        base_url=base_url.rstrip("/") + "/",
        headers={"Content-Type": "application/json"} | key,
        timeout=httpx.Timeout(None, connect=CONNECT_S),
        limits=httpx.Limits(max_connections=options.parallel_requests + 1, keepalive_expiry=KEEPALIVE_S),
    )
