"""The ledger on a real Redis: every change happens once, whatever the order of events."""

from __future__ import annotations

import random

import pytest

from tasks.ledger import IdTaken, Ledger, LedgerError, PageBusy, UnknownJob, connect, new_fields
from tasks.messages import JobOptions, PageTask

WINDOW = 32


@pytest.fixture
def ledger(redis_url: str) -> Ledger:
    ledger = Ledger(connect(redis_url))
    ledger.redis.flushdb()
    return ledger


def running_job(ledger: Ledger, num_pages: int, *, job_id: str = "j1", owner: str = "a", priority: int = 2) -> str:
    options = JobOptions(priority=priority)
    ledger.create(job_id, owner=owner, name="x.pdf", kind="pdf", size=1, options=options)
    ledger.begin_split(job_id)
    ledger.open_first_run(job_id, num_pages=num_pages, selection=f"1-{num_pages}", size=num_pages)
    return job_id


def page(index: int, *, run: int = 1, job_id: str = "j1") -> PageTask:
    return PageTask(job_id=job_id, run=run, index=index)


def make_ready(ledger: Ledger, *pages: PageTask) -> None:
    for one in pages:
        ledger.move(one, "ready")
        ledger.offer(one)


def counts(ledger: Ledger, job_id: str = "j1") -> dict[str, int]:
    job = ledger.job(job_id)
    assert job is not None
    assert sum(job.counts.values()) == job.num_selected
    return {state: number for state, number in job.counts.items() if number}


def test_unknown_job_is_none(ledger: Ledger) -> None:
    assert ledger.job("nobody") is None
    assert ledger.cancel("nobody") is None
    assert ledger.look(page(0)) is None


def test_job_id_is_taken_once(ledger: Ledger) -> None:
    running_job(ledger, 1)
    assert not ledger.create("j1", owner="b", name="y", kind="pdf", size=1, options=JobOptions())


def test_none_of_several_jobs_is_entered_where_an_id_is_taken(ledger: Ledger) -> None:
    running_job(ledger, 1)
    fields = new_fields(owner="b", name="y.pdf", kind="pdf", size=1, options=JobOptions())
    with pytest.raises(IdTaken, match="is taken; send the documents again"):
        ledger.create_all({"j2": fields, "j1": fields}, most=0)
    assert [(job.id, job.owner) for job in ledger.jobs()] == [("j1", "a")]


def test_first_end_of_a_page_wins_and_counts_once(ledger: Ledger) -> None:
    running_job(ledger, 2)
    assert ledger.move(page(0), "ok", blob="first")
    assert not ledger.move(page(0), "failed", reason="late")
    assert not ledger.move(page(0), "ok", blob="second")
    assert ledger.page("j1", 0).blob == "first"
    assert counts(ledger) == {"queued": 1, "ok": 1}


def test_page_of_an_older_run_is_refused(ledger: Ledger) -> None:
    running_job(ledger, 1)
    ledger.move(page(0), "failed", reason="x")
    run = ledger.open_repair("j1", indexes=[0], selection="1", options={})
    assert run == 2
    assert not ledger.move(page(0), "ok")
    assert ledger.move(page(0, run=2), "ok")


def test_assembly_waits_for_every_page_and_begins_once_ended(ledger: Ledger) -> None:
    running_job(ledger, 2)
    ledger.move(page(1), "ok")
    assert ledger.begin_assembly("j1") == "wait"
    ledger.move(page(0), "blank")
    assert ledger.begin_assembly("j1") == "assemble"
    assert ledger.begin_assembly("j1") == "assemble"
    assert ledger.end_job("j1", "succeeded", only_from="assembling")
    assert not ledger.end_job("j1", "partial", only_from="assembling")
    assert ledger.begin_assembly("j1") == "done"


def test_counters_are_mended_before_assembly(ledger: Ledger) -> None:
    running_job(ledger, 2)
    ledger.move(page(0), "ok")
    ledger.redis.hset("pf:job:j1", mapping={"n:ok": 7})
    ledger.redis.hset("pf:run:j1:1", mapping={"left": 0})
    assert ledger.begin_assembly("j1") == "wait"
    assert counts(ledger) == {"queued": 1, "ok": 1}


def test_window_feeds_each_position_once(ledger: Ledger) -> None:
    running_job(ledger, 100)
    fed = list(ledger.feed("j1", 1, window=WINDOW)[0])
    assert fed == list(range(WINDOW))
    assert not ledger.feed("j1", 1, window=WINDOW)[0]
    for position in range(100):
        fed += ledger.feed("j1", 1, window=WINDOW, finished=position)[0]
        fed += ledger.feed("j1", 1, window=WINDOW, finished=position)[0]  # the same message again
    assert fed == list(range(100))


def test_window_is_never_less_than_what_the_engines_hold(ledger: Ledger) -> None:
    running_job(ledger, 10 * WINDOW)
    ledger.report_alive("gpu", "one", holds=WINDOW)
    ledger.report_alive("gpu", "two", holds=WINDOW)
    ledger.report_alive("gpu", "three:failed", trouble="no memory")
    assert ledger.num_held() == 2 * WINDOW
    assert len(ledger.feed("j1", 1, window=WINDOW)[0]) == 3 * WINDOW
    running_job(ledger, 10 * WINDOW, job_id="j2")
    assert len(ledger.feed("j2", 1, window=10 * WINDOW)[0]) == 5 * WINDOW


def test_window_of_a_job_shrinks_with_its_owners_jobs(ledger: Ledger) -> None:
    for number in range(8):
        running_job(ledger, 100, job_id=f"j{number}")
    running_job(ledger, 100, job_id="other", owner="b")
    assert len(ledger.feed("j1", 1, window=WINDOW)[0]) == WINDOW // 8
    assert len(ledger.feed("other", 1, window=WINDOW)[0]) == WINDOW


def test_claimed_page_goes_to_no_other_until_the_claim_lapses(ledger: Ledger) -> None:
    running_job(ledger, 1)
    make_ready(ledger, page(0))
    assert len(ledger.take("one", most=4, ttl_s=0.2)) == 1
    ledger.offer(page(0))
    assert ledger.take("two", most=4, ttl_s=0.2, want=[page(0)]) == []
    assert ledger.renew("two", [page(0)], ttl_s=0.2) == {0}
    ledger.redis.delete("pf:claim:j1:0")
    assert len(ledger.take("two", most=4, ttl_s=5, want=[page(0)])) == 1
    assert ledger.renew("one", [page(0)], ttl_s=5) == {0}


def test_page_whose_process_died_runs_alone(ledger: Ledger) -> None:
    running_job(ledger, 4)
    make_ready(ledger, *(page(index) for index in range(4)))
    [first] = ledger.take("one", most=1, ttl_s=5)
    ledger.start([first.task])
    ledger.redis.delete("pf:claim:j1:0")
    ledger.offer(page(0))
    others = ledger.take("two", most=8, ttl_s=5)
    assert [claim.task.index for claim in others] == [1, 2, 3]
    [alone] = ledger.take("three", most=8, ttl_s=5, want=[page(0)])
    assert alone.starts == 1


def test_blameless_release_takes_back_the_start(ledger: Ledger) -> None:
    running_job(ledger, 1)
    make_ready(ledger, page(0))
    for _ in range(3):
        [claim] = ledger.take("one", most=8, ttl_s=5)
        assert claim.starts == 0
        ledger.start([claim.task])
        ledger.release("one", [claim.task], blameless=True)
    assert ledger.page("j1", 0).state == "ready"


def test_owners_take_turns_however_many_jobs_they_have(ledger: Ledger) -> None:
    for number in range(10):
        running_job(ledger, 20, job_id=f"many{number}", owner="many")
        make_ready(ledger, *(page(index, job_id=f"many{number}") for index in range(20)))
    running_job(ledger, 20, job_id="single", owner="single")
    make_ready(ledger, *(page(index, job_id="single") for index in range(20)))
    taken = [ledger.take("t", most=1, ttl_s=60)[0].task.job_id for _ in range(20)]
    assert taken.count("single") == 10
    assert len(set(taken)) == 11


def test_jobs_of_one_owner_share_by_priority(ledger: Ledger) -> None:
    for job_id, priority in (("low", 1), ("high", 4)):
        running_job(ledger, 40, job_id=job_id, priority=priority)
        make_ready(ledger, *(page(index, job_id=job_id) for index in range(40)))
    taken = [claim.task.job_id for claim in ledger.take("t", most=20, ttl_s=60)]
    assert taken.count("high") == 16


def test_pages_of_a_job_are_taken_in_page_order(ledger: Ledger) -> None:
    running_job(ledger, 30)
    make_ready(ledger, *(page(index) for index in (20, 3, 11, 0)))
    assert [claim.task.index for claim in ledger.take("t", most=8, ttl_s=5)] == [0, 3, 11, 20]


def test_batch_is_of_one_bucket_while_there_are_such_pages(ledger: Ledger) -> None:
    for job_id, bucket in (("short", "s"), ("long", "l")):
        running_job(ledger, 6, job_id=job_id, owner=job_id)
        for one in (page(index, job_id=job_id) for index in range(6)):
            ledger.move(one, "ready", bucket=bucket)
            ledger.offer(one)
    batches = ["".join(sorted(claim.bucket for claim in ledger.take("t", most=4, ttl_s=60))) for _ in range(3)]
    assert sorted(batches) == ["llll", "llss", "ssss"]


def test_peek_tells_what_would_be_taken_and_changes_nothing(ledger: Ledger) -> None:
    rng = random.Random(3)
    for number in range(9):
        job_id = running_job(ledger, 12, job_id=f"j{number}", owner=f"owner{number % 3}", priority=2 ** (number % 3))
        for one in (page(index, job_id=job_id) for index in rng.sample(range(12), rng.randint(0, 6))):
            ledger.move(one, "ready", bucket=rng.choice("ab"))
            ledger.offer(one)
    while peeked := [page.task_id for page in ledger.peek(5)]:
        assert [page.task_id for page in ledger.peek(5)] == peeked
        assert [claim.task.task_id for claim in ledger.take("t", most=5, ttl_s=60)] == peeked
    assert ledger.take("t", most=5, ttl_s=60) == []


def test_company_is_of_the_bucket_that_is_asked_for(ledger: Ledger) -> None:
    running_job(ledger, 4)
    for index, bucket in enumerate("abab"):
        ledger.move(page(index), "ready", bucket=bucket)
        ledger.offer(page(index))
    assert [claim.task.index for claim in ledger.take("t", most=2, ttl_s=5, bucket="b")] == [1, 3]
    assert [claim.task.index for claim in ledger.take("t", most=2, ttl_s=5, bucket="b")] == [0, 2]


def test_cancel_ends_every_page_and_stops_the_running_ones(ledger: Ledger) -> None:
    running_job(ledger, 50)
    make_ready(ledger, page(0), page(1))
    ledger.move(page(2), "ok")
    [claim, _] = ledger.take("t", most=2, ttl_s=5)
    assert ledger.cancel("j1") == "cancelled"
    assert counts(ledger) == {"ok": 1, "cancelled": 49}
    assert ledger.renew("t", [claim.task], ttl_s=5) == {0}
    assert not ledger.move(page(0), "ok")
    assert ledger.look(page(5)) is None
    assert not ledger.feed("j1", 1, window=WINDOW)[0]
    assert ledger.active_jobs() == []


def test_repair_that_fails_keeps_the_text_there_was(ledger: Ledger) -> None:
    running_job(ledger, 1)
    ledger.move(page(0), "ok", blob="good", engine="e")
    ledger.open_repair("j1", indexes=[0], selection="1", options={"dpi": 300})
    ledger.move(
        page(0, run=2), "failed", reason="timeout", attempts=[{"engine": "e", "seconds": 1, "reason": "timeout"}]
    )
    kept = ledger.page("j1", 0)
    assert (kept.state, kept.blob, kept.reason) == ("ok", "good", "")
    assert kept.attempts == ({"engine": "e", "seconds": 1, "reason": "timeout"},)
    assert ledger.run_options("j1", 2) == {"dpi": 300}


def test_cancelled_repair_leaves_the_job_as_it_was(ledger: Ledger) -> None:
    running_job(ledger, 2)
    ledger.move(page(0), "ok", blob="good")
    ledger.move(page(1), "failed")
    ledger.open_repair("j1", indexes=[0, 1], selection="1-2", options={})
    assert ledger.cancel("j1") == "assemble"
    assert ledger.begin_assembly("j1") == "assemble"
    assert counts(ledger) == {"ok": 1, "cancelled": 1}


def test_two_repairs_at_once_do_not_mix(ledger: Ledger) -> None:
    running_job(ledger, 3)
    for index in range(3):
        ledger.move(page(index), "failed")
    assert ledger.open_repair("j1", indexes=[0], selection="1", options={}) == 2
    assert ledger.open_repair("j1", indexes=[2], selection="3", options={}) == 3
    with pytest.raises(PageBusy, match="page 1 "):
        ledger.open_repair("j1", indexes=[0, 1], selection="1-2", options={})
    assert not ledger.move(page(0, run=3), "ok")
    assert ledger.move(page(2, run=3), "ok")
    assert ledger.begin_assembly("j1") == "wait"
    assert ledger.move(page(0, run=2), "ok")
    assert ledger.begin_assembly("j1") == "assemble"
    assert counts(ledger) == {"ok": 2, "failed": 1}


def test_pages_of_a_cancelled_job_can_be_repaired(ledger: Ledger) -> None:
    running_job(ledger, 10)
    ledger.cancel("j1")
    assert ledger.open_repair("j1", indexes=[4], selection="5", options={}) == 2
    assert counts(ledger) == {"queued": 1, "cancelled": 9}
    ledger.move(page(4, run=2), "ok")
    assert ledger.begin_assembly("j1") == "assemble"
    assert counts(ledger) == {"ok": 1, "cancelled": 9}


def test_repair_of_nothing_says_why(ledger: Ledger) -> None:
    with pytest.raises(UnknownJob):
        ledger.open_repair("nobody", indexes=[0], selection="1", options={})
    ledger.create("j1", owner="a", name="x", kind="pdf", size=1, options=JobOptions())
    ledger.end_job("j1", "failed", error={"reason": "corrupt", "detail": "…"})
    with pytest.raises(LedgerError, match="send it again"):
        ledger.open_repair("j1", indexes=[0], selection="1", options={})


def test_changes_can_be_followed_by_number(ledger: Ledger) -> None:
    running_job(ledger, 5)
    ledger.move(page(1), "ok")
    before = ledger.job("j1")
    assert before is not None
    ledger.move(page(3), "failed")
    assert [changed.index for changed in ledger.pages("j1", since_seq=before.seq)] == [3]
    assert [changed.index for changed in ledger.pages("j1")] == [1, 3]


def test_forgotten_job_leaves_no_keys(ledger: Ledger) -> None:
    running_job(ledger, 5)
    make_ready(ledger, page(0))
    ledger.feed("j1", 1, window=WINDOW)
    ledger.move(page(0), "ok")
    ledger.cancel("j1")
    ledger.forget("j1")
    assert list(ledger.redis.scan_iter("*j1*")) == []
    assert ledger.jobs() == []


def test_job_that_ended_stands_unconcluded_until_somebody_says_otherwise(ledger: Ledger) -> None:
    running_job(ledger, 2)
    ledger.cancel("j1")
    assert ledger.unconcluded(older_s=60) == []
    assert ledger.unconcluded(older_s=0) == ["j1"]
    ledger.concluded("j1")
    assert ledger.unconcluded(older_s=0) == []


def test_workers_are_known_by_their_last_report(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ledger.workers("gpu") == {}
    ledger.report_alive("gpu", "w1", engine="echo", busy=0.5)
    ledger.report_alive("cpu", "w2")
    assert {name: report["engine"] for name, report in ledger.workers("gpu").items()} == {"w1": "echo"}
    monkeypatch.setattr("tasks.ledger.claims.ALIVE_S", -1)
    assert ledger.workers("gpu") == {}
    assert ledger.redis.hlen("pf:workers:gpu") == 0


def test_pace_of_a_run_counts_its_own_pages(ledger: Ledger) -> None:
    running_job(ledger, 4)
    for index in range(4):
        ledger.move(page(index), "ok" if index else "failed")
    run = ledger.open_repair("j1", indexes=[0, 1], selection="1-2", options={})
    assert ledger.run_pace("j1", run)[0] == 0
    ledger.move(page(0, run=run), "ok")
    num_ended, opened_at = ledger.run_pace("j1", run)
    assert num_ended == 1
    assert opened_at > 0
    assert ledger.run_pace("nobody", 1) == (0, 0.0)
