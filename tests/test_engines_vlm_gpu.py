"""What only a GPU can show of the vlm engine; one command runs it: `pytest -m gpu`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from tiny_engines import asked_for, checkpoint, limited, one_by_one, prepare_pages

from workers.engines import Control, OutOfMemory
from workers.engines.vlm.engine import VlmEngine
from workers.engines.vlm.options import VlmOptions
from workers.engines.vlm.slots import Slots

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@contextmanager
def on_gpu(name: str, **options: Any) -> Iterator[VlmEngine]:
    wanted: dict[str, Any] = {"device": "cuda", "dtype": "float32", "batch_pages": 4} | options
    engine = VlmEngine(VlmOptions(model=str(checkpoint(name)), **wanted))
    engine.load()
    try:
        yield engine
    finally:
        engine.close()


@pytest.mark.parametrize("name", ["qwen2_5_vl", "idefics3", "granite_docling", "gemma3"])
def test_recorded_steps_with_joins_say_what_pages_say_alone(name: str) -> None:
    with on_gpu(name, refill=False) as plain, on_gpu(name) as engine:
        assert engine.report() == {"refill": "on", "graphs": "on"}
        pages = limited(prepare_pages(engine) * 3, 3, 40, 17, 9, 25, 31, 1, 12, 40)
        assert engine.generate(pages, Control()) == one_by_one(plain, pages)


def test_steps_are_recorded_before_the_first_page_and_memory_stays_level() -> None:
    with on_gpu("idefics3") as engine:
        assert engine._refill is not None
        graphs = engine._refill.graphs
        assert graphs is not None
        recorded = graphs.num_recorded
        assert recorded
        pages = limited(prepare_pages(engine), 5, 20, 40)
        levels = []
        for _ in range(50):
            engine.generate(pages, Control())
            levels.append(torch.cuda.memory_reserved())
        assert graphs.num_recorded == recorded
        assert max(levels[5:]) == levels[5]


def test_step_of_recorded_kind_does_not_wait_for_the_device() -> None:
    with on_gpu("qwen2_5_vl") as engine:
        pages = prepare_pages(engine, max_new_tokens=40)
        expected = engine.generate(pages, Control())
        step = Slots.step

        def strict(slots: Slots, *arguments: Any, **named: Any) -> torch.Tensor:
            torch.cuda.set_sync_debug_mode("error")
            try:
                return step(slots, *arguments, **named)
            finally:
                torch.cuda.set_sync_debug_mode("default")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Slots, "step", strict)
            assert engine.generate(pages, Control()) == expected


def test_cancelled_row_ends_within_two_checks_and_others_go_on() -> None:
    with on_gpu("qwen2_5_vl") as engine:
        first, second, _ = prepare_pages(engine, max_new_tokens=400)
        whole = one_by_one(engine, [first])
        began = time.monotonic()
        stopped = Control(deadline=began + 0.05)
        assert engine.generate([asked_for(second, max_new_tokens=8000)], stopped)[0].stop_reason == "timeout"
        assert engine.generate([first], Control()) == whole


def test_memory_that_is_full_is_out_of_memory_and_the_engine_goes_on() -> None:
    with on_gpu("qwen2_5_vl") as engine:
        pages = prepare_pages(engine)
        expected = engine.generate(pages, Control())
        free = torch.cuda.mem_get_info()[0]
        huge = asked_for(pages[0], max_new_tokens=1 << 13)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Slots, "fit", lambda *_: torch.empty(2 * free, dtype=torch.uint8, device="cuda"))
            with pytest.raises(OutOfMemory):
                engine.generate([huge], Control())
        assert engine.generate(pages, Control()) == expected


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_engine_of_the_second_gpu_leaves_the_first_alone() -> None:
    before = torch.cuda.memory_allocated(0)
    with on_gpu("qwen2_5_vl", device="cuda:1") as engine:
        pages = prepare_pages(engine)
        engine.generate(pages, Control())
        assert torch.cuda.memory_allocated(0) == before
        assert torch.cuda.memory_allocated(1) > 0
