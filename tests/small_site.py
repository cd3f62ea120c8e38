"""A small web site on loopback: gives files, answers calls as it is told, and keeps what it was sent."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Call:
    """A POST or PUT that arrived; header names are in small letters."""

    headers: dict[str, str]
    body: bytes
    path: str = ""


@dataclass
class Site:
    """`files` maps a path to (status, content type, body); POSTs and PUTs are answered with `statuses`, then 204."""

    port: int = 0
    files: dict[str, tuple[int, str, bytes]] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    gets: list[str] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)  # while clear, /slow is not answered

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def allowance(self) -> str:
        """For FETCH_ALLOW."""
        return f"127.0.0.1:{self.port}"


def handler_of(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.gets.append(self.path)
            if self.path.startswith("/slow"):
                site.held.wait(30)
            status, media, body = site.files.get(self.path, (404, "text/plain", b""))
            self.answer(status, media, body)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            site.calls.append(Call({name.lower(): value for name, value in self.headers.items()}, body, self.path))
            self.answer(site.statuses.pop(0) if site.statuses else 204, "text/plain", b"")

        def do_PUT(self) -> None:
            self.do_POST()

        def answer(self, status: int, media: str, body: bytes) -> None:
            with contextlib.suppress(ConnectionError):
                self.send_response(status)
                self.send_header("Content-Type", media)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@contextlib.contextmanager
def small_site() -> Iterator[Site]:
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(site))
    server.daemon_threads = True
    site.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        site.held.set()
        server.shutdown()
        thread.join()
        server.server_close()
