"""The writer's work in turns: no page is lost, each job keeps its order, a short job does not wait for a long one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tasks.generate.turns import Turns


@given(st.lists(st.sampled_from("abc"), max_size=40))
def test_each_job_keeps_its_order_and_none_is_lost(keys: list[str]) -> None:
    turns, done = Turns(), list[tuple[str, int]]()
    for place, key in enumerate(keys):
        turns.put(key, lambda key=key, place=place: done.append((key, place)))  # type: ignore[misc]
    for _ in keys:
        turns.take()()
    assert sorted(done, key=lambda each: each[1]) == [(key, place) for place, key in enumerate(keys)]
    for wanted in "abc":
        places = [place for key, place in done if key == wanted]
        assert places == sorted(places)


def test_the_only_page_of_a_job_goes_ahead_of_the_rest_of_a_long_one() -> None:
    turns, done = Turns(), list[str]()
    for number in range(30):
        turns.put("long", lambda number=number: done.append(f"long {number}"))  # type: ignore[misc]
    turns.take()()
    turns.put("short", lambda: done.append("short"))
    for _ in range(30):
        turns.take()()
    assert done.index("short") <= 2
    assert len(done) == 31
