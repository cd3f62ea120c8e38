"""Requests to a Pagefan server, with its errors raised; `pagefan.calls` says what can be asked."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import httpx

from pagefan.answers import Refused, error_of, unreached
from pagefan.calls import Call
from pagefan.patience import Retrying, rules

MAKING_S = 600.0  # how long a searchable PDF may be in the making


def http_arguments(base_url: str, api_key: str, timeout_s: float) -> dict[str, object]:
    """For both kinds of httpx client."""
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {api_key}"} if api_key else {})
    return {"base_url": f"{base_url.rstrip('/')}/api/v1", "headers": headers, "timeout": timeout_s}


class Connection:
    """Connections to one server, shared between threads. All calls raise ServerAway and Refused."""

    def __init__(self, base_url: str, api_key: str, timeout_s: float, retry_s: float) -> None:
        self.http = httpx.Client(**http_arguments(base_url, api_key, timeout_s))  # type: ignore[arg-type]
        self.retry_s = retry_s

    def close(self) -> None:
        self.http.close()

    def call(self, call: Call) -> httpx.Response:
        """The answer, read; asked for again while the server is full or its line breaks."""
        for attempt in Retrying(**rules(call.method, call.headers, self.retry_s)):
            with attempt, self.open(call) as answer:
                answer.read()
        return answer

    @contextlib.contextmanager
    def open(self, call: Call) -> Iterator[httpx.Response]:
        """An answer whose body is still to be read."""
        try:
            with self.http.stream(call.method, call.path, **call.arguments) as answer:
                if answer.is_error:
                    answer.read()
                    raise error_of(answer)
                yield answer
        except httpx.TransportError as exc:
            raise unreached(self.http, exc) from exc

    @contextlib.contextmanager
    def open_when_made(self, call: Call) -> Iterator[httpx.Response]:
        """The same for a file that the server may have to make first."""
        deadline = time.monotonic() + MAKING_S
        with contextlib.ExitStack() as opened:
            while True:
                try:
                    answer = opened.enter_context(self.open(call))
                    break
                except Refused as exc:
                    time.sleep(pause_while_made(exc, deadline))
            yield answer


def pause_while_made(error: Refused, deadline: float) -> float:
    """How long to wait for a file in the making; raises the error where that is not what it says."""
    if error.kind != "being-made" or time.monotonic() > deadline:
        raise error
    return error.retry_after_s or 1


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its name once it is complete; what fails leaves nothing behind."""
    temporary = path.with_name(f".pagefan-{secrets.token_hex(6)}.part")
    try:
        with temporary.open("xb") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
