"""A chat-completions server on loopback that misbehaves as it is told, and counts what it sees.

What happens to a page is a list of words, one an attempt; after the list all is well:

    ok           a good answer: the prompt, and a digest of the pixels it was sent
    slow         the same, a second later than others
    429          Retry-After of `retry_after`, then nothing
    400, 500, …  any other status, with a message
    drop         the connection breaks in the middle of the body
    never        no answer, until the client goes away
    garbage      a body that is no JSON
    length       an answer cut at max_tokens
    filter       an answer the content filter withheld
    loop         a slow answer that repeats itself, unless the temperature is above 0
    trickle      an answer of which a piece comes every third of a second, and no end
    detected     an answer stopped by the server's own detection of loops
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import select
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image
from services import serving

SLOW_S = 1.0


class FaultServer(ThreadingHTTPServer):
    """`plan` names the faults by prompt. Counters may be read at any time."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        plan: Mapping[str, Sequence[str]] | None = None,
        *,
        latency_s: float = 0.0,
        retry_after: str = "0.2",
        port: int = 0,
    ) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.plan, self.latency_s, self.retry_after = plan or {}, latency_s, retry_after
        self.sick = ""  # a word that goes for every request, as long as it is set
        self.lock = threading.Lock()
        self.attempts: dict[str, list[float]] = defaultdict(list)  # by prompt, time.monotonic() of each
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.finished: list[str] = []  # prompts in the order of their good answers
        self.in_flight = self.max_in_flight = self.num_gone = self.num_connections = 0
        self.num_events = 0  # sent of answers in pieces

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    @property
    def num_requests(self) -> int:
        with self.lock:
            return sum(map(len, self.attempts.values()))

    def process_request(self, request: Any, client_address: Any) -> None:
        self.num_connections += 1
        super().process_request(request, client_address)

    def begin(self, prompt: str) -> str:
        """Count a request in and say what happens to it."""
        with self.lock:
            words = self.plan.get(prompt, ())
            number = len(self.attempts[prompt])
            self.attempts[prompt].append(time.monotonic())
            self.in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self.in_flight)
            return self.sick or (words[number] if number < len(words) else "ok")

    def end(self) -> None:
        with self.lock:
            self.in_flight -= 1


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FaultServer

    def do_GET(self) -> None:
        self.reply(200, {"object": "list", "data": []})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        image, prompt = body["messages"][0]["content"]
        self.server.bodies.append(body)
        self.server.headers.append(dict(self.headers))
        word = self.server.begin(prompt["text"])
        try:
            if self.wait(60.0 if word == "never" else self.server.latency_s + SLOW_S * (word == "slow")):
                self.answer(word, body, prompt["text"], image["image_url"]["url"])
        finally:
            self.server.end()

    def wait(self, seconds: float) -> bool:
        """Whether the client is still there after `seconds`."""
        if not seconds:
            return True
        readable, _, _ = select.select([self.connection], [], [], seconds)
        if readable and not self.connection.recv(1, socket.MSG_PEEK):
            self.server.num_gone += 1
            self.close_connection = True
            return False
        return True

    def answer(self, word: str, body: dict[str, Any], prompt: str, url: str) -> None:
        if word.isdigit():
            extra = {"Retry-After": self.server.retry_after} if word == "429" else {}
            self.reply(int(word), {"error": {"message": f"told to answer {word}"}}, headers=extra)
            return
        text = f"{prompt}: pixels {digest(url)}"
        if word == "trickle":
            text += " and so on" * 99
        if word == "loop" and body["temperature"] == 0:
            text += " again and again" * 200
        reason = {"length": "length", "filter": "content_filter"}.get(word, "stop")
        choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": text}}
        choice |= {"finish_reason": reason, "stop_reason": "repetition_detected" if word == "detected" else None}
        tokens = len(text.split())
        whole = {"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": tokens}}
        if word == "drop":
            self.reply(200, whole, cut=20)
        elif word == "garbage":
            self.reply(200, "<html>not JSON")
        elif body["stream"]:
            self.server.finished.append(prompt)
            self.stream(
                text,
                choice,
                tokens if body.get("stream_options") else 0,
                pause_s={"loop": 0.01, "trickle": 0.3}.get(word, 0.0),
            )
        else:
            self.server.finished.append(prompt)
            self.reply(200, whole)

    def stream(self, text: str, choice: dict[str, Any], tokens: int, *, pause_s: float) -> None:
        """The answer in pieces, as long as the client is there."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        pieces = [text[start : start + 16] for start in range(0, len(text), 16)]
        deltas = [{"index": 0, "delta": {"content": piece}, "finish_reason": None} for piece in pieces]
        events: list[dict[str, Any]] = [{"choices": [delta]} for delta in deltas]
        events.append(
            {"choices": [{"index": 0, "delta": {}} | {k: choice[k] for k in ("finish_reason", "stop_reason")}]}
        )
        events += [{"choices": [], "usage": {"completion_tokens": tokens}}] if tokens else []
        for event in [*map(json.dumps, events), "[DONE]"]:
            if not self.wait(pause_s):
                return
            self.write_chunk(f"data: {event}\n\n".encode())
            self.server.num_events += 1
        self.write_chunk(b"")

    def write_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def reply(self, status: int, content: object, *, cut: int = 0, headers: Mapping[str, str] | None = None) -> None:
        data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[:cut] if cut else data)
        self.close_connection |= bool(cut)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def digest(url: str) -> str:
    """Of the pixels in a JPEG data URL."""
    head, _, data = url.partition(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data)), formats=["JPEG"]) as image:
        return hashlib.sha256(image.tobytes()).hexdigest()[:12]


@contextmanager
def serve(plan: Mapping[str, Sequence[str]] | None = None, **options: Any) -> Iterator[FaultServer]:
    """A server that runs until the block ends."""
    server = FaultServer(plan, **options)
    with serving(server):
        yield server
