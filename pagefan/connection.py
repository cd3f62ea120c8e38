"""Requests to a Pagefan server, with its errors raised; `pagefan.client` says what can be asked."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from pagefan.answers import Event, Json, Refused, ServerAway, error_of
from pagefan.sse import listen

PATIENCE_S = 60.0  # how long a server may be away before a job is given up
MAKING_S = 600.0  # how long a searchable PDF may be in the making


class Connection:
    """Connections to one server, shared between threads. All calls raise ServerAway and Refused."""

    def __init__(self, base_url: str, api_key: str, timeout_s: float) -> None:
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {api_key}"} if api_key else {})
        self._http = httpx.Client(base_url=f"{base_url.rstrip('/')}/api/v1", headers=headers, timeout=timeout_s)

    def close(self) -> None:
        self._http.close()

    def call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        with self.open(method, path, **arguments) as answer:
            answer.read()
        return answer

    @contextlib.contextmanager
    def open(self, method: str, path: str, **arguments: Any) -> Iterator[httpx.Response]:
        """An answer whose body is still to be read."""
        try:
            with self._http.stream(method, path, **arguments) as answer:
                if answer.is_error:
                    answer.read()
                    raise error_of(answer)
                yield answer
        except httpx.TransportError as exc:
            raise ServerAway(f"{self._http.base_url.host} cannot be reached: {exc}") from exc

    @contextlib.contextmanager
    def open_when_made(self, path: str, **arguments: Any) -> Iterator[httpx.Response]:
        """The same for a file that the server may have to make first."""
        deadline = time.monotonic() + MAKING_S
        with contextlib.ExitStack() as opened:
            while True:
                try:
                    answer = opened.enter_context(self.open("GET", path, **arguments))
                    break
                except Refused as exc:
                    if exc.kind != "being-made" or time.monotonic() > deadline:
                        raise
                    time.sleep(exc.retry_after_s or 1)
            yield answer

    def events(self, path: str, params: Json, since: str) -> Iterator[Event]:
        return listen(self._http, path, params, since=since, patience_s=PATIENCE_S)


def patiently(call: Callable[[], Json]) -> Json:
    """Try again while the server is away, for a restart of it is no reason to give a job up."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return call()
        except ServerAway:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def open_file(path: Path, *, follow_links: bool = True) -> io.BufferedReader:
    """A regular file for reading; raises OSError for a pipe, a device or a folder, which might never end."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags if follow_links else flags | getattr(os, "O_NOFOLLOW", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


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
