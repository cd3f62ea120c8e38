"""What the end-to-end tests need: documents of any length, and a stack to send them to and to break."""

from __future__ import annotations

import contextlib
import os
import signal
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import httpx
import psutil
import pymupdf

from tasks.ledger import Ledger, connect
from web.stack.stack import Stack


@cache
def make_pdf(num_pages: int, *, width: int = 200, height: int = 280, first: int = 1) -> bytes:
    """A PDF whose every page says its number; pages differ, so that none is mistaken for another."""
    with pymupdf.open() as document:
        for number in range(first, first + num_pages):
            sheet = document.new_page(width=width, height=height)
            sheet.insert_text((20, 60), f"Page {number}", fontsize=30)
        return bytes(document.tobytes(deflate=True))


@contextlib.contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    """Let a server answer in a thread of its own until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def wait_until(condition: Callable[[], Any], timeout_s: float, what: str = "the condition") -> Any:
    """The first true value of `condition`; fails the test when there is none in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come true within {timeout_s:g} s")


class Service:
    """A running stack, as its users and its enemies see it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.http = httpx.Client(base_url=f"{stack.base_url}/api/v1", timeout=60)
        self.ledger = Ledger(connect(stack.redis_url))

    def close(self) -> None:
        self.http.close()
        self.ledger.redis.close()

    def submit(self, data: bytes, name: str = "test.pdf", **options: Any) -> str:
        answer = self.http.post("/jobs", files={"file": (name, data)}, data=options)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["jobs"][0]["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self.http.get(f"/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def wait(self, job_id: str, timeout_s: float = 120) -> dict[str, Any]:
        """The job when it has ended."""
        deadline = time.monotonic() + timeout_s
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = self.http.get(f"/jobs/{job_id}", params={"wait": "5"})
                if answer.status_code == 200 and answer.json()["state"] in ENDED:
                    return dict(answer.json())
            assert time.monotonic() < deadline, f"job {job_id} did not end in {timeout_s} s: {self.ledger.job(job_id)}"
            time.sleep(0.05)

    def result(self, job_id: str) -> dict[str, Any]:
        return dict(self.http.get(f"/jobs/{job_id}/result", params={"format": "json"}).json())

    def check_complete(self, job_id: str, num_pages: int) -> dict[str, Any]:
        """Every page exactly once, in page order, none missing."""
        result = self.result(job_id)
        assert [page["page_number"] for page in result["pages"]] == list(range(1, num_pages + 1))
        assert {page["state"] for page in result["pages"]} == {"ok"}
        for page in result["pages"]:
            assert page["text"].startswith(f"page {page['page_number']} ")
        return result

    def generations(self) -> int:
        """How many pages were generated and stored so far, by all workers."""
        return sum(
            int(float(value))
            for key, value in self.ledger.redis.hgetall("pf:metrics").items()
            if "page_seconds" in key and "generate" in key and '"sum"' not in key
        )

    def kill_child(self, name: str) -> None:
        """SIGKILL one child of a worker process, the model's owner or a renderer."""
        wait_until(lambda: self.children(name), 30, f"a child of {name}")[-1].kill()

    def children(self, name: str) -> list[psutil.Process]:
        """The processes that a worker has spawned for its work."""
        with contextlib.suppress(psutil.NoSuchProcess):
            family = psutil.Process(self.stack.processes[name].pid).children(recursive=True)
            return [child for child in family if "spawn_main" in " ".join(child.cmdline())]
        return []

    def kill_host(self, name: str) -> None:
        """SIGKILL a worker and all its children at once, as a power cut does."""
        os.killpg(self.stack.processes[name].pid, signal.SIGKILL)


ENDED = frozenset({"succeeded", "partial", "failed", "cancelled"})
