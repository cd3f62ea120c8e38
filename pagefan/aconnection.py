"""`pagefan.connection` for programs that are asynchronous."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import httpx

from pagefan.answers import Refused, error_of, unreached
from pagefan.calls import Call
from pagefan.connection import MAKING_S, http_arguments, pause_while_made
from pagefan.patience import AsyncRetrying, rules


class AsyncConnection:
    """Connections to one server, shared between the tasks of one event loop."""

    def __init__(self, base_url: str, api_key: str, timeout_s: float, retry_s: float) -> None:
        self.http = httpx.AsyncClient(**http_arguments(base_url, api_key, timeout_s))  # type: ignore[arg-type]
        self.retry_s = retry_s

    async def close(self) -> None:
        await self.http.aclose()

    async def call(self, call: Call) -> httpx.Response:
        """The answer, read; asked for again while the server is full or its line breaks."""
        async for attempt in AsyncRetrying(**rules(call.method, call.headers, self.retry_s)):
            with attempt:
                async with self.open(call) as answer:
                    await answer.aread()
        return answer

    @contextlib.asynccontextmanager
    async def open(self, call: Call) -> AsyncIterator[httpx.Response]:
        """An answer whose body is still to be read."""
        try:
            async with self.http.stream(call.method, call.path, **call.arguments) as answer:
                if answer.is_error:
                    await answer.aread()
                    raise error_of(answer)
                yield answer
        except httpx.TransportError as exc:
            raise unreached(self.http, exc) from exc

    @contextlib.asynccontextmanager
    async def open_when_made(self, call: Call) -> AsyncIterator[httpx.Response]:
        """The same for a file that the server may have to make first."""
        deadline = time.monotonic() + MAKING_S
        async with contextlib.AsyncExitStack() as opened:
            while True:
                try:
                    answer = await opened.enter_async_context(self.open(call))
                    break
                except Refused as exc:
                    await asyncio.sleep(pause_while_made(exc, deadline))
            yield answer
