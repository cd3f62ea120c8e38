"""Gunicorn's thread worker with deadlines: whoever is slow to speak holds no thread.

Gunicorn's own reads a request's head, and then its body, in a thread without a deadline. Here heads, and bodies of a
few kilobytes, are gathered in the loop that accepts connections, and become a thread's work once they are whole. A
long body has a thread, but must keep up a least pace, and long bodies have half of the threads at most. A connection
is closed without waiting for the other side in the loop. Written for gunicorn 27, pinned in pyproject.toml.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from functools import partial
from typing import Any

from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from web.stack.bodies import SMALL_BODY, Gathering, TimedBody

HEAD_S = 10.0  # for a head, and a small body with it
SEND_S = 120.0  # for one piece of an answer
LINGER_S = 2.0  # that a closed connection may still send, so that it can read the answer to what we did not
CHUNK = 64 * 1024
TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class DeadlineWorker(ThreadWorker):
    """Serves as ThreadWorker does, and lets nobody hold a thread by being slow. TLS belongs to a proxy before it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.gathering: dict[TConn, Gathering] = {}  # the oldest first
        self.given: dict[TConn, bytes] = {}
        self.lingering: dict[TConn, float] = {}
        self.bodies: set[TimedBody] = set()
        self.seats = threading.BoundedSemaphore(max(1, self.cfg.threads // 2))

    # in the loop's thread

    def accept(self, listener: Any) -> None:
        try:
            sock, address = listener.accept()
        except OSError:  # it went away again, or there are too many files
            return
        self.nr_conns += 1
        if len(self.gathering) >= self.worker_connections // 2:
            self.drop(next(iter(self.gathering)))
        self.gather(TConn(self.cfg, sock, address, listener.getsockname()))

    def gather(self, conn: TConn, data: bytes = b"") -> None:
        """Wait for a whole request of which this has come already."""
        conn.sock.setblocking(False)
        self.gathering[conn] = Gathering(time.monotonic() + HEAD_S)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_gathering, conn))
        if data:
            self.gathered(conn, data)

    def on_gathering(self, conn: TConn, _sock: Any) -> None:
        with contextlib.suppress(BlockingIOError, InterruptedError):
            try:
                data = conn.sock.recv(CHUNK)
            except ConnectionError:
                self.drop(conn)
                return
            if data:
                self.gathered(conn, data)
            elif self.gathering[conn].has_head:
                self.hand_over(conn)  # whose body breaks off, which it is told
            else:
                self.drop(conn)

    def gathered(self, conn: TConn, data: bytes) -> None:
        request = self.gathering[conn]
        request.add(data)
        if request.is_whole:
            self.hand_over(conn)
        elif request.is_too_long:
            self.refuse(conn)

    def hand_over(self, conn: TConn) -> None:
        """Give a request to a thread."""
        self.poller.unregister(conn.sock)
        self.given[conn] = bytes(self.gathering.pop(conn).data)
        self.enqueue_req(conn)

    def refuse(self, conn: TConn) -> None:
        with contextlib.suppress(OSError):
            conn.sock.send(TOO_LONG)
        self.poller.unregister(conn.sock)
        del self.gathering[conn]
        self.linger(conn)

    def on_client_socket_readable(self, conn: TConn, client: Any) -> None:
        """A kept-alive connection begins its next request."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self.gather(conn)

    def finish_request(self, conn: TConn, future: Any) -> None:
        if future.cancelled() or future.exception() or not future.result():
            self.linger(conn)
        elif left := conn.parser.unreader.take_buffered():
            self.gather(conn, left)
        else:
            conn.sock.setblocking(False)
            conn.set_timeout()
            if not self.alive:
                conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)
            self.keepalived_conns.append(conn)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_client_socket_readable, conn))

    def linger(self, conn: TConn) -> None:
        """Close our side, and the connection once the other side has closed too or LINGER_S is over."""
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_lingering, conn))
        except (OSError, ValueError):
            self.drop(conn)
        else:
            self.lingering[conn] = time.monotonic() + LINGER_S

    def on_lingering(self, conn: TConn, _sock: Any) -> None:
        try:
            is_over = not conn.sock.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            is_over = True
        if is_over:
            self.drop(conn)

    def drop(self, conn: TConn) -> None:
        self.gathering.pop(conn, None)
        self.lingering.pop(conn, None)
        with contextlib.suppress(KeyError, ValueError, OSError):
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

    def murder_pending(self) -> None:
        """Called about once a second: end what is overdue; a worker that stops waits for no new request."""
        now = time.monotonic()
        for conn, request in list(self.gathering.items()):
            if request.deadline < now or not (self.alive or request.data):
                self.drop(conn)
        for conn, deadline in list(self.lingering.items()):
            if deadline < now:
                self.drop(conn)
        for body in self.bodies.copy():
            if body.deadline < now:
                body.give_up()

    # in the threads

    def handle(self, conn: TConn) -> Any:
        data = self.given.pop(conn)
        conn.sock.setblocking(True)
        conn.data_ready = True
        conn.init()
        conn.parser.unreader.unread(data)
        return super().handle(conn)

    def handle_request(self, req: Any, conn: TConn) -> Any:
        conn.sock.settimeout(SEND_S)
        try:
            return self._with_timed_body(req, conn) if is_long(req) else super().handle_request(req, conn)
        except TimeoutError:
            self.log.debug("A client was too slow to take its answer.")
            return False

    def _with_timed_body(self, req: Any, conn: TConn) -> Any:
        length = headers_of(req).get("CONTENT-LENGTH")
        body = req.body = TimedBody(req.body, int(length) if length else None, conn.sock, self.seats)
        self.bodies.add(body)
        try:
            return super().handle_request(req, conn)
        finally:
            self.bodies.discard(body)
            body.leave()

    def _keepalive_after(self, conn: TConn, keepalive: Any) -> bool:
        body = conn.parser.mesg.body
        if isinstance(body, TimedBody) and not body.is_done:
            return False  # what is left of it would have to be waited for
        return bool(super()._keepalive_after(conn, keepalive))


def headers_of(req: Any) -> dict[str, str]:
    return {name.upper(): value for name, value in req.headers}


def is_long(req: Any) -> bool:
    """Whether a request has a body that was not gathered with its head."""
    headers = headers_of(req)
    return "TRANSFER-ENCODING" in headers or "EXPECT" in headers or int(headers.get("CONTENT-LENGTH", 0)) > SMALL_BODY
