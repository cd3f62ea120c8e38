"""The decode loop: it never waits for the device at a token, and what stops one row leaves the others alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from operator import itemgetter
from types import SimpleNamespace
from typing import Any, Literal

import pytest
import torch
from tiny_engines import (
    FAMILIES,
    QUICKEST,
    StopRow,
    asked_for,
    checkpoint,
    limited,
    loaded,
    model_of,
    one_by_one,
    prepare_pages,
)
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import LogitsProcessorList, TopKLogitsWarper

from workers.engines import Control, EngineOptions, Generation
from workers.engines.vlm.batch import DeviceBatch
from workers.engines.vlm.decode import CHECK_EVERY, DecodeLoop
from workers.engines.vlm.engine import VlmEngine
from workers.engines.vlm.rows import Rows, TextStream

# The processor of GLM hands tensors to NumPy 2 in the way of NumPy 1.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_deadline_of_one_row_stops_that_row_only() -> None:
    engine = loaded(QUICKEST)
    pages = prepare_pages(engine, max_new_tokens=40)
    whole = one_by_one(engine, pages)
    answers = engine.generate(pages, StopRow("timeout"))
    assert (answers[0], answers[2]) == (whole[0], whole[2])
    assert (answers[1].stop_reason, answers[1].tokens) == ("timeout", CHECK_EVERY)
    assert whole[1].text.startswith(answers[1].text.rstrip("\ufffd"))


class CancelledAtFirstCheck(Control):
    """Row 2 is cancelled while the batch runs."""

    def should_stop(self, row: int) -> Literal["cancelled", "timeout"] | None:
        self.cancelled.add(2)
        return super().should_stop(row)


def test_cancelled_row_stops_at_the_next_check_and_the_others_go_on() -> None:
    engine = loaded(QUICKEST)
    pages = prepare_pages(engine, max_new_tokens=40)
    whole = one_by_one(engine, pages)
    answers = engine.generate(pages, CancelledAtFirstCheck())
    assert answers[:2] == whole[:2]
    assert answers[2].stop_reason == "cancelled"
    assert answers[2].tokens <= 2 * CHECK_EVERY


def test_deadline_stops_every_row_with_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = loaded(QUICKEST)
    forget_end_tokens(engine, monkeypatch)
    answers = engine.generate(prepare_pages(engine, max_new_tokens=4000), Control(deadline=time.monotonic() + 0.3))
    assert {answer.stop_reason for answer in answers} == {"timeout"}
    assert all(0 < answer.tokens < 4000 and answer.text for answer in answers)


def test_looping_row_is_stopped_and_the_others_go_on() -> None:
    engine = loaded("vit_reader")
    pages = prepare_pages(engine, max_new_tokens=400)
    hot = [asked_for(p, temperature=50.0) for p in pages[1:]]
    torch.manual_seed(1)
    answers = engine.generate([pages[0], *hot], Control())
    assert answers[0].stop_reason == "repetition"
    assert 96 <= answers[0].tokens < 400
    assert "repetition" not in {answer.stop_reason for answer in answers[1:]}


def test_rows_may_have_different_lengths() -> None:
    engine = loaded(QUICKEST)
    pages = prepare_pages(engine)
    short = limited(pages, 3, 20, 1)
    answers = engine.generate(short, Control())
    assert answers == one_by_one(engine, short)
    assert [answer.tokens for answer in answers] == [3, 20, 1]


@pytest.mark.parametrize("name", ["qwen2_5_vl", "smolvlm", "llava_next", "florence2", "donut", "pix2struct"])
def test_finished_rows_leave_the_batch(name: str) -> None:
    engine = loaded(name)
    pages = prepare_pages(engine)
    short = limited(pages, 3, 40, 5)
    alone = one_by_one(engine, short)
    sizes: list[int] = []

    def watch(_model: Any, _args: Any, inputs: dict[str, Any]) -> None:
        sizes.append(len(inputs["input_ids" if "input_ids" in inputs else "decoder_input_ids"]))

    hook = model_of(engine).register_forward_pre_hook(watch, with_kwargs=True)
    try:
        assert engine.generate(short, Control()) == alone
    finally:
        hook.remove()
    assert (sizes[0], sizes[-1]) == (3, 1)


def forget_end_tokens(engine: VlmEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every answer run to its limit."""
    monkeypatch.setattr(model_of(engine).generation_config, "eos_token_id", None)
    monkeypatch.setattr(engine, "_loaded", replace(engine._require_model(), eos_ids=frozenset()))


class CountReads(TorchDispatchMode):
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
    engine = loaded(name)
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


def test_greedy_row_is_not_disturbed_by_a_row_that_is_drawn() -> None:
    engine = loaded(QUICKEST)
    cold, other, _ = prepare_pages(engine)
    warm = asked_for(other, temperature=2.0)
    expected = engine.generate([cold], Control())[0]
    drawn = set()
    for seed in (1, 2, 1):
        torch.manual_seed(seed)
        answers = engine.generate([cold, warm], Control())
        assert answers[0] == expected
        drawn.add(answers[1].text)
    assert len(drawn) == 2, "one text a seed"


def test_drawn_tokens_have_the_chances_of_the_softmax() -> None:
    rows = Rows([1] * 20_000, frozenset(), Control(), str, ThreadPoolExecutor(1))
    temperatures = torch.full((20_000,), 2.0)
    scores = torch.tensor([[1.0, 0.0, -1.0, 3.0]]).repeat(20_000, 1)
    batch = SimpleNamespace(is_sampling=True, temperatures=temperatures, ids=None)
    torch.manual_seed(0)
    tokens = DecodeLoop(rows, [2.0])._choose(batch, scores)  # type: ignore[arg-type]
    shares = torch.bincount(tokens, minlength=4) / 20_000
    torch.testing.assert_close(shares, (scores[0] / 2).softmax(-1), atol=0.01, rtol=0)
    only_best = DecodeLoop(rows, [2.0], warpers=LogitsProcessorList([TopKLogitsWarper(1)]))
    assert set(only_best._choose(batch, scores).tolist()) == {3}  # type: ignore[arg-type]


def test_partial_text_grows_and_comes_every_few_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.engines.vlm.rows.TEXT_INTERVAL_S", 0.0)
    engine = loaded("vit_reader")
    seen: dict[int, list[str]] = {0: [], 1: [], 2: []}
    answers = engine.generate(
        prepare_pages(engine, max_new_tokens=60), Control(on_text=lambda row, text: seen[row].append(text))
    )
    for row, answer in enumerate(answers):
        texts = seen[row]
        assert len(texts) <= answer.tokens // CHECK_EVERY + 1
        assert all(after.startswith(before) for before, after in pairwise(texts))
        if texts:
            assert answer.text.startswith(texts[-1].strip()[:10])


def test_short_page_is_told_while_a_long_one_runs() -> None:
    engine = loaded("vit_reader")
    told: list[tuple[int, Generation]] = []
    pages = limited(prepare_pages(engine), 200, 3, 200)
    control = Control(on_done=lambda row, generation: told.append((row, generation)))
    answers = engine.generate(pages, control)
    assert told[0] == (1, answers[1])
    assert [generation for _, generation in sorted(told, key=itemgetter(0))] == answers


def test_text_stream_keeps_characters_whole() -> None:
    data = "naïve – 漢字\n  ✓ end".encode()
    stream = TextStream(lambda ids: bytes(ids).decode(errors="replace"))
    texts = [stream.extend(data[:length]) for length in range(1, len(data) + 1)]
    assert texts[-1] == data.decode()
    assert not any("\ufffd" in text for text in texts)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["qwen2_5_vl", "smolvlm", "donut"])
def test_no_token_waits_for_a_real_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = VlmEngine(EngineOptions(model=str(checkpoint(name)), device="cuda", dtype="float32", cuda_graphs=False))
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
