"""The vlm engine and its device: which one it is, and steps as CUDA graphs where it has them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny_engines import QUICKEST, checkpoint, loaded, model_of, prepare_pages

from tasks.generate.served import engine_report
from workers.engines import Control, EngineError, OutOfMemory
from workers.engines.vlm.engine import VlmEngine
from workers.engines.vlm.model import why_not_compiled
from workers.engines.vlm.options import VlmOptions
from workers.engines.vlm.stage import Staged


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_missing_device_is_named() -> None:
    with pytest.raises(EngineError, match="sees no CUDA device"):
        VlmEngine(VlmOptions(model=str(checkpoint(QUICKEST)), device="cuda")).load()


def test_device_that_is_not_there_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(EngineError, match=r"DEVICE='cuda:1': this process sees 1 CUDA device, counted from 0"):
        VlmEngine(VlmOptions(model=str(checkpoint(QUICKEST)), device="cuda:1")).load()


def test_batch_is_copied_and_generated_with_its_own_gpu_current(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU that passes for a second GPU: where another is current, events and streams are those of that one."""
    engine = loaded(QUICKEST)
    pages = prepare_pages(engine)
    expected = engine.generate(pages, Control())
    second, current, seen = torch.device("cuda", 1), threading.local(), []

    @contextmanager
    def make_current(device: torch.device) -> Iterator[None]:
        current.device = device
        yield
        current.device = None

    def watch(*_: Any) -> None:
        seen.append(getattr(current, "device", None))

    copy = vars(Staged)["copy"].__func__

    def watched_copy(*arguments: Any) -> Any:
        watch()
        return copy(*arguments)

    monkeypatch.setattr(torch.cuda, "device", make_current)
    monkeypatch.setattr(Staged, "copy", classmethod(watched_copy))
    monkeypatch.setattr(engine, "_loaded", replace(engine._require_model(), device=second))
    hook = model_of(engine).register_forward_pre_hook(watch)
    try:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(engine.stage, pages).result()
        assert seen == [second]
        assert engine.generate(pages, Control()) == expected
    finally:
        hook.remove()
    assert len(seen) > 2
    assert set(seen) == {second}


def test_fixed_cache_gives_what_the_growing_one_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = loaded("qwen2_5_vl")
    pages = prepare_pages(engine)
    expected = engine.generate(pages, Control())
    monkeypatch.setattr(engine, "_loaded", replace(engine._require_model(), has_static_cache=True))
    assert engine._upload(pages).num_rows == 4
    assert engine.generate(pages, Control()) == expected


class Compiled:
    """A compiled step: the model's own, or what a compiler raises."""

    def __init__(self, step: Callable[..., Any], error: Exception | None = None) -> None:
        self.step, self.error, self.num_calls = step, error, 0

    def __call__(self, **arguments: Any) -> Any:
        self.num_calls += 1
        if self.error:
            raise self.error
        return self.step(**arguments)


def with_compiled(engine: VlmEngine, monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> Compiled:
    """Have the engine run its steps as on a GPU that compiles them."""
    step = Compiled(model_of(engine).__call__, error)
    monkeypatch.setattr(engine, "_graphs", "not tried yet")
    monkeypatch.setattr(engine, "_loaded", replace(engine._require_model(), has_static_cache=True, forward=step))
    return step


def test_compiled_step_runs_and_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = loaded("qwen2_5_vl")
    pages = prepare_pages(engine)
    expected = engine.generate(pages, Control())
    step = with_compiled(engine, monkeypatch)
    assert engine_report(engine) == {"graphs": "not tried yet"}
    assert engine.generate(pages, Control()) == expected
    assert step.num_calls == max(answer.tokens for answer in expected) - 1, "the first token comes of the prompt"
    assert engine_report(engine) == {"graphs": "on"}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (AssertionError("no guard"), "AssertionError: no guard"),
        (AttributeError("'Fake' object has no attribute 'x'"), "AttributeError: 'Fake' object has no attribute 'x'"),
        (RuntimeError("Failed to find C compiler\nset CC"), "RuntimeError: Failed to find C compiler"),
        (ImportError("failed to map segment from shared object"), "ImportError: failed to map segment"),
        (TypeError(), "TypeError: "),
    ],
)
def test_step_that_does_not_compile_runs_as_it_is_and_the_reason_is_reported(
    error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = loaded("qwen2_5_vl")
    pages = prepare_pages(engine)
    expected = engine.generate(pages, Control())
    step = with_compiled(engine, monkeypatch, error)
    assert engine.generate(pages, Control()) == expected
    assert engine_report(engine)["graphs"].startswith(f"off: {reason}")
    assert engine.generate(pages, Control()) == expected
    assert step.num_calls == 1, "it is tried once"


@pytest.mark.parametrize(
    ("error", "raised"), [(torch.OutOfMemoryError("full"), OutOfMemory), (EngineError("no"), EngineError)]
)
def test_what_is_no_compilers_fault_leaves_graphs_on(
    error: Exception, raised: type[EngineError], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = loaded("qwen2_5_vl")
    pages = prepare_pages(engine)
    step = with_compiled(engine, monkeypatch, error)
    with pytest.raises(raised):
        engine.generate(pages, Control())
    assert engine._require_model().forward is step


def test_page_that_cannot_be_generated_either_way_leaves_graphs_on(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = loaded("qwen2_5_vl")
    pages = prepare_pages(engine)
    step = with_compiled(engine, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(model_of(engine), "generate", Compiled(print, ValueError("bad page")))
        with pytest.raises(EngineError, match="bad page"):
            engine.generate(pages, Control())
    assert engine._require_model().forward is step


@pytest.mark.parametrize(
    ("device", "options", "flag", "reason"),
    [
        ("cuda:0", {}, True, ""),
        ("cpu", {}, True, "there is no GPU"),
        ("cuda:0", {"cuda_graphs": False}, True, "they are switched off"),
        ("cuda:0", {}, False, "idefics3 is not made for a cache of fixed size"),
    ],
)
def test_reason_for_no_graphs_is_known_before_the_first_page(
    device: str, options: dict[str, Any], flag: bool, reason: str
) -> None:
    model = SimpleNamespace(
        device=torch.device(device),
        config=SimpleNamespace(is_encoder_decoder=False, model_type="idefics3"),
        _can_compile_fullgraph=flag,
    )
    assert why_not_compiled(model, VlmOptions(**options)) == reason
    assert engine_report(loaded(QUICKEST)) == {"graphs": "off: there is no GPU"}
