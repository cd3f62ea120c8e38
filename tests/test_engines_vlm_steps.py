"""The steps of the decode loop: what the model is given at each, and that none waits for the device."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny_engines import (
    FAMILIES,
    QUICKEST,
    asked_for,
    checkpoint,
    forget_end_tokens,
    loaded,
    model_of,
    one_by_one,
    prepare_pages,
)
from tiny_models import plain_generate
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import Cache, DynamicCache

from workers.engines import Control, EngineError
from workers.engines.vlm.batch import DeviceBatch
from workers.engines.vlm.decode import CHECK_EVERY, DecodeLoop, experts_for_decoding, find_cache
from workers.engines.vlm.engine import VlmEngine
from workers.engines.vlm.options import VlmOptions

# The processor of GLM hands tensors to NumPy 2 in the way of NumPy 1.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def step_arguments(model: Any, run: Callable[[], Any]) -> list[dict[str, torch.Tensor]]:
    """What `model` is called with at each step of `run`, but for masks, which the engine makes in its own way."""
    steps: list[dict[str, torch.Tensor]] = []

    def watch(_model: Any, _args: Any, inputs: dict[str, Any]) -> None:
        steps.append({k: v.clone() for k, v in inputs.items() if isinstance(v, torch.Tensor) and "mask" not in k})

    hook = model.register_forward_pre_hook(watch, with_kwargs=True)
    try:
        run()
    finally:
        hook.remove()
    return steps


@pytest.mark.parametrize("name", FAMILIES)
def test_each_step_is_given_what_transformers_gives_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = loaded(name, refill=False)
    forget_end_tokens(engine, monkeypatch)
    pages = prepare_pages(engine, max_new_tokens=4)
    model = model_of(engine)
    monkeypatch.setattr(model.generation_config, "eos_token_id", None)
    ours = step_arguments(model, lambda: engine.generate(pages, Control()))
    with torch.no_grad():
        theirs = step_arguments(model, lambda: plain_generate(model, engine._upload(pages).inputs, 4))
    assert len(ours) == len(theirs) == 4
    for mine, other in zip(ours, theirs, strict=True):
        assert set(mine) == set(other)
        assert all(torch.equal(value, other[key]) for key, value in mine.items()), mine.keys()


def test_generation_without_a_cache_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = loaded(QUICKEST, refill=False)
    whole = DecodeLoop.__call__

    def without_cache(loop: DecodeLoop, *args: Any, **inputs: Any) -> torch.Tensor:
        return whole(loop, *args, **{key: value for key, value in inputs.items() if not isinstance(value, Cache)})

    monkeypatch.setattr(DecodeLoop, "__call__", without_cache)
    with pytest.raises(EngineError, match=r"gave the model no cache of keys and values.*use_cache"):
        engine.generate(prepare_pages(engine), Control())


def test_cache_of_the_models_own_is_refused() -> None:
    with pytest.raises(EngineError, match="does not use the cache"):
        find_cache({"cache": DynamicCache()}, {"cache": DynamicCache()})
    cache = DynamicCache()
    assert find_cache({"ids": 1, "cache": cache}, {"logits": 1}) is cache


class Mixture:
    """What a mixture of experts tells of them, on a GPU."""

    device = torch.device("cuda")

    def __init__(self) -> None:
        self.ways: dict[str, str | None] = {"": None, "text_config": "grouped_mm", "vision_config": "eager"}

    def get_experts_implementation(self) -> dict[str, str | None]:
        return self.ways

    def set_experts_implementation(self, ways: dict[str, str | None]) -> None:
        self.ways = ways


def test_experts_run_one_by_one_while_a_batch_decodes_on_a_gpu() -> None:
    model = Mixture()
    before = dict(model.ways)
    with contextlib.suppress(ZeroDivisionError), experts_for_decoding(model):
        assert model.ways == before | {"text_config": "batched_mm"}
        raise ZeroDivisionError
    assert model.ways == before
    model.device = torch.device("cpu")
    with experts_for_decoding(model):
        assert model.ways == before


class CountReads(TorchDispatchMode):  # type: ignore[misc]  # mypy does not follow torch: its classes are Any
    """Counts what would make the host wait for a device: values that are read, shapes that depend on values."""

    READS = (
        "_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "unique_consecutive", "_unique2",
        "repeat_interleave.Tensor",
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.reads: Counter[str] = Counter()
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> CountReads:
        for method in ("tolist", "cpu", "numpy"):
            self._patch.setattr(torch.Tensor, method, self._counted(method))
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._patch.undo()

    def _counted(self, method: str) -> Callable[..., Any]:
        original = getattr(torch.Tensor, method)

        def call(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            self.reads[method] += 1
            return original(tensor, *args, **kwargs)

        return call

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(function).removeprefix("aten.")
        by_mask = name.startswith(("index.Tensor", "index_put")) and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        if by_mask or name.removesuffix(".default") in self.READS or name in self.READS:
            self.reads[name] += 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", FAMILIES)
def test_no_token_waits_for_the_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = loaded(name, refill=False)
    forget_end_tokens(engine, monkeypatch)
    reads = []
    for length in (9, 9 + 2 * CHECK_EVERY):
        pages = prepare_pages(engine, max_new_tokens=length)
        pages[0] = asked_for(pages[0], temperature=0.5)
        with CountReads() as count:
            engine.generate(pages, Control())
        reads.append(count.reads)
    more = reads[1] - reads[0]
    assert sum(more.values()) == 2, f"one copy every {CHECK_EVERY} tokens and nothing else: {more}"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["qwen2_5_vl", "smolvlm", "donut"])
def test_no_token_waits_for_a_real_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = VlmEngine(VlmOptions(model=str(checkpoint(name)), device="cuda", dtype="float32", refill=False))
    engine.load()
    pages = prepare_pages(engine, max_new_tokens=40)
    expected = one_by_one(engine, pages)
    append, finish = DeviceBatch.append, DeviceBatch.finish

    def strict(batch: DeviceBatch, tokens: torch.Tensor) -> None:
        torch.cuda.set_sync_debug_mode("error")  # from the first token on, whatever waits raises
        append(batch, tokens)

    def relaxed(batch: DeviceBatch) -> None:
        torch.cuda.set_sync_debug_mode("default")
        finish(batch)

    monkeypatch.setattr(DeviceBatch, "append", strict)
    monkeypatch.setattr(DeviceBatch, "finish", relaxed)
    try:
        assert engine.generate(pages, Control()) == expected
    finally:
        torch.cuda.set_sync_debug_mode("default")
