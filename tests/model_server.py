"""A chat-completions server on loopback whose model is a function of the prompt and the image that it is sent."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image
from services import serving

Model = Callable[[str, Image.Image], str]


class ModelServer(ThreadingHTTPServer):
    """Keeps what it was asked: `bodies` without images, in the order that they came."""

    daemon_threads = True

    def __init__(self, model: Model) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.model = model
        self.bodies: list[dict[str, Any]] = []

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ModelServer

    def do_GET(self) -> None:
        self.reply("application/json", json.dumps({"object": "list", "data": []}))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        parts = body.pop("messages")[-1]["content"]
        prompt = "".join(part["text"] for part in parts if part["type"] == "text")
        url = next(part["image_url"]["url"] for part in parts if part["type"] == "image_url")
        with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
            text = self.server.model(prompt, image.convert("RGB"))
        self.server.bodies.append(body | {"prompt": prompt})
        usage = {"prompt_tokens": 1, "completion_tokens": len(text)}
        if body.get("stream"):
            half = len(text) // 2
            ends = {"index": 0, "delta": {}, "finish_reason": "stop"}
            chunks = [{"choices": [{"index": 0, "delta": {"content": part}}]} for part in (text[:half], text[half:])]
            events = [*chunks, {"choices": [ends]}, {"choices": [], "usage": usage}]
            said = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
            self.reply("text/event-stream", said)
        else:
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            self.reply("application/json", json.dumps({"choices": [choice], "usage": usage}))

    def reply(self, kind: str, text: str) -> None:
        data = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serve_model(model: Model) -> Iterator[ModelServer]:
    """A server that runs until the block ends."""
    server = ModelServer(model)
    with serving(server):
        yield server
