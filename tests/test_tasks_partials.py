"""Partial texts: written only for those who watch, bounded, and gone when their page has ended."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from services import wait_until

from tasks.generate.partials import PartialTexts, read_partials, text_key, watch
from tasks.ledger import Ledger, connect
from tasks.messages import JobOptions, PageState, PageTask

JOB = "0123456789abcdef"


@pytest.fixture
def ledger(redis_url: str) -> Iterator[Ledger]:
    """A job of four pages, two of which are being generated."""
    ledger = Ledger(connect(redis_url))
    ledger.redis.flushdb()
    ledger.create(JOB, owner="local", name="a.pdf", kind="pdf", size=1, options=JobOptions())
    ledger.begin_split(JOB)
    ledger.open_first_run(JOB, num_pages=4, selection="1-4", size=4)
    for index in (0, 1):
        ledger.move(task(index), "generating")
    yield ledger
    ledger.redis.close()


def task(index: int) -> PageTask:
    return PageTask(job_id=JOB, run=1, index=index)


def keys(ledger: Ledger) -> set[str]:
    return set(ledger.redis.keys("pf:partial:*"))


def test_nothing_is_written_while_nobody_watches(ledger: Ledger) -> None:
    texts = PartialTexts(ledger)
    texts.begin([task(0)])(0, "so far")
    texts.flush()
    assert keys(ledger) == set()
    watch(ledger, JOB)
    texts.flush()
    assert read_partials(ledger, JOB, [0, 1]) == {0: "so far"}


def test_key_is_bounded_lapses_and_stays_out_of_the_ledger(ledger: Ledger) -> None:
    before = ledger.redis.hgetall(f"pf:job:{JOB}"), ledger.redis.hgetall(f"pf:pages:{JOB}")
    watch(ledger, JOB)
    texts = PartialTexts(ledger)
    texts.begin([task(0)])(0, "a" * 30_000 + "é\ud800")
    texts.flush()
    assert read_partials(ledger, JOB, [0])[0] == "a" * 19_998 + "é?"
    assert 0 < ledger.redis.pttl(text_key(JOB, 0)) <= 10_000
    assert 0 < ledger.redis.ttl(f"pf:watched:{JOB}") <= 15
    assert (ledger.redis.hgetall(f"pf:job:{JOB}"), ledger.redis.hgetall(f"pf:pages:{JOB}")) == before


def test_changed_pages_are_announced_together_and_unchanged_ones_are_not(ledger: Ledger) -> None:
    watch(ledger, JOB)
    texts = PartialTexts(ledger)
    note = texts.begin([task(1), task(0)])
    with ledger.redis.pubsub(ignore_subscribe_messages=True) as heard:
        heard.subscribe(f"pf:reading:{JOB}")
        wait_until(lambda: ledger.redis.pubsub_numsub(f"pf:reading:{JOB}")[0][1], 5)
        note(0, "one")
        note(1, "two")
        texts.flush()
        texts.flush()
        note(0, "one more")
        texts.flush()
        messages = [wait_until(lambda: heard.get_message(timeout=0.1), 5)["data"] for _ in range(2)]
        assert messages == ["0,1", "1"]
        assert heard.get_message(timeout=0.1) is None


def test_unchanged_text_is_renewed_before_it_lapses(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    watch(ledger, JOB)
    texts = PartialTexts(ledger)
    texts.begin([task(0)])(0, "slow")
    texts.flush()
    ledger.redis.pexpire(text_key(JOB, 0), 1000)
    texts.flush()
    assert ledger.redis.pttl(text_key(JOB, 0)) <= 1000
    later = time.monotonic() + 6
    monkeypatch.setattr(time, "monotonic", lambda: later)
    texts.flush()
    assert ledger.redis.pttl(text_key(JOB, 0)) > 1000


def test_new_try_drops_what_the_one_before_said(ledger: Ledger) -> None:
    watch(ledger, JOB)
    texts = PartialTexts(ledger)
    note = texts.begin([task(0), task(1)])
    note(0, "first try")
    note(1, "other half")
    texts.flush()
    texts.begin([task(0)])
    texts.flush()
    assert read_partials(ledger, JOB, [0, 1]) == {0: "", 1: "other half"}


def test_ended_page_leaves_no_key_and_is_not_written_again(ledger: Ledger) -> None:
    watch(ledger, JOB)
    texts = PartialTexts(ledger)
    note = texts.begin([task(0), task(1)])
    note(0, "a")
    note(1, "b")
    texts.flush()
    texts.end(task(0))
    texts.flush()
    assert keys(ledger) == {text_key(JOB, 1)}
    texts.end(task(1))
    texts.end(task(2))
    assert keys(ledger) == set()


@pytest.mark.parametrize("state", ["ok", "failed", "cancelled", "queued"])
def test_text_of_a_page_that_is_not_being_generated_is_not_shown(ledger: Ledger, state: PageState) -> None:
    watch(ledger, JOB)
    texts = PartialTexts(ledger)
    texts.begin([task(0)])(0, "stale")
    texts.flush()
    ledger.move(task(0), state)
    assert read_partials(ledger, JOB, [0, 3]) == {}
