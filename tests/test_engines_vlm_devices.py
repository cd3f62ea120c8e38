"""The vlm engine and its device: which one it is, and steps as CUDA graphs where it has them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny_engines import QUICKEST, checkpoint, loaded, model_of, prepare_pages

from tasks.generate.served import engine_report
from workers.engines import Control, EngineError
from workers.engines.vlm.engine import VlmEngine
from workers.engines.vlm.model import place_weights
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
    engine = loaded(QUICKEST, refill=False)
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


def test_reasons_for_neither_graphs_nor_refill_are_reported() -> None:
    assert engine_report(loaded(QUICKEST)) == {"refill": "on", "graphs": "off: there is no GPU"}
    batches = engine_report(loaded(QUICKEST, refill=False))
    assert batches["refill"] == "off: pages are read in batches"


class Files:
    """A checkpoint whose weights can be loaded; remembers how they were."""

    def __init__(self, *, is_quantised: bool, fits: bool) -> None:
        self.config = SimpleNamespace(quantization_config={"bits": 4} if is_quantised else None)
        self.name, self.pretrained, self.model_class = "reader", dict[str, Any](), self
        self.fits, self.loads, self.moves = fits, list[dict[str, Any]](), list[torch.device]()

    def from_pretrained(self, **how: Any) -> Files:
        self.loads.append(how)
        return self

    def to(self, device: torch.device) -> Files:
        self.moves.append(device)
        if not self.fits:
            raise torch.OutOfMemoryError("full")
        return self


GPU = torch.device("cuda", 0)


@pytest.mark.parametrize(
    ("is_quantised", "fits", "loads", "moves"),
    [
        (False, True, [{}], [GPU]),
        (True, True, [{"device_map": {"": GPU}}], []),
        (False, False, [{}, {"device_map": "auto"}], [GPU]),
    ],
)
def test_weights_are_put_where_they_fit(
    is_quantised: bool, fits: bool, loads: list[Any], moves: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    files: Any = Files(is_quantised=is_quantised, fits=fits)
    place_weights(files, GPU, {}, may_spread=True)
    assert (files.loads, files.moves) == (loads, moves)


@pytest.mark.parametrize(("num_gpus", "may_spread"), [(1, True), (2, False)])
def test_weights_that_fit_nowhere_are_out_of_memory(
    num_gpus: int, may_spread: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: num_gpus)
    files: Any = Files(is_quantised=False, fits=False)
    with pytest.raises(torch.OutOfMemoryError):
        place_weights(files, GPU, {}, may_spread=may_spread)
