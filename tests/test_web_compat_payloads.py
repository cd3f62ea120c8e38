"""JSON with files in it: they go to disk as they come, whatever the pieces; what is no JSON or base64 is refused."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from web_service import WebService, web_service

from web.api.bodies import MIB
from web.api.problems import Problem
from web.compat import payloads
from web.compat.payloads import LONG, Payload, read_payload

FILE = bytes(range(256)) * 400  # long enough to be taken out
TEXT = base64.b64encode(FILE).decode()


class Pieces(io.BytesIO):
    """Gives less than it is asked for, as a connection does."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__(data)
        self.size = size

    def read(self, size: int | None = -1) -> bytes:
        return super().read(self.size if size is None or size < 0 else min(size, self.size))


@contextlib.contextmanager
def read(web: WebService, body: bytes, size: int = 1 << 30) -> Iterator[Payload]:
    stream = Pieces(body, size)
    with web.app.test_request_context(
        "/v1/convert/source",
        method="POST",
        input_stream=stream,
        content_length=len(body),
        content_type="application/json",
    ):
        web.app.preprocess_request()
        yield read_payload()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 4096, 1 << 30])
def test_files_are_taken_out_whatever_the_pieces_are(web: WebService, size: int) -> None:
    body = {"a": 'short "quoted" \\ ü', "sources": [{"base64_string": TEXT}], "b": [1, None, {}], "url": f"x{TEXT[:9]}"}
    with read(web, json.dumps(body).encode(), size) as payload:
        word = payload.data["sources"][0]["base64_string"]
        assert payload.data == body | {"sources": [{"base64_string": word}]}
        assert payload.document(word).stream.read() == FILE


@pytest.mark.parametrize(
    "write",
    [
        lambda text: text.replace("/", "\\/"),
        lambda text: text.replace("+", "\\u002b").replace("/", "\\u002F"),
        lambda text: "\\n".join(text[at : at + 76] for at in range(0, len(text), 76)),
        lambda text: text.rstrip("="),
        lambda text: f"data:application/pdf;base64,{text}",
    ],
)
@pytest.mark.parametrize("size", [7, 1000, 1 << 30])
def test_base64_is_read_in_every_way_it_is_written(web: WebService, write: Callable[[str], str], size: int) -> None:
    for content in (FILE + b"x", b"short"):
        text = write(base64.b64encode(content).decode())
        with read(web, b'{"file": "' + text.encode() + b'"}', size) as payload:
            assert payload.document(payload.data["file"]).stream.read() == content


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "bad-request"),
        (b"[]", "bad-request"),
        (b'{"a": "b', "bad-request"),
        (b'{"a": "' + TEXT.encode(), "bad-request"),
        (b'{"a": "\\uZZZZ' + b"x" * 10 + b'"}', "bad-request"),
        (b'{"a": "' + TEXT.encode() + b"\\q" * 5 + b'"}', "bad-request"),
        (b'{"a": "' + b"\xff" * LONG * 2 + b'"}', "bad-request"),
        (b'{"a": "' + "é".encode() * LONG + b'"}', "bad-request"),
        (b'{"a": "' + b"not base64! " * LONG + b'"}', "damaged-file"),
        (b'{"a": "' + TEXT.encode() + b'=="}', "damaged-file"),
        (b"[" * 100, "bad-request"),
        (b'{"a": [' + b"1," * 600_000 + b"1]}", "too-large"),
        (b'{"a": [' + b",".join([b'"' + TEXT.encode() + b'"'] * 9) + b"]}", "too-many-parts"),
    ],
)
def test_what_is_no_json_or_no_base64_is_refused(web: WebService, body: bytes, kind: str) -> None:
    with pytest.raises(Problem) as caught, read(web, body):
        pass
    assert caught.value.kind == kind


def test_file_in_json_has_the_limit_of_uploads(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with web_service(redis_url, tmp_path, monkeypatch, max_upload_mb=1) as web:
        fits = base64.b64encode(bytes(MIB))
        with read(web, b'{"a": "' + fits + b'"}') as payload:
            assert payload.document(payload.data["a"]).stream.read() == bytes(MIB)
        with pytest.raises(Problem) as caught, read(web, b'{"a": "' + base64.b64encode(bytes(MIB + 1)) + b'"}'):
            pass
        assert caught.value.kind == "too-large"


def test_large_file_takes_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    class Made(io.RawIOBase):
        """Forty megabytes of JSON, made as they are read."""

        left = 40

        def read(self, size: int = -1) -> Any:  # noqa: ARG002
            self.left -= 1
            return b'{"a": "' if self.left == 39 else b"QUJD" * (MIB // 4) if self.left > 0 else b'"}' * (not self.left)

    files: list[int] = []

    class Sink(io.BytesIO):
        def write(self, data: Any) -> int:
            files.append(len(data))
            return len(data)

    monkeypatch.setattr(payloads, "open_file", Sink)
    splitter, made = payloads.Splitter(), Made()
    tracemalloc.start()
    try:
        while chunk := made.read():
            splitter.add(chunk)
        assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    finally:
        tracemalloc.stop()
    assert sum(files) == 38 * MIB * 3 // 4
