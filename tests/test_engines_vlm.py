"""The vlm engine on tiny checkpoints of many families: batches, devices, and what it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_readers
import torch
from tiny_engines import (
    FAMILIES,
    QUICKEST,
    SIZES,
    StopRow,
    checkpoint,
    loaded,
    model_of,
    one_by_one,
    prepare_pages,
)
from tiny_models import draw_page, plain_generate

from workers.engines import (
    Control,
    EngineBroken,
    EngineError,
    OutOfMemory,
    PageRequest,
    Prepared,
)
from workers.engines.vlm.engine import VlmEngine
from workers.engines.vlm.options import VlmOptions
from workers.engines.vlm.stage import Staged

# The processor of GLM hands tensors to NumPy 2 in the way of NumPy 1.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.mark.parametrize("name", [*tiny_readers.FAMILIES, "qwen2_5_vl", "idefics3", "gemma3"])
def test_batch_answers_equal_single_answers(name: str) -> None:
    engine = loaded(name, refill=False)
    pages = prepare_pages(engine)
    assert engine.generate(pages, Control()) == one_by_one(engine, pages)


@pytest.mark.parametrize("name", FAMILIES)
def test_loop_equals_the_loop_of_transformers(name: str) -> None:
    engine = loaded(name, refill=False)
    pages = prepare_pages(engine)
    answers = engine.generate(pages, Control())
    model = model_of(engine)
    with torch.no_grad():
        expected = plain_generate(model, engine._upload(pages).inputs, 20)
    assert [page.text for page in answers] == [engine.processor.decode(ids).strip() for ids in expected]
    assert [page.tokens for page in answers] == [len(ids) for ids in expected]
    assert len({page.text for page in answers}) > 1, "pages that all get one answer would show nothing"


def test_raw_prompt_is_where_the_decoder_starts() -> None:
    engine = VlmEngine(VlmOptions(model=str(checkpoint("donut")), device="cpu", prompt_style="raw"))
    engine.load()
    prompts = ["<s_ocr>", "<s_other>why", "<s_ocr>"]
    pages = [
        engine.prepare(draw_page(*size, 0), PageRequest(page_number=1, prompt=prompt, max_new_tokens=12))
        for size, prompt in zip(SIZES, prompts, strict=True)
    ]
    assert pages[1].tensors is not None
    assert pages[1].tensors["decoder_input_ids"].shape == (1, 4)
    answers = engine.generate(pages, Control())
    assert answers == one_by_one(engine, pages)
    parts = engine.generate(pages, StopRow("cancelled"))
    assert [part.stop_reason == "cancelled" for part in parts] == [False, True, False]
    expected = plain_generate(model_of(engine), engine._upload(pages[:1]).inputs, 12)
    assert answers[0].tokens == len(expected[0])


@pytest.mark.parametrize("name", ["llava_next", "florence2"])
def test_attention_can_be_chosen(name: str) -> None:
    plain = loaded(name, attention="eager")
    pages = prepare_pages(plain)
    assert model_of(plain).config._attn_implementation == "eager"
    assert plain.generate(pages, Control()) == loaded(name).generate(pages, Control())


def test_staged_batches_are_those_generated() -> None:
    engine = loaded(QUICKEST, refill=False)
    pages, others = prepare_pages(engine), prepare_pages(engine)[:2]
    expected = engine.generate(pages, Control())
    engine.stage(pages)
    engine.stage(others)
    assert [staged.is_for(others) for staged in engine._staged] == [False, True]
    assert engine.generate(others, Control()) == expected[:2]
    assert [staged.is_for(pages) for staged in engine._staged] == [True]
    assert engine.generate(pages, Control()) == expected
    assert not engine._staged


def test_staged_batch_is_generated_though_newer_ones_push_it_out_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = loaded(QUICKEST, refill=False)
    pages = prepare_pages(engine)
    newer = [prepare_pages(engine)[:number] for number in (1, 2)]
    expected = engine.generate(pages, Control())
    is_for = Staged.is_for

    def look(staged: Staged, batch: Sequence[Prepared]) -> bool:
        found = is_for(staged, batch)
        if found and batch is pages:
            for other in newer:  # as another thread may, between the look and what follows it
                engine.stage(other)
        return found

    engine.stage(pages)
    with monkeypatch.context() as patch:
        patch.setattr(Staged, "is_for", look)
        assert engine.generate(pages, Control()) == expected
    assert [engine.generate(other, Control()) for other in newer] == [expected[:1], expected[:2]]
    assert not engine._staged, "both newer ones were still there"


def test_answer_ends_where_the_positions_of_the_model_end(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = loaded(QUICKEST, refill=False)
    page = prepare_pages(engine, max_new_tokens=4096)[0]
    monkeypatch.setattr(engine, "_loaded", replace(engine._require_model(), context_tokens=page.num_tokens + 6))
    answer = engine.generate([page], Control())[0]
    assert (answer.tokens, answer.stop_reason) == (6, "length")
    monkeypatch.setattr(engine, "_loaded", replace(engine._require_model(), context_tokens=page.num_tokens))
    with pytest.raises(EngineError, match="lower VLM_MAX_DIMENSION"):
        engine.generate([page], Control())


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), OutOfMemory),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), OutOfMemory),
        (torch.AcceleratorError("CUDA error: an illegal memory access was encountered"), EngineBroken),
        (RuntimeError("CUDA error: device-side assert triggered"), EngineBroken),
        (RuntimeError("shapes do not fit"), EngineError),
        (ValueError("image tokens and features do not match"), EngineError),
    ],
)
def test_errors_say_what_is_left_of_the_engine(
    raised: Exception, expected: type[EngineError], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = loaded(QUICKEST, refill=False)
    pages = prepare_pages(engine)

    def fail(**_: Any) -> None:
        raise raised

    with monkeypatch.context() as patch:
        patch.setattr(model_of(engine), "generate", fail)
        with pytest.raises(EngineError) as caught:
            engine.generate(pages, Control())
    assert type(caught.value) is expected
    assert engine.generate(pages, Control()) == one_by_one(engine, pages)


def write_config(folder: Path, **values: Any) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(values))
    return str(folder)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model_type": "dots_ocr", "auto_map": {"AutoConfig": "x.Y"}}, "no native class"),
        ({"model_type": "never_heard_of"}, "no native class"),
        ({"model_type": "bert"}, "does not list bert among its image-to-text models"),
        ({"model_type": "blip"}, "generate\\(\\) of its own"),
        ({"model_type": "udop"}, "needs the words of the page"),
    ],
)
def test_checkpoint_that_cannot_be_driven_is_refused_with_the_reason(
    config: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match=reason):
        VlmEngine(VlmOptions(model=write_config(tmp_path / "model", **config)))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"model": ""}, "needs MODEL"),
        ({"model": "/nowhere/at/all"}, "no model folder and no hub id"),
        ({"dtype": "int3"}, "DTYPE='int3' is not one of auto"),
    ],
)
def test_setting_that_cannot_be_used_is_named(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(EngineError, match=reason):
        VlmEngine(VlmOptions(**{"model": str(checkpoint(QUICKEST))} | options))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A hub's cache on a machine without network; call it with the commit that `org/reader` is at."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    repository = tmp_path / "models--org--reader"
    (repository / "refs").mkdir(parents=True)

    def move(commit: str) -> None:
        shutil.copytree(checkpoint("donut"), repository / "snapshots" / commit, dirs_exist_ok=True)
        (repository / "refs" / "main").write_text(commit)

    return move


def test_identity_of_a_hub_model_is_its_commit(hub: Callable[[str], None]) -> None:
    first, second = "1" * 40, "2" * 40
    hub(first)
    engine = VlmEngine(VlmOptions(model="org/reader", device="cpu"))
    assert engine.revision == f"org/reader@{first}"
    hub(second)
    assert VlmEngine(VlmOptions(model="org/reader")).revision == f"org/reader@{second}"
    assert VlmEngine(VlmOptions(model="org/reader", model_revision=first)).revision == f"org/reader@{first}"
    assert engine.checkpoint.pretrained["revision"] == first, "weights come from the commit that was found"
    engine.load()
    assert engine.generate(prepare_pages(engine), Control()) == one_by_one(engine, prepare_pages(engine))


def test_identity_follows_the_weights(tmp_path: Path) -> None:
    first = shutil.copytree(checkpoint("donut"), tmp_path / "a" / "reader")
    second = shutil.copytree(checkpoint("donut"), tmp_path / "b" / "reader")
    assert VlmEngine(VlmOptions(model=str(first))).revision == VlmEngine(VlmOptions(model=str(second))).revision
    weights = bytearray((second / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (second / "model.safetensors").write_bytes(weights)
    assert VlmEngine(VlmOptions(model=str(first))).revision != VlmEngine(VlmOptions(model=str(second))).revision
