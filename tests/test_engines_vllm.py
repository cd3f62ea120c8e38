"""The vllm engine on a stand-in with vLLM's signatures: what it asks, and how pages end."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
import stand_in_vllm
from PIL import Image
from stand_in_vllm import AsyncLLM
from tiny_engines import QUICKEST, checkpoint
from tiny_models import draw_page

from tasks.generate.served import most_pages, takes_single_pages
from workers.engines import Control, EngineBroken, EngineError, PageRequest, Prepared
from workers.engines.registry import load_engine
from workers.engines.vllm import VllmEngine, VllmOptions


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[VllmEngine]:
    for name, module in stand_in_vllm.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    options = VllmOptions(model=str(checkpoint(QUICKEST)), batch_pages=4, arguments='{"max_model_len": 512}')
    engine = VllmEngine(options)
    engine.load()
    with closing(engine):
        yield engine
    assert model().is_shut


def model() -> AsyncLLM:
    assert AsyncLLM.made is not None
    return AsyncLLM.made


def page(engine: VllmEngine, words: str, **request: Any) -> Prepared:
    asked = PageRequest(page_number=1, prompt=f"~{words}~", **request)
    return engine.prepare(draw_page(96, 64, len(words)), asked)


def test_vllm_is_asked_for_a_page_with_its_image_in_the_models_own_chat(engine: VllmEngine) -> None:
    (answer,) = engine.generate([page(engine, "one", max_new_tokens=77, temperature=0.5)], Control())
    assert answer.text.startswith("one pixels ")
    assert (answer.stop_reason, answer.tokens) == ("stop", 3)
    (prompt,), (params,) = model().prompts, model().params
    assert prompt["prompt"].count("<image>") == 1
    assert prompt["prompt"].endswith("<|im_start|>assistant\n")
    assert (params.temperature, params.max_tokens, params.skip_special_tokens) == (0.5, 77, True)
    arguments = model().arguments
    assert (arguments.max_num_seqs, arguments.max_model_len, arguments.limit_mm_per_prompt) == (4, 512, {"image": 1})


def test_model_of_two_steps_sees_the_whole_page_as_a_square_first() -> None:
    engine = VllmEngine(VllmOptions(model="m", model_profile="mineru"))
    image = Image.new("RGB", (300, 700), "white")
    first = engine.prepare(image, PageRequest(page_number=1))
    crop = engine.prepare(image, PageRequest(page_number=1, prompt="\nTable Recognition:"))
    assert first.image is not None
    assert first.image.size == (1036, 1036)
    assert crop.image is image
    assert engine.image_spec.min_letter == 0  # its crops are cut from the whole page, not from tiles


def test_pages_are_given_singly_from_several_threads_and_run_together(engine: VllmEngine) -> None:
    assert takes_single_pages(engine)
    assert most_pages(engine, 99) == 4
    pages = [page(engine, f"page{number}") for number in range(8)]
    alone = [engine.generate([each], Control())[0] for each in pages]
    with ThreadPoolExecutor(4) as slots:
        together = list(slots.map(lambda each: engine.generate([each], Control())[0], pages))
    assert together == alone
    assert model().most_running > 1


def test_each_page_ends_in_its_own_way(engine: VllmEngine) -> None:
    told: dict[int, str] = {}
    control = Control(on_done=lambda row, generation: told.update({row: generation.stop_reason}))
    pages = [page(engine, "fine"), page(engine, "never", max_new_tokens=2), page(engine, "loop", max_new_tokens=4000)]
    answers = engine.generate([*pages, page(engine, "refuse")], control)
    assert [answer.stop_reason for answer in answers] == ["stop", "length", "repetition", "error"]
    assert told == dict(enumerate(answer.stop_reason for answer in answers))
    assert "longer than the model's context" in answers[3].error
    assert len(model().aborted) == 1, "the loop was broken off"


def test_page_nobody_wants_or_whose_time_is_over_is_ended_in_vllm(engine: VllmEngine) -> None:
    seen: list[str] = []
    control = Control()

    def cancel(_: int, text: str) -> None:
        seen.append(text)
        control.cancelled.add(0)

    control.on_text = cancel
    (answer,) = engine.generate([page(engine, "never", max_new_tokens=4000)], control)
    assert answer.stop_reason == "cancelled"
    assert answer.text.startswith(seen[0])
    late = Control(deadline=time.monotonic() + 0.1)
    (answer,) = engine.generate([page(engine, "never", max_new_tokens=4000)], late)
    assert answer.stop_reason == "timeout"
    assert answer.text.startswith("word 0 1 ")
    assert (model().running, len(model().aborted)) == (0, 2)


def test_dead_vllm_is_a_broken_engine(engine: VllmEngine) -> None:
    with pytest.raises(EngineBroken, match="vLLM has stopped: EngineCore encountered an issue"):
        engine.generate([page(engine, "die")], Control())


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"model": ""}, "needs MODEL"),
        ({"model": "m"}, "vLLM cannot be imported .*--target vllm"),
    ],
)
def test_what_is_missing_is_named(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(EngineError, match=reason):
        load_engine("vllm", VllmOptions(**options)).load()


def test_arguments_that_vllm_does_not_know_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in stand_in_vllm.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    for arguments, reason in (("{", "VLLM_ARGS is no JSON"), ("[]", "no JSON object"), ('{"x": 1}', "argument 'x'")):
        engine = VllmEngine(VllmOptions(model=str(checkpoint(QUICKEST)), arguments=arguments))
        with pytest.raises(EngineError, match=reason):
            engine.load()
