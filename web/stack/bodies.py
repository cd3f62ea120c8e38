"""What a connection sends: a head gathered until it is whole, a long body that has to keep up a pace."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from web.api.problems import Problem

SMALL_BODY = 64 * 1024
MOST_HEAD = 64 * 1024
BODY_S = 20.0  # that a long body may take besides MIN_RATE
MIN_RATE = 8 * 1024  # bytes a second of a long body
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)


class Gathering:
    """What a connection has sent of its next request."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.data = bytearray()
        self._wanted = 0  # bytes of head and small body together; 0 while the head is not whole

    def add(self, data: bytes) -> None:
        seen = max(0, len(self.data) - 3)
        self.data += data
        if not self._wanted and (end := self.data.find(b"\r\n\r\n", seen)) >= 0:
            self._wanted = end + 4 + small_body(bytes(self.data[: end + 2]))

    @property
    def has_head(self) -> bool:
        return self._wanted > 0

    @property
    def is_whole(self) -> bool:
        return 0 < self._wanted <= len(self.data)

    @property
    def is_too_long(self) -> bool:
        return not self._wanted and len(self.data) > MOST_HEAD


def small_body(head: bytes) -> int:
    """Bytes of body worth waiting for; 0 for a long one, and for one whose sender waits to be asked for it."""
    found = LENGTH.search(head)
    length = int(found[1]) if found else 0
    return length if length <= SMALL_BODY and b"\r\nexpect:" not in head.lower() else 0


class TimedBody:
    """A request's body whose sender has to keep up the pace, on one of a limited number of seats."""

    def __init__(self, body: Any, length: int | None, connection: socket.socket, seats: threading.Semaphore) -> None:
        self.failed = False  # gunicorn asks for it before it uses the connection again
        self.is_done = False
        self.deadline = float("inf")  # of the read that is going on
        self.is_overdue = False
        self._body, self._length, self._connection, self._seats = body, length, connection, seats
        self._num_bytes, self._waited_s, self._has_seat = 0, 0.0, False

    def read(self, size: int | None = None) -> bytes:
        return self._timed(self._body.read, size)

    def readline(self, size: int | None = None) -> bytes:
        return self._timed(self._body.readline, size)

    def readlines(self, size: int | None = None) -> list[bytes]:  # noqa: ARG002
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def _timed(self, read: Callable[[int | None], bytes], size: int | None) -> bytes:
        if size == 0 or self.is_done:
            return b""
        self._sit_down()
        begun = time.monotonic()
        self.deadline = begun + BODY_S + self._num_bytes / MIN_RATE - self._waited_s
        try:
            data = read(size)
        except Exception as exc:
            self.failed = True
            if self.is_overdue or isinstance(exc, TimeoutError):
                raise too_slow() from exc
            raise
        finally:
            self.deadline = float("inf")
            self._waited_s += time.monotonic() - begun
        if self.is_overdue:
            self.failed = True
            raise too_slow()
        self._num_bytes += len(data)
        self.is_done = not data or self._num_bytes == self._length
        return data

    def _sit_down(self) -> None:
        if not self._has_seat:
            if not self._seats.acquire(blocking=False):
                self.failed = True
                raise Problem("busy", "The server receives as many files as it can at once.", {"Retry-After": "5"})
            self._has_seat = True

    def leave(self) -> None:
        if self._has_seat:
            self._has_seat = False
            self._seats.release()

    def give_up(self) -> None:
        """End the read that is going on; called from another thread."""
        self.is_overdue = True
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RD)


def too_slow() -> Problem:
    return Problem("too-slow", f"A body must come at {MIN_RATE // 1024} KiB a second or faster.")
