"""One bad page, or a bad moment, costs no other page anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from PIL import Image

from tasks.generate.budget import Budget, size_of
from tasks.generate.partials import PartialTexts
from tasks.generate.runner import Loaded, Runner
from tasks.ledger import Ledger, connect
from tasks.ledger.records import Attempts
from tasks.messages import PageTask
from workers.engines import (
    Control,
    EngineBroken,
    EngineError,
    Generation,
    OutOfMemory,
    PageRequest,
    Prepared,
    TransientEngineError,
)
from workers.engines.echo import EchoEngine, EchoOptions


class Flaky(EchoEngine):
    """Fails for the moment at the first calls, and notes the size of every batch it is given."""

    def __init__(self, num_failures: int = 0, broken: bool = False) -> None:
        super().__init__(EchoOptions())
        self.num_failures, self.broken = num_failures, broken
        self.batches: list[list[int]] = []

    def generate(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        self.batches.append([prepared.request.page_number for prepared in batch])
        if self.broken:
            raise EngineBroken("the device is gone")
        if len(self.batches) <= self.num_failures:
            raise TransientEngineError("away")
        if 4 in self.batches[-1] and "!crash" in batch[0].request.prompt:
            raise ZeroDivisionError
        return super().generate(batch, control)


@pytest.fixture
def ledger(redis_url: str) -> Ledger:
    return Ledger(connect(redis_url))


def batch(num_pages: int, prompt: str = "") -> list[Loaded]:
    return [
        Loaded(
            PageTask(job_id="j", run=1, index=index),
            0,
            "",
            Prepared(request=PageRequest(page_number=index + 1, prompt=prompt), image=Image.new("RGB", (8, 8))),
        )
        for index in range(num_pages)
    ]


class Told:
    """What a runner tells at the end of each page, which it may do once."""

    def __init__(self) -> None:
        self.generations: dict[int, Generation] = {}
        self.tries: dict[int, Attempts] = {}

    def __call__(self, page: PageTask, generation: Generation, tries: Attempts) -> None:
        assert page.page_number not in self.generations
        self.generations[page.page_number] = generation
        self.tries[page.page_number] = tries


def make_runner(
    engine: EchoEngine, ledger: Ledger, pages: list[Loaded], told: Callable[..., None], budget: Budget | None = None
) -> Runner:
    return Runner(
        engine,
        ledger,
        pages,
        deadline=time.monotonic() + 60,
        retry_count=3,
        partials=PartialTexts(ledger),
        budget=budget or Budget(),
        on_end=told,
    )


def run(engine: EchoEngine, ledger: Ledger, num_pages: int, prompt: str = "") -> tuple[list[Generation], Told]:
    """What every page came to, in page order."""
    told = Told()
    make_runner(engine, ledger, batch(num_pages, prompt), told).run()
    return [told.generations[number] for number in range(1, num_pages + 1)], told


def test_transient_error_is_tried_again_and_noted(ledger: Ledger) -> None:
    engine = Flaky(num_failures=2)
    generations, told = run(engine, ledger, 3)
    assert [generation.stop_reason for generation in generations] == ["stop"] * 3
    assert engine.batches == [[1, 2, 3]] * 3
    assert {len(tries) for tries in told.tries.values()} == {2}


def test_transient_error_that_stays_fails_the_pages_in_the_end(ledger: Ledger) -> None:
    generations, _ = run(Flaky(num_failures=99), ledger, 1)
    assert [(generation.stop_reason, generation.error) for generation in generations] == [("error", "away")]


def test_error_is_isolated_by_halving(ledger: Ledger) -> None:
    engine = Flaky()
    generations, _ = run(engine, ledger, 8, "!crash")
    assert [generation.stop_reason for generation in generations] == ["stop"] * 3 + ["error"] + ["stop"] * 4
    assert "ZeroDivisionError" in generations[3].error
    assert engine.batches == [[1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4], [1, 2], [3, 4], [3], [4], [5, 6, 7, 8]]


def test_batch_too_large_for_memory_is_halved_at_once(ledger: Ledger) -> None:
    engine = Flaky()
    generations, _ = run(engine, ledger, 4, "!oom 1")
    assert [generation.stop_reason for generation in generations] == ["stop"] * 4
    assert engine.batches == [[1, 2, 3, 4], [1, 2], [1], [2], [3, 4]]


class Small(Flaky):
    """Its memory holds `room` tokens."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def generate(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        if size_of(batch) > self.room:
            self.batches.append([prepared.request.page_number for prepared in batch])
            raise OutOfMemory
        return super().generate(batch, control)


def sized(*tokens: int) -> list[Loaded]:
    pages = batch(len(tokens))
    return [replace(page, prepared=replace(page.prepared, num_tokens=n)) for page, n in zip(pages, tokens, strict=True)]


def test_size_that_fits_is_learned(ledger: Ledger) -> None:
    engine, budget = Small(room=50), Budget()
    assert budget.most is None
    for pages in (8, 6, 5, 8):
        make_runner(engine, ledger, sized(*[10] * pages), Told(), budget).run()
    assert budget.most == 55  # pages of 10: five at once
    assert [len(pages) for pages in engine.batches] == [8, 4, 4, 6, 3, 3, 5, 8, 4, 4]
    assert [part.stop for part in budget.cut([page.prepared for page in sized(*[10] * 8)])] == [5, 8]
    assert [part.stop for part in budget.cut([page.prepared for page in sized(10, 60, 10, 20, 30)])] == [1, 2, 4, 5]


def test_page_too_large_for_the_memory_alone_makes_no_batch_smaller(ledger: Ledger) -> None:
    engine, budget, told = Small(room=50), Budget(), Told()
    make_runner(engine, ledger, sized(10, 60, 10, 10), told, budget).run()
    assert [told.generations[number].stop_reason for number in (1, 2, 3, 4)] == ["stop", "error", "stop", "stop"]
    assert budget.most is None


def test_what_fitted_once_and_does_not_today_is_made_a_little_smaller(ledger: Ledger) -> None:
    engine, budget = Small(room=80), Budget()
    make_runner(engine, ledger, sized(*[10] * 8), Told(), budget).run()
    engine.room = 79
    make_runner(engine, ledger, sized(*[10] * 8), Told(), budget).run()
    assert budget.most == 79


def test_looping_page_alone_is_tried_hotter(ledger: Ledger) -> None:
    engine = Flaky()
    generations, told = run(engine, ledger, 3, "!loop 2")
    assert [generation.stop_reason for generation in generations] == ["stop"] * 3
    assert engine.batches == [[1, 2, 3], [2]]
    assert [number for number, tries in told.tries.items() if tries] == [2]


def test_page_that_loops_whatever_is_done_is_tried_as_often_as_others(ledger: Ledger) -> None:
    engine = Flaky()
    generations, _ = run(engine, ledger, 3, "!loopalways 2")
    assert [generation.stop_reason for generation in generations] == ["stop", "repetition", "stop"]
    assert engine.batches == [[1, 2, 3], [2], [2]]


def test_broken_engine_is_not_tried_again(ledger: Ledger) -> None:
    engine = Flaky(broken=True)
    with pytest.raises(EngineBroken):
        run(engine, ledger, 4)
    assert len(engine.batches) == 1


class Stepwise(EchoEngine):
    """Ends its rows one by one; raises after the first `good` rows of its first batch."""

    def __init__(self, good: int, error: Exception) -> None:
        super().__init__(EchoOptions())
        self.good, self.error = good, error
        self.batches: list[list[int]] = []

    def generate(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        self.batches.append([page.request.page_number for page in batch])
        generations = [Generation(text=f"page {page.request.page_number}") for page in batch]
        for row, generation in enumerate(generations):
            if len(self.batches) == 1 and row == self.good:
                raise self.error
            control.done(row, generation)
        return generations


def test_page_is_told_when_it_ends_not_when_its_batch_does(ledger: Ledger) -> None:
    order: list[str] = []

    class Watched(Stepwise):
        def generate(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
            generations = super().generate(batch, control)
            order.append("batch")
            return generations

    make_runner(
        Watched(99, EngineError()), ledger, batch(3), lambda page, *_: order.append(f"page {page.page_number}")
    ).run()
    assert order == ["page 1", "page 2", "page 3", "batch"]


@pytest.mark.parametrize("error", [TransientEngineError("away"), OutOfMemory(), ValueError("bad")])
def test_page_that_has_ended_is_not_read_again_when_its_batch_fails(ledger: Ledger, error: Exception) -> None:
    engine = Stepwise(2, error)
    generations, told = run(engine, ledger, 4)
    assert [generation.text for generation in generations] == [f"page {number}" for number in (1, 2, 3, 4)]
    assert engine.batches == [[1, 2, 3, 4], [3, 4]]
    assert {number for number, tries in told.tries.items() if tries} == {3, 4}


def test_outcome_of_an_abandoned_try_comes_too_late(ledger: Ledger) -> None:
    told = Told()
    pages = batch(1)
    runner = make_runner(EchoEngine(EchoOptions()), ledger, pages, told)
    runner.run()
    runner.end_row([pages[0].page], 0, Generation(text="late"))
    assert told.generations[1].text.startswith("page 1")
