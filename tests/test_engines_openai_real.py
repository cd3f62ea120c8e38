"""The openai engine against a real server, `transformers serve`, with a tiny checkpoint of random weights."""

from __future__ import annotations

import base64
import io
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from services import wait_until
from tiny_engines import QUICKEST, SIZES, checkpoint, loaded
from tiny_models import draw_page

from workers.engines import Control, Generation, PageRequest, Prepared
from workers.engines.openai.engine import OpenAIEngine
from workers.engines.openai.options import OpenAIOptions
from workers.engines.openai.wire import data_url

START_S = 120.0


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    for library in ("fastapi", "uvicorn", "openai"):  # what transformers wants for `serve`
        pytest.importorskip(library)
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = Path(sys.executable).with_name("transformers")
    command = [
        str(program),
        "serve",
        str(checkpoint(QUICKEST)),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--device",
        "cpu",
    ]
    log = tmp_path_factory.mktemp("serve") / "log.txt"
    env = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with log.open("wb") as out, subprocess.Popen(command, env=env, stdout=out, stderr=out) as server:
        try:
            wait_until(lambda: server.poll() is not None or is_up(port), START_S, "the server")
            assert server.poll() is None, log.read_text()
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()


def is_up(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def ask(base_url: str, pages: list[Prepared], **options: Any) -> list[Generation]:
    engine = OpenAIEngine(OpenAIOptions(base_url=base_url, model=str(checkpoint(QUICKEST)), **options))
    engine.load()
    with closing(engine):
        return engine.generate(pages, Control())


def page(number: int, size: tuple[int, int], **request: Any) -> Prepared:
    asked = PageRequest(page_number=number, prompt="Read this.", **request)
    return Prepared(request=asked, image=draw_page(*size, number))


def text_of(generation: Generation) -> str:
    return generation.text.rstrip("\ufffd")


def through_jpeg(prepared: Prepared) -> Image.Image:
    """The page as the server sees it."""
    assert prepared.image is not None
    data = base64.b64decode(data_url(prepared.image).partition(",")[2])
    return Image.open(io.BytesIO(data)).convert("RGB")


def test_server_says_what_the_model_says_in_process_one_by_one_and_in_parallel(base_url: str) -> None:
    pages = [page(number, size, max_new_tokens=24) for number, size in enumerate(SIZES, 1)]
    model = loaded(QUICKEST)
    expected = model.generate([model.prepare(through_jpeg(each), each.request) for each in pages], Control())
    sequential = ask(base_url, pages)
    # Bytes that are no whole character yet are not sent, though nothing follows them.
    assert [text_of(generation) for generation in sequential] == [text_of(generation) for generation in expected]
    assert all(generation.text and generation.tokens for generation in sequential)
    assert ask(base_url, pages, parallel_requests=3) == sequential


def test_answer_that_hits_its_limit_is_told_from_one_that_ends(base_url: str) -> None:
    cut = page(1, SIZES[0], max_new_tokens=5)
    whole = replace(cut, request=replace(cut.request, max_new_tokens=400))
    first, second = ask(base_url, [cut, whole])
    assert (first.stop_reason, first.tokens) == ("length", 5)
    assert second.stop_reason in ("stop", "repetition")
    assert second.text.startswith(first.text.rstrip("�"))


def test_model_the_server_does_not_serve_is_an_error_with_its_reason(base_url: str) -> None:
    engine = OpenAIEngine(OpenAIOptions(base_url=base_url, model="other"))
    engine.load()
    with closing(engine):
        (generation,) = engine.generate([page(1, SIZES[0])], Control())
    assert generation.stop_reason == "error"
    assert "answered 4" in generation.error
