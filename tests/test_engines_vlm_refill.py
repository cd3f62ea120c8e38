"""Pages that join a batch of the vlm engine half-way: what they come to, and whom they keep waiting."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
import tiny_readers
import torch
from tiny_engines import (
    FAMILIES,
    QUICKEST,
    asked_for,
    checkpoint,
    limited,
    loaded,
    model_of,
    one_by_one,
    prepare_pages,
)
from transformers import GenerationConfig

from workers.engines import Control, EngineBroken, EngineError, Generation, OutOfMemory, Prepared
from workers.engines.vlm.engine import VlmEngine
from workers.engines.vlm.graphs import Graphs, Replay
from workers.engines.vlm.options import VlmOptions
from workers.engines.vlm.refill import LAYERS_A_STEP, Refill
from workers.engines.vlm.slots import Slots, read_prompts

# The processor of GLM hands tensors to NumPy 2 in the way of NumPy 1.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

JOINING = [name for name in FAMILIES if name not in tiny_readers.FAMILIES]
NUM_PAGES, NUM_ROWS = 6, 3


def refill_of(engine: VlmEngine) -> Refill:
    assert engine._refill is not None, engine.report()
    return engine._refill


class Crowd(Control):
    """Has a page come, and now and then an extra one go, at random checks of those that run."""

    def __init__(self, engine: VlmEngine, pages: list[Prepared], seed: int) -> None:
        super().__init__()
        self.engine, self.random = engine, random.Random(seed)
        self.coming = list(enumerate(pages))
        self.come: dict[int, Future[list[Generation]]] = {}
        self.pool = ThreadPoolExecutor(2 * len(pages))
        self.gone: list[Future[list[Generation]]] = []

    def let_one_come(self) -> None:
        if self.coming:
            index, page = self.coming.pop()
            self.come[index] = self.pool.submit(self.engine.generate, [page], self)
            if self.random.random() < 0.5:
                passing = Control(cancelled={0}) if self.random.random() < 0.5 else GoneLater(self.random.randrange(3))
                self.gone.append(self.pool.submit(self.engine.generate, [asked_for(page, max_new_tokens=60)], passing))

    def should_stop(self, row: int) -> Literal["cancelled", "timeout"] | None:
        if self.random.random() < 0.4:
            self.let_one_come()
        return super().should_stop(row)

    def run(self) -> list[Generation]:
        while self.coming:  # where all that came have ended meanwhile
            self.let_one_come()
            for outcome in list(self.come.values()):
                outcome.result(60)
        with self.pool:
            assert {future.result(60)[0].stop_reason for future in self.gone} <= {"cancelled"}
            return [self.come[index].result(60)[0] for index in sorted(self.come)]


class GoneLater(Control):
    """Is cancelled after some checks."""

    def __init__(self, checks: int) -> None:
        super().__init__()
        self.checks = checks

    def should_stop(self, row: int) -> Literal["cancelled", "timeout"] | None:
        self.checks -= 1
        return "cancelled" if self.checks < 0 else super().should_stop(row)


def many_pages(engine: VlmEngine, seed: int) -> list[Prepared]:
    lengths = random.Random(seed).choices([1, 2, 7, 8, 9, 16, 25], k=NUM_PAGES)
    return limited((prepare_pages(engine) * NUM_PAGES)[:NUM_PAGES], *lengths)


@pytest.mark.parametrize("name", JOINING)
def test_pages_that_join_and_leave_at_random_say_what_they_say_alone(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = loaded(name)
    assert engine.report()["refill"] == "on"
    monkeypatch.setattr(refill_of(engine), "most", NUM_ROWS)
    pages = many_pages(engine, seed=len(name))
    expected = one_by_one(loaded(name, refill=False), pages)
    assert Crowd(engine, pages, seed=1).run() == expected


class Repeated(Graphs):
    """Graphs as on a GPU, but for the recording: a step is run again as it is."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.error, self.num_runs = error, 0

    def _record(self, step: Replay) -> Replay:
        step()
        if self.error:
            raise self.error

        def replay() -> torch.Tensor:
            self.num_runs += 1
            return step()

        return replay


@contextmanager
def recorded(name: str, graphs: Graphs) -> Iterator[VlmEngine]:
    """An engine that runs its steps as on a GPU."""
    engine = VlmEngine(VlmOptions(model=str(checkpoint(name)), device="cpu"))
    make = Refill
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "workers.engines.vlm.engine.Refill",
            lambda loaded, watch, title, most, _: make(loaded, watch, title, most, graphs),
        )
        engine.load()
    try:
        yield engine
    finally:
        engine.close()


@pytest.mark.parametrize("name", ["qwen2_5_vl", "gemma3"])
def test_recorded_steps_say_the_same_through_joins_and_leaves(name: str) -> None:
    graphs = Repeated()
    with recorded(name, graphs) as engine:
        refill_of(engine).most = NUM_ROWS
        refill_of(engine).warm(1000)
        assert graphs.num_recorded == 6, "1, 2 and 3 rows of 512 and of 1024 tokens"
        pages = many_pages(engine, seed=5)
        assert Crowd(engine, pages, seed=2).run() == one_by_one(loaded(name, refill=False), pages)
        assert (graphs.num_recorded, engine.report()["graphs"]) == (6, "on")
    assert graphs.num_runs > 20


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (AttributeError("'Fake' object has no attribute 'x'"), "AttributeError: 'Fake' object has no attribute 'x'"),
        (RuntimeError("operation not permitted\nwhen stream is capturing"), "RuntimeError: operation not permitted"),
        (torch.OutOfMemoryError("full"), "OutOfMemoryError: full"),
        (TypeError(), "TypeError: "),
    ],
)
def test_step_that_cannot_be_recorded_runs_as_it_is_and_the_reason_is_reported(error: Exception, reason: str) -> None:
    with recorded(QUICKEST, Repeated(error)) as engine:
        pages = prepare_pages(engine)
        assert engine.generate(pages, Control()) == one_by_one(loaded(QUICKEST, refill=False), pages)
        assert engine.report()["graphs"] == f"off: {reason}"


def test_page_joins_when_the_first_row_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = loaded(QUICKEST)
    monkeypatch.setattr(refill_of(engine), "most", 2)
    told: list[int] = []
    pages = limited(prepare_pages(engine) + prepare_pages(engine)[:1], 60, 3, 3, 9)
    engine.generate(pages, Control(on_done=lambda row, _: told.append(row)))
    assert told == [1, 2, 3, 0], "two joined in turn while the first one ran"


def test_rows_that_run_go_on_while_a_page_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = loaded("idefics3")
    model = model_of(engine)
    events: list[str] = []
    forward = Slots.forward

    def watched(slots: Slots, *arguments: int) -> torch.Tensor:
        events.append("step")
        return forward(slots, *arguments)

    monkeypatch.setattr(Slots, "forward", watched)
    monkeypatch.setattr(refill_of(engine), "most", 2)
    blocks = [block for part in model.modules() if isinstance(part, torch.nn.ModuleList) for block in part]
    read = read_prompts

    def reading(*arguments: Any) -> Any:
        hooks = [block.register_forward_pre_hook(lambda *_: events.append("block")) for block in blocks]
        events.append("begin")
        try:
            return read(*arguments)
        finally:
            events.append("end")
            for hook in hooks:
                hook.remove()

    monkeypatch.setattr(f"{Refill.__module__}.read_prompts", reading)
    first, *others = limited(prepare_pages(engine), 60, 3, 3)
    engine.generate([first, *others, *others], Control())
    starts = [place for place, event in enumerate(events) if event == "begin"]
    assert len(starts) >= 3
    for start in starts[1:]:
        during = events[start : events.index("end", start)]
        own = during.count("block") - during.count("step") * 2  # a step computes the blocks of the text
        assert 1 <= during.count("step") == own // LAYERS_A_STEP


def test_thread_that_owns_the_model_sleeps_while_there_is_no_page() -> None:
    engine = loaded(QUICKEST)
    engine.generate(prepare_pages(engine), Control())
    clock = time.pthread_getcpuclockid(refill_of(engine)._thread.ident or 0)
    threading.Event().wait(0.05)
    before = time.clock_gettime(clock)
    threading.Event().wait(0.3)
    assert time.clock_gettime(clock) == before


def test_bad_page_costs_those_it_joins_with_nothing() -> None:
    engine = loaded(QUICKEST)
    good, other, bad = prepare_pages(engine)
    assert bad.tensors is not None
    cut = bad.tensors["input_ids"][:, :20]  # has fewer places for the image than the image needs
    broken = Prepared(request=bad.request, tensors=bad.tensors | {"input_ids": cut})
    with ThreadPoolExecutor(3) as pool:
        outcomes = [pool.submit(engine.generate, [page], Control()) for page in (good, broken, other)]
        assert [outcomes[row].result()[0] for row in (0, 2)] == one_by_one(
            loaded(QUICKEST, refill=False), [good, other]
        )
        with pytest.raises(EngineError, match="cannot generate from these pages"):
            outcomes[1].result()


def test_page_there_is_no_memory_for_waits_until_another_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = loaded(QUICKEST)
    pages = limited(prepare_pages(engine), 30, 30, 30)
    owner, read = refill_of(engine), read_prompts
    monkeypatch.setattr(owner, "most", 3)

    def full(*arguments: Any) -> Any:
        first = read(*arguments)
        if len(owner.seats.running) + len(first.ids) > 2:
            raise torch.OutOfMemoryError("full")
        return first

    monkeypatch.setattr(f"{Refill.__module__}.read_prompts", full)
    assert engine.generate(pages, Control()) == one_by_one(loaded(QUICKEST, refill=False), pages)
    assert owner.most == 2


@pytest.mark.parametrize(
    ("raised", "expected"),
    [(torch.OutOfMemoryError("full"), OutOfMemory), (RuntimeError("no such shape"), EngineError)],
)
def test_step_that_fails_costs_the_pages_that_run_and_no_other(
    raised: Exception, expected: type[EngineError], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = loaded(QUICKEST)
    pages = prepare_pages(engine)
    monkeypatch.setattr(refill_of(engine), "most", 3)

    def fail(*_: Any) -> None:
        raise raised

    with monkeypatch.context() as patch:
        patch.setattr(Slots, "forward", fail)
        with pytest.raises(expected) as caught:
            engine.generate(pages, Control())
    assert type(caught.value) is expected
    assert engine.generate(pages, Control()) == one_by_one(loaded(QUICKEST, refill=False), pages)


def test_broken_device_ends_the_thread_and_every_page() -> None:
    engine = VlmEngine(VlmOptions(model=str(checkpoint(QUICKEST)), device="cpu"))
    engine.load()
    pages = prepare_pages(engine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{Refill.__module__}.read_prompts", broken_read)
        for _ in range(2):
            with pytest.raises(EngineBroken):
                engine.generate(pages, Control())
    engine.close()


def broken_read(*_: Any) -> None:
    raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ({"repetition_penalty": 1.3}, "on"),
        ({"no_repeat_ngram_size": 1}, "off: its generation config asks for a NoRepeat"),
    ],
)
def test_wish_of_the_checkpoint_is_met_with_rows_of_several_ages(
    wish: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint("qwen2_5_vl"), tmp_path / "model")
    config = GenerationConfig.from_pretrained(folder)
    config.update(**wish)
    config.save_pretrained(folder)
    joining, alone = (VlmEngine(VlmOptions(model=str(folder), device="cpu", refill=on)) for on in (True, False))
    for engine in (joining, alone):
        engine.load()
    assert joining.report()["refill"].startswith(reason)
    pages = limited(prepare_pages(joining), 30, 9, 20)
    expected = one_by_one(alone, pages)
    assert joining.generate(pages, Control()) == expected
    assert expected != one_by_one(loaded("qwen2_5_vl"), pages), "the wish makes a difference"


@pytest.mark.parametrize("name", tiny_readers.FAMILIES)
def test_model_with_an_image_encoder_keeps_batches_and_says_so(name: str) -> None:
    assert loaded(name).report()["refill"] == "off: pages are read in batches"
