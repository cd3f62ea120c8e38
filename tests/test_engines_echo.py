"""The echo engine: its text is deterministic, its time is a GPU's, and its faults come as told."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from workers.engines import Control, Generation, OutOfMemory, PageRequest, Prepared, TransientEngineError
from workers.engines.echo import EchoEngine, EchoOptions
from workers.repetition import cut_loop


def draw(shade: int = 200, size: tuple[int, int] = (64, 96)) -> Image.Image:
    return Image.new("RGB", size, (shade, shade, shade))


def page(number: int, prompt: str = "", *, shade: int = 200, **request: Any) -> Prepared:
    asked = PageRequest(page_number=number, prompt=prompt, **request)
    return EchoEngine(EchoOptions()).prepare(draw(shade), asked)


def run(*pages: Prepared, control: Control | None = None, **options: Any) -> list[Generation]:
    return EchoEngine(EchoOptions(**options)).generate(pages, control or Control())


def test_text_names_page_size_pixels_and_prompt() -> None:
    (generation,) = run(page(12, "What is this?"))
    first, _, last = generation.text.split("\n")
    assert first.startswith("page 12 of 64x96, pixels ")
    assert last == "What is this?"
    assert generation.stop_reason == "stop"
    assert generation.tokens == len(generation.text.split())


def test_batch_says_what_single_pages_say() -> None:
    pages = [page(number, shade=number) for number in range(1, 30)]
    assert run(*pages) == [generation for each in pages for generation in run(each)]


def test_other_pixels_make_other_text() -> None:
    dark, light = run(page(1, shade=10), page(1, shade=11))
    assert dark.text != light.text


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_page_from_png_equals_the_prepared_one(mode: str) -> None:
    engine = EchoEngine(EchoOptions())
    request = PageRequest(page_number=3)
    out = io.BytesIO()
    draw().convert(mode).save(out, "PNG")
    assert engine.pack(engine.prepare(draw(), request)) is None
    assert run(engine.unpack(out.getvalue(), request)) == run(engine.prepare(draw(), request))


def test_image_spec_follows_the_options() -> None:
    spec = EchoEngine(EchoOptions(resize_factor=28, max_dimension=700)).image_spec
    assert (spec.factor, spec.max_side) == (28, 700)


def test_time_does_not_grow_with_the_batch() -> None:
    started = time.monotonic()
    run(*(page(number) for number in range(1, 21)), seconds=0.1)
    assert 0.1 <= time.monotonic() - started < 1.0


def test_slow_page_leaves_its_batch_early_enough() -> None:
    started = time.monotonic()
    generations = run(page(1, "!slow 2 0.3"), page(2, "!slow 2 0.3"))
    assert time.monotonic() - started >= 0.3
    assert [generation.stop_reason for generation in generations] == ["stop", "stop"]


def test_cancelled_row_stops_and_the_others_go_on() -> None:
    control = Control()
    timer = threading.Timer(0.05, control.cancelled.add, [1])
    timer.start()
    first, second, third = run(page(1), page(2), page(3), control=control, seconds=0.3)
    timer.join()
    assert [first.stop_reason, second.stop_reason, third.stop_reason] == ["stop", "cancelled", "stop"]
    assert len(second.text) < len(third.text)


def test_cancelling_all_rows_ends_the_batch_at_once() -> None:
    control = Control(cancelled={0, 1})
    started = time.monotonic()
    generations = run(page(1), page(2), control=control, seconds=60.0)
    assert time.monotonic() - started < 1.0
    assert {generation.stop_reason for generation in generations} == {"cancelled"}


def test_deadline_stops_every_row() -> None:
    control = Control(deadline=time.monotonic() + 0.05)
    generations = run(page(1), page(2), control=control, seconds=60.0)
    assert {generation.stop_reason for generation in generations} == {"timeout"}


def test_partial_texts_grow_towards_the_whole() -> None:
    told: list[str] = []
    control = Control(on_text=lambda _, text: told.append(text))
    (generation,) = run(page(1), control=control, seconds=0.8)
    assert 1 <= len(told) <= 4
    assert all(generation.text.startswith(text) for text in told)
    assert [len(text) for text in told] == sorted(len(text) for text in told)


def test_quick_page_is_told_before_the_slow_one_ends() -> None:
    told: list[tuple[int, Generation]] = []
    control = Control(on_done=lambda row, generation: told.append((row, generation)))
    generations = run(page(1, "!slow 1 0.2"), page(2, "!slow 1 0.2"), control=control)
    assert told == [(1, generations[1]), (0, generations[0])]


def test_raise_fails_its_page_alone() -> None:
    one, two, three = run(*(page(number, "!raise 2") for number in (1, 2, 3)))
    assert (one.stop_reason, two.stop_reason, three.stop_reason) == ("stop", "error", "stop")
    assert "page 2" in two.error


def test_transient_raises_for_the_batch() -> None:
    with pytest.raises(TransientEngineError):
        run(page(1, "!transient 2"), page(2, "!transient 2"))
    assert run(page(1, "!transient 2"))[0].stop_reason == "stop"


def test_out_of_memory_passes_when_the_page_is_alone() -> None:
    with pytest.raises(OutOfMemory):
        run(page(3, "!oom 3"), page(4, "!oom 3"))
    assert run(page(3, "!oom 3"))[0].stop_reason == "stop"


def test_several_directives_in_one_prompt() -> None:
    prompt = "Read this.\n!raise 1 !raise 3\t!slow 2 0.01"
    assert [each.stop_reason for each in run(*(page(number, prompt) for number in (1, 2, 3)))] == [
        "error",
        "stop",
        "error",
    ]


@pytest.mark.parametrize(
    ("directive", "temperature", "stop_reason"),
    [("!loop 1", 0.0, "repetition"), ("!loop 1", 0.5, "stop"), ("!loopalways 1", 0.5, "repetition")],
)
def test_loop_depends_on_the_temperature(directive: str, temperature: float, stop_reason: str) -> None:
    (generation,) = run(page(1, directive, temperature=temperature))
    assert generation.stop_reason == stop_reason
    if stop_reason == "repetition":
        assert len(cut_loop(generation.text)) < 200 < len(generation.text)


def test_answer_longer_than_allowed_is_cut() -> None:
    (generation,) = run(page(1, "one two three", max_new_tokens=3))
    assert (generation.text, generation.stop_reason, generation.tokens) == ("page 1 of", "length", 3)


CHILD = """
import sys
from PIL import Image
from workers.engines import Control, PageRequest
from workers.engines.echo import EchoEngine, EchoOptions
engine = EchoEngine(EchoOptions())
page = engine.prepare(Image.new("RGB", (32, 32)), PageRequest(page_number=3, prompt=sys.argv[1]))
sys.stdout.write("ready\\n")
sys.stdout.flush()
engine.generate([page], Control(deadline=0.0, cancelled={0}))
sys.stdout.write("done\\n")
"""


@pytest.fixture
def start_child() -> Iterator[list[subprocess.Popen[str]]]:
    children: list[subprocess.Popen[str]] = []
    yield children
    for child in children:
        child.kill()
        child.communicate()


def start(children: list[subprocess.Popen[str]], prompt: str) -> subprocess.Popen[str]:
    root = str(Path(__file__).parents[1])
    env = os.environ | {"PYTHONPATH": root}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, prompt], stdout=subprocess.PIPE, text=True, env=env, cwd=root
    )
    children.append(child)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def test_kill_kills_the_process(start_child: list[subprocess.Popen[str]]) -> None:
    assert start(start_child, "!kill 3").wait(timeout=30) == -signal.SIGKILL


def test_hang_ignores_cancellation_and_deadline(start_child: list[subprocess.Popen[str]]) -> None:
    child = start(start_child, "!hang 3")
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(timeout=0.5)
