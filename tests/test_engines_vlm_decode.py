"""The decode loop: what stops one row leaves the others alone, and text comes while it runs."""

from __future__ import annotations

import time
from itertools import pairwise
from operator import itemgetter
from typing import Any, Literal

import pytest
import torch
from tiny_engines import (
    QUICKEST,
    StopRow,
    asked_for,
    forget_end_tokens,
    limited,
    loaded,
    model_of,
    one_by_one,
    prepare_pages,
)
from transformers import LogitsProcessorList, TopKLogitsWarper

from workers.engines import Control, Generation
from workers.engines.vlm.decode import CHECK_EVERY, choose
from workers.engines.vlm.rows import TextStream

# The processor of GLM hands tensors to NumPy 2 in the way of NumPy 1.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_deadline_of_one_row_stops_that_row_only() -> None:
    engine = loaded(QUICKEST, refill=False)
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
    engine = loaded(name, refill=False)
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
    temperatures = torch.full((20_000,), 2.0)
    scores = torch.tensor([[1.0, 0.0, -1.0, 3.0]]).repeat(20_000, 1)
    ids = torch.zeros(20_000, 1, dtype=torch.int64)
    torch.manual_seed(0)
    tokens = choose(scores, ids, temperatures, LogitsProcessorList())
    shares = torch.bincount(tokens, minlength=4) / 20_000
    torch.testing.assert_close(shares, (scores[0] / 2).softmax(-1), atol=0.01, rtol=0)
    only_best = LogitsProcessorList([TopKLogitsWarper(1)])
    assert set(choose(scores, ids, temperatures, only_best).tolist()) == {3}


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
