"""Loops are found and cut; text that merely repeats a little, as tables do, is left alone."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.repetition import MIN_FILLER_TOKENS, MIN_REPEATS, MIN_TOKENS, cut_loop, is_looping

TOKENS = st.integers(0, 50)
BLOCKS = st.lists(TOKENS, min_size=1, max_size=64)


def repeats_needed(block_length: int, minimum: int = MIN_TOKENS) -> int:
    return max(MIN_REPEATS, -(-minimum // block_length))


@given(head=st.lists(TOKENS, max_size=200), block=BLOCKS, part=st.integers(0, 63))
def test_repeated_block_is_found_wherever_it_is_cut(head: list[int], block: list[int], part: int) -> None:
    assert is_looping(head + block * repeats_needed(len(block)) + block[: part % len(block)])


@given(block=BLOCKS, extra=st.integers(51, 99))
def test_token_that_breaks_the_cycle_ends_the_loop(block: list[int], extra: int) -> None:
    assert not is_looping([*block * repeats_needed(len(block)), extra])


@given(st.lists(TOKENS, max_size=MIN_TOKENS - 1))
def test_short_text_never_loops(ids: list[int]) -> None:
    assert not is_looping(ids)


@given(st.lists(st.integers(0, 3), min_size=90, max_size=130))
def test_agrees_with_the_definition(ids: list[int]) -> None:
    def tail_repeats(period: int) -> bool:
        needed = max(MIN_REPEATS * period, MIN_TOKENS)
        tail = ids[-needed:]
        return len(ids) >= needed and all(tail[i] == tail[i + period] for i in range(needed - period))

    assert is_looping(ids) == any(tail_repeats(period) for period in range(1, 65))


@pytest.mark.parametrize("block", [[1], [1, 2], [1, 1, 2, 3]])
def test_rules_of_tables_may_run_longer(block: list[int]) -> None:
    def is_filler(token: int) -> bool:
        return token <= 3

    assert not is_looping((block * 300)[: MIN_FILLER_TOKENS - 1], is_filler=is_filler)
    assert is_looping((block * 300)[:MIN_FILLER_TOKENS], is_filler=is_filler)
    assert is_looping((block * 300)[: MIN_FILLER_TOKENS - 1])


def test_five_repeats_are_no_loop() -> None:
    block = list(range(40))
    assert not is_looping(block * 5)
    assert is_looping(block * 6)


def test_a_check_is_cheap() -> None:
    generator = random.Random(1)
    ids = [generator.randrange(40) for _ in range(4096)]
    started = time.process_time()
    for _ in range(1000):
        assert not is_looping(ids)
    assert time.process_time() - started < 1.0  # 1 ms each; a token takes a GPU 10 ms or more


@given(head=st.text("abc def.\n", max_size=60), block=st.text("xyz uvw123,", min_size=1, max_size=200))
def test_loop_is_cut_to_at_most_one_block(head: str, block: str) -> None:
    if not any(char.isalnum() for char in block):
        block += "x"
    cut = cut_loop(f"{head}!" + block * max(MIN_REPEATS, MIN_TOKENS // len(block) + 1))
    assert f"{head}!{block}".startswith(cut)
    assert len(cut) > len(head) + 1


@given(st.text("abcdefgh \n", max_size=90))
def test_short_text_is_not_cut(text: str) -> None:
    assert cut_loop(text) == text


@given(text=st.text("ab", max_size=20), block=st.text("abc1", min_size=1, max_size=30))
def test_cutting_twice_changes_nothing_more(text: str, block: str) -> None:
    cut = cut_loop(text + block * 150)
    assert cut_loop(cut) == cut


def test_block_that_is_cut_off_at_the_end_counts() -> None:
    text = "Total of the year. " + "Nothing more to see on this page. " * 9 + "Nothing more"
    cut = cut_loop(text)
    assert cut.startswith("Total of the year. ")
    assert cut.count("to see") == 1


def test_stripped_end_does_not_hide_the_loop() -> None:
    block = "an answer of twenty\n"
    assert cut_loop((block * 6).strip()).strip() == block.strip()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "| name | value |\n| --- | --- |\n" + "".join(f"| row {i} | {i * i} |\n" for i in range(40)),
        "Contents\n" + "Chapter 1 " + "." * 120 + " 12",
        "Heading\n" + "-" * 200,
        "A sentence that stands here twice. " * 2,
    ],
)
def test_real_text_is_left_alone(text: str) -> None:
    assert cut_loop(text) == text
