"""The openai engine: parallel requests give what one after another gives, and every fault costs its own page only."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import BytesIO
from itertools import pairwise
from typing import Any

import pytest
from fault_server import serve
from PIL import Image
from services import wait_until

from workers.engines import Control, EngineError, Generation, PageRequest, Prepared
from workers.engines.openai.engine import OpenAIEngine
from workers.engines.openai.options import OpenAIOptions
from workers.engines.registry import load_engine

StartEngine = Callable[..., OpenAIEngine]


@pytest.fixture
def start_engine() -> Iterator[StartEngine]:
    """A function that makes and loads an engine; all are closed at the end."""
    with ExitStack() as engines:

        def start(base_url: str, **options: object) -> OpenAIEngine:
            wanted: dict[str, Any] = {"base_url": base_url, "model": "m", "timeout_s": 30.0} | options
            engine = OpenAIEngine(OpenAIOptions(**wanted))
            engine.load()
            engines.callback(engine.close)
            return engine

        yield start


def page(number: int, **request: Any) -> Prepared:
    image = Image.linear_gradient("L").resize((48 + number % 7, 64)).convert("RGB")
    asked = PageRequest(page_number=number, prompt=f"page {number}", **request)
    return Prepared(request=asked, image=image)


def run(engine: OpenAIEngine, num_pages: int, control: Control | None = None) -> list[Generation]:
    return engine.generate([page(number) for number in range(1, num_pages + 1)], control or Control())


def outcomes(generations: list[Generation]) -> list[str]:
    return [generation.stop_reason for generation in generations]


def test_request_is_a_chat_completion_with_the_page_as_jpeg(start_engine: StartEngine) -> None:
    with serve() as server:
        engine = start_engine(server.base_url, api_key="secret")
        (generation,) = engine.generate([page(1, max_new_tokens=77, temperature=0.5)], Control())
    (body,) = server.bodies
    assert set(body) == {"model", "messages", "max_tokens", "temperature", "stream", "stream_options"}
    assert (body["model"], body["max_tokens"], body["temperature"], body["stream"]) == ("m", 77, 0.5, True)
    assert server.headers[0]["Authorization"] == "Bearer secret"
    assert generation.text.startswith("page 1: pixels ")
    assert (generation.stop_reason, generation.tokens) == ("stop", 4)


def test_page_from_png_equals_the_prepared_one(start_engine: StartEngine) -> None:
    out = BytesIO()
    prepared = page(1)
    assert prepared.image is not None
    prepared.image.save(out, "PNG")
    with serve() as server:
        engine = start_engine(server.base_url)
        unpacked = engine.unpack(out.getvalue(), prepared.request)
        first, second = (engine.generate([each], Control()) for each in (prepared, unpacked))
    assert first == second


def test_parallel_pages_equal_sequential_ones_in_order_and_number(start_engine: StartEngine) -> None:
    with serve(latency_s=0.02) as server:
        sequential = run(start_engine(server.base_url), 12)
        assert server.max_in_flight == 1
        assert server.finished == [f"page {number}" for number in range(1, 13)]
    plan = {f"page {number}": ["slow"] for number in (1, 6)}
    with serve(plan, latency_s=0.05) as server:
        parallel = run(start_engine(server.base_url, parallel_requests=4), 12)
        assert server.max_in_flight == 4
        assert server.num_connections <= 5
        assert server.finished != sorted(server.finished, key=lambda prompt: int(prompt.split()[1]))
    assert parallel == sequential
    assert [generation.text.partition(":")[0] for generation in parallel] == [f"page {n}" for n in range(1, 13)]


@pytest.mark.parametrize("word", ["500", "503", "502", "408", "429", "drop", "garbage"])
def test_fault_that_passes_costs_an_attempt(start_engine: StartEngine, word: str) -> None:
    with serve({"page 2": [word]}) as server:
        engine = start_engine(server.base_url, parallel_requests=2)
        generations = run(engine, 3)
    assert outcomes(generations) == ["stop"] * 3
    assert [len(server.attempts[f"page {number}"]) for number in (1, 2, 3)] == [1, 2, 1]


@pytest.mark.parametrize(
    ("words", "reason", "error"),
    [
        (["400"], "error", "the model server answered 400: told to answer 400"),
        (["401"], "error", "the model server answered 401: told to answer 401; check OPENAI_API_KEY"),
        (["500", "500"], "error", "the model server answered 500: told to answer 500"),
        (["drop", "drop"], "error", "the model server broke the connection: "),
        (["garbage", "garbage"], "error", "the model server's answer is no chat completion"),
        (["500", "400"], "error", "the model server answered 400"),
        (["length"], "length", ""),
        (["filter"], "content_filter", ""),
        (["loop"], "repetition", ""),
        (["detected"], "repetition", ""),
    ],
)
def test_fault_that_stays_ends_its_page_only(
    start_engine: StartEngine, words: list[str], reason: str, error: str
) -> None:
    with serve({"page 2": words}) as server:
        generations = run(start_engine(server.base_url), 3)
    assert outcomes(generations) == ["stop", reason, "stop"]
    assert generations[1].error.startswith(error)
    assert len(server.attempts["page 2"]) == len(words)


def test_looping_page_comes_out_well_when_hotter(start_engine: StartEngine) -> None:
    with serve({"page 1": ["loop", "loop"]}) as server:
        engine = start_engine(server.base_url)
        (cold,), (hot,) = (engine.generate([page(1, temperature=heat)], Control()) for heat in (0.0, 0.3))
    assert (cold.stop_reason, hot.stop_reason) == ("repetition", "stop")


def test_retry_after_is_honoured(start_engine: StartEngine) -> None:
    with serve({"page 1": ["429"]}, retry_after="1") as server:
        assert outcomes(run(start_engine(server.base_url), 1)) == ["stop"]
    first, second = server.attempts["page 1"]
    assert second - first >= 1.0


def test_retry_after_beyond_the_pages_time_ends_the_page_at_once(start_engine: StartEngine) -> None:
    with serve({"page 1": ["429"]}, retry_after="3600") as server:
        started = time.monotonic()
        (generation,) = run(start_engine(server.base_url), 1)
    assert generation.stop_reason == "error"
    assert time.monotonic() - started < 10


def test_page_has_its_whole_time_for_the_first_attempt(start_engine: StartEngine) -> None:
    with serve({"page 1": ["slow"]}) as server:
        assert outcomes(run(start_engine(server.base_url, timeout_s=1.6), 1)) == ["stop"]
        assert len(server.attempts["page 1"]) == 1


def test_attempt_that_took_longer_than_is_left_is_not_made_again(start_engine: StartEngine) -> None:
    with serve({"page 1": ["500"]}, latency_s=1.0) as server:
        assert outcomes(run(start_engine(server.base_url, timeout_s=1.8), 1)) == ["error"]
        assert len(server.attempts["page 1"]) == 1


def test_page_without_answer_times_out_alone(start_engine: StartEngine) -> None:
    with serve({"page 1": ["never"] * 5}) as server:
        generations = run(start_engine(server.base_url, timeout_s=1.0, parallel_requests=2), 4)
        wait_until(lambda: server.num_gone == 1, 5)
    assert outcomes(generations) == ["timeout", "stop", "stop", "stop"]


def test_deadline_of_the_batch_ends_every_page(start_engine: StartEngine) -> None:
    with serve({"page 1": ["never"]}) as server:
        generations = run(start_engine(server.base_url), 3, Control(deadline=time.monotonic() + 0.5))
    assert outcomes(generations) == ["timeout"] * 3


def test_cancelled_page_aborts_its_request_and_no_other(start_engine: StartEngine) -> None:
    plan = {"page 1": ["never"], "page 2": ["slow"]}
    with serve(plan) as server:
        engine = start_engine(server.base_url, parallel_requests=2)
        control = Control()

        def cancel() -> None:
            wait_until(lambda: server.in_flight == 2, 10)
            control.cancelled.update({0, 3})

        thread = threading.Thread(target=cancel)
        thread.start()
        generations = run(engine, 4, control)
        thread.join()
        wait_until(lambda: server.num_gone == 1, 5, "the server to see the disconnect")
    assert outcomes(generations)[:2] == ["cancelled", "stop"]
    assert outcomes(generations)[2] == "stop"
    assert len(server.attempts["page 1"]) == 1


def test_page_is_told_while_another_waits_for_its_answer(start_engine: StartEngine) -> None:
    told: dict[int, Generation] = {}
    with serve({"page 1": ["never"]}) as server:

        def note(row: int, generation: Generation) -> None:
            told[row] = generation
            if set(told) == {1, 2}:
                control.cancelled.add(0)

        control = Control(on_done=note)
        generations = run(start_engine(server.base_url, parallel_requests=3), 3, control)
    assert outcomes(generations) == ["cancelled", "stop", "stop"]
    assert generations == [told[row] for row in range(3)]


def test_hundred_pages_with_faults_of_every_kind_are_all_accounted_for(start_engine: StartEngine) -> None:
    kinds: dict[int, tuple[list[str], str]] = {
        5: (["slow"], "stop"),
        15: (["429"], "stop"),
        25: (["500"], "stop"),
        35: (["drop"], "stop"),
        45: (["never"] * 2, "timeout"),
        55: (["garbage"], "stop"),
        65: (["length"], "length"),
        75: (["loop"], "repetition"),
        85: (["400"], "error"),
        95: (["500", "drop"], "error"),
    }
    with serve({f"page {number}": words for number, (words, _) in kinds.items()}) as server:
        engine = start_engine(server.base_url, parallel_requests=4, timeout_s=4.0)
        generations = run(engine, 100)
    assert outcomes(generations) == [kinds[n][1] if n in kinds else "stop" for n in range(1, 101)]
    for number, generation in enumerate(generations, 1):
        if generation.stop_reason == "stop":
            assert generation.text.startswith(f"page {number}: ")
    assert server.max_in_flight <= 4
    assert engine.client is not None
    counted = [outcome for outcome, _ in engine.client.requests]
    assert {name: counted.count(name) for name in set(counted)} == {
        "stop": 95, "length": 1, "repetition": 1, "timeout": 1,
        "http_429": 1, "http_500": 2, "dropped": 2, "invalid": 1, "http_400": 1,
    }  # fmt: skip
    assert len(engine.page_seconds) == 100


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_pages_wait_for_a_server_that_is_down_and_it_says_so(start_engine: StartEngine) -> None:
    port = free_port()
    engine = start_engine(f"http://127.0.0.1:{port}/v1", parallel_requests=4)
    wait_until(lambda: engine.trouble, 10, "trouble at the start, before any page")
    results: list[Generation] = []
    thread = threading.Thread(target=lambda: results.extend(run(engine, 8)))
    thread.start()
    client = engine.client
    assert client is not None
    wait_until(lambda: len(client.requests) >= 3, 20, "trials")
    assert "cannot be reached" in engine.trouble
    with serve(port=port) as server:
        thread.join(30)
        assert engine.trouble == ""
    assert outcomes(results) == ["stop"] * 8
    assert {len(times) for times in server.attempts.values()} == {1}


def test_server_that_refuses_a_page_is_up_again(start_engine: StartEngine) -> None:
    port = free_port()
    engine = start_engine(f"http://127.0.0.1:{port}/v1")
    wait_until(lambda: engine.trouble, 10)
    with serve({"page 1": ["400"]}, port=port):
        assert outcomes(run(engine, 1)) == ["error"]
        assert engine.trouble == ""


def test_server_that_stays_down_ends_pages_with_the_reason_after_their_time(start_engine: StartEngine) -> None:
    engine = start_engine(f"http://127.0.0.1:{free_port()}/v1", parallel_requests=2, timeout_s=1.5)
    started = time.monotonic()
    generations = run(engine, 2)
    assert time.monotonic() - started > 1.4
    assert outcomes(generations) == ["error"] * 2
    assert all("cannot be reached" in generation.error for generation in generations)
    assert engine.client is not None
    assert len(engine.client.requests) < 12


def test_server_errors_of_many_pages_make_the_others_wait(
    start_engine: StartEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pages under way use up their attempts; then one page at a time tries, and none is lost."""
    monkeypatch.setattr("workers.engines.openai.breaker.LONGEST_PAUSE_S", 0.3)
    with serve(latency_s=0.05) as server:
        server.sick = "500"
        engine = start_engine(server.base_url, parallel_requests=2)
        results: list[Generation] = []
        thread = threading.Thread(target=lambda: results.extend(run(engine, 8)))
        thread.start()
        wait_until(lambda: engine.trouble and server.num_requests >= 8, 20, "trials")
        server.sick = ""
        thread.join(30)
    assert outcomes(results)[2:] == ["stop"] * 6
    assert engine.trouble == ""


def test_page_that_always_breaks_the_server_stops_no_other(start_engine: StartEngine) -> None:
    with serve({"page 1": ["500"] * 99}) as server:
        generations = run(start_engine(server.base_url, retry_count=4), 3)
    assert outcomes(generations) == ["error", "stop", "stop"]
    assert len(server.attempts["page 1"]) == 4


def test_idle_engine_notices_that_the_server_is_back(
    start_engine: StartEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.engines.openai.engine.LOOK_S", 0.1)
    port = free_port()
    engine = start_engine(f"http://127.0.0.1:{port}/v1")
    wait_until(lambda: engine.trouble, 10)
    with serve(port=port):
        wait_until(lambda: not engine.trouble, 10)


@pytest.mark.parametrize("options", [{"model": "m"}, {"base_url": "http://127.0.0.1:1/v1"}])
def test_missing_address_or_model_is_told(options: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match=r"set OPENAI_BASE_URL .* and MODEL"):
        load_engine("openai", OpenAIOptions(**options)).load()


def test_text_comes_while_the_answer_is_written_and_a_loop_ends_it_early(
    start_engine: StartEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.engines.openai.server.TELL_S", 0.0)
    seen: list[str] = []
    with serve({"page 1": ["loop"]}) as server:
        (generation,) = run(start_engine(server.base_url), 1, Control(on_text=lambda _, text: seen.append(text)))
        wait_until(lambda: server.in_flight == 0, 5, "the server to stop")
        assert server.num_events < 3200 // 16, "the rest was not waited for"
    assert generation.stop_reason == "repetition"
    assert len(seen) > 5
    assert all(after.startswith(before) for before, after in pairwise(seen))
    assert generation.text.startswith(seen[-1])


def test_page_whose_time_is_over_keeps_what_was_said(start_engine: StartEngine) -> None:
    with serve({"page 1": ["trickle"]}) as server:
        (generation,) = run(start_engine(server.base_url, timeout_s=1.0), 1)
    assert generation.stop_reason == "timeout"
    assert generation.text.startswith("page 1")


@pytest.mark.parametrize("status", ["400", "422", "501"])
def test_a_server_that_takes_no_schema_is_asked_without_and_that_is_remembered(
    start_engine: StartEngine, status: str
) -> None:
    with serve({"page 1": [status]}) as server:
        engine = start_engine(server.base_url)
        for number in (1, 2):
            request = PageRequest(
                page_number=number, prompt=f"page {number}", task="extract", schema='{"type":"object"}'
            )
            (generation,) = engine.generate([engine.prepare(Image.new("RGB", (32, 32)), request)], Control())
            assert generation.stop_reason == "stop"
        assert engine.trouble == ""
    assert ["response_format" in body for body in server.bodies] == [True, False, False]


def test_a_schema_is_no_cure_for_other_refusals(start_engine: StartEngine) -> None:
    with serve({"page 1": ["400", "400"]}) as server:
        engine = start_engine(server.base_url)
        request = PageRequest(page_number=1, prompt="page 1", task="extract", schema='{"type":"object"}')
        (generation,) = engine.generate([engine.prepare(Image.new("RGB", (32, 32)), request)], Control())
    assert (generation.stop_reason, len(server.bodies)) == ("error", 2)
    assert "told to answer 400" in generation.error


def test_extra_body_goes_into_every_request_and_has_the_last_word(start_engine: StartEngine) -> None:
    extra = '{"response_format": {"type": "json_object"}, "temperature": 0.2, "stream": false}'
    with serve() as server:
        assert outcomes(run(start_engine(server.base_url, extra_body=extra), 2)) == ["stop", "stop"]
    for body in server.bodies:
        assert (body["response_format"], body["temperature"]) == ({"type": "json_object"}, 0.2)
        assert "stream_options" not in body


@pytest.mark.parametrize(("extra", "reason"), [("{", "is no JSON: "), ("[1]", r"is no JSON object")])
def test_extra_body_that_cannot_be_used_is_told(extra: str, reason: str) -> None:
    options = OpenAIOptions(base_url="http://127.0.0.1:1/v1", model="m", extra_body=extra)
    with pytest.raises(EngineError, match=f"OPENAI_EXTRA_BODY.*{reason}"):
        load_engine("openai", options).load()


def test_pages_are_shared_out_over_servers_and_go_round_one_that_is_down(start_engine: StartEngine) -> None:
    with serve(latency_s=0.05) as first, serve(latency_s=0.05) as second:
        down = f"http://127.0.0.1:{free_port()}/v1"
        engine = start_engine(f"{first.base_url}, {down},{second.base_url}", parallel_requests=4)
        generations = run(engine, 20)
        assert outcomes(generations) == ["stop"] * 20
        assert engine.trouble == "", "one server is enough"
        assert min(first.num_requests, second.num_requests) >= 5
        assert max(first.max_in_flight, second.max_in_flight) <= 3
        first.sick = "500"
        assert outcomes(run(engine, 6)) == ["stop"] * 6, "a page that failed at one server is asked of another"
