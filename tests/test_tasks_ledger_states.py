"""The ledger obeys the state diagram of docs/states.md under duplicated, reordered and lost events."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tasks.ledger import Ledger, LedgerError, connect
from tasks.ledger.records import PAGE_STATES, Page
from tasks.messages import JOB_ENDED, PAGE_ENDED, JobOptions, PageState, PageTask

NUM_PAGES = 6
JOB = "job"
ENDS: list[PageState] = ["ok", "blank", "fallback", "failed"]
JOB_STEPS = {
    "queued": {"splitting", "failed", "cancelled"},
    "splitting": {"running", "failed", "cancelled"},
    "running": {"assembling", "failed", "cancelled"},
    "assembling": {"running", "succeeded", "partial", "failed", "cancelled"},
    "succeeded": {"running"},
    "partial": {"running"},
    "failed": {"running"},
    "cancelled": {"running"},
}


class LedgerMachine(RuleBasedStateMachine):
    """Workers that send every event at any time, any number of times; messages of old runs come late."""

    ledger: Ledger

    def __init__(self) -> None:
        super().__init__()
        self.ledger.redis.flushdb()
        self.ledger.create(JOB, owner="o", name="x", kind="pdf", size=1, options=JobOptions())
        self.state = "queued"
        self.ended: dict[int, Page] = {}
        self.fed: list[tuple[int, int]] = []
        self.claims: dict[str, set[int]] = {"one": set(), "two": set()}

    indexes = st.integers(0, NUM_PAGES - 1)
    workers = st.sampled_from(["one", "two"])

    def task(self, index: int, run: int) -> PageTask:
        return PageTask(job_id=JOB, run=run, index=index)

    def last_run(self) -> int:
        job = self.ledger.job(JOB)
        assert job is not None
        return job.run

    @rule()
    def split(self) -> None:
        if self.ledger.begin_split(JOB):
            self.ledger.open_first_run(JOB, num_pages=NUM_PAGES, selection=f"1-{NUM_PAGES}", size=NUM_PAGES)

    @rule(finished=st.none() | indexes)
    def feed(self, finished: int | None) -> None:
        for run in range(1, self.last_run() + 1):
            positions, _ = self.ledger.feed(JOB, run, window=2, finished=finished)
            self.fed += [(run, position) for position in positions]

    @rule(index=indexes, back=st.integers(0, 1), state=st.sampled_from(PAGE_STATES[1:4]))
    def advance(self, index: int, back: int, state: PageState) -> None:
        task = self.task(index, self.last_run() - back)
        if self.ledger.look(task) is not None and self.ledger.move(task, state):
            self.ledger.offer(task)

    @rule(worker=workers, wanted=st.none() | indexes)
    def take(self, worker: str, wanted: int | None) -> None:
        want = [] if wanted is None else [self.task(wanted, self.last_run())]
        for claim in self.ledger.take(worker, most=3, ttl_s=60, want=want):
            other = "two" if worker == "one" else "one"
            assert claim.task.index not in self.claims[other], "a page is held twice"
            self.claims[worker].add(claim.task.index)
            self.ledger.start([claim.task])

    @rule(worker=workers)
    def die(self, worker: str) -> None:
        """The process is killed and its claims lapse."""
        for index in self.claims[worker]:
            self.ledger.redis.delete(f"pf:claim:{JOB}:{index}")
        self.claims[worker].clear()

    @rule(index=indexes, back=st.integers(0, 1), state=st.sampled_from(ENDS))
    def end_page(self, index: int, back: int, state: PageState) -> None:
        moved = self.ledger.move(self.task(index, self.last_run() - back), state, blob=f"{index}.{state}")
        if moved:
            assert index not in self.ended, "a page ended twice"
            for held in self.claims.values():
                held.discard(index)

    @rule()
    def assemble(self) -> None:
        if self.ledger.begin_assembly(JOB) == "assemble":
            assert len(self.ended) == NUM_PAGES, "assembly began too early"

    @rule(state=st.sampled_from(["succeeded", "partial"]))
    def end_job(self, state: Any) -> None:
        self.ledger.end_job(JOB, state, only_from="assembling")

    @rule()
    def cancel(self) -> None:
        self.ledger.cancel(JOB)
        for held in self.claims.values():
            held.clear()

    @rule(chosen=st.sets(indexes, min_size=1))
    def repair(self, chosen: set[int]) -> None:
        text = ",".join(str(index + 1) for index in sorted(chosen))
        try:
            self.ledger.open_repair(JOB, indexes=sorted(chosen), selection=text, options={})
        except LedgerError:
            return
        for index in chosen:
            self.ended.pop(index, None)

    @precondition(lambda self: self.state == "running")
    @rule(key=st.sampled_from(["n:ok", "n:failed"]))
    def lose_counters(self, key: str) -> None:
        """Counters are mended from the records before they decide anything."""
        self.ledger.redis.hset(f"pf:job:{JOB}", key, 0)
        self.ledger.begin_assembly(JOB)

    @invariant()
    def pages_that_ended_stay(self) -> None:
        job = self.ledger.job(JOB)
        assert job is not None
        recorded = {page.index: page for page in self.ledger.pages(JOB)}
        for index, before in self.ended.items():
            if index in recorded:
                now = recorded[index]
                assert (now.state, now.blob, now.run) == (before.state, before.blob, before.run)
        self.ended |= {index: page for index, page in recorded.items() if page.has_ended}
        if job.was_cancelled:
            untouched = set(range(NUM_PAGES)) - set(recorded) if job.num_selected else set()
            self.ended |= {index: Page(index=index, state="cancelled") for index in untouched}

    @invariant()
    def counts_add_up(self) -> None:
        job = self.ledger.job(JOB)
        assert job is not None
        assert sum(job.counts.values()) == job.num_selected
        if job.state in JOB_ENDED and job.num_selected:
            assert job.num_ended == job.num_selected, "a job ended with a page at work"
        recorded: list[str] = [page.state for page in self.ledger.pages(JOB)]
        for state in PAGE_ENDED - {"cancelled"}:
            assert job.counts[state] == recorded.count(state)

    @invariant()
    def job_goes_by_the_diagram(self) -> None:
        job = self.ledger.job(JOB)
        assert job is not None
        if job.state != self.state:
            assert reachable(self.state, job.state), f"{self.state} -> {job.state}"
            self.state = job.state

    @invariant()
    def no_position_is_fed_twice(self) -> None:
        assert len(self.fed) == len(set(self.fed))


def reachable(start: str, goal: str) -> bool:
    """Whether the diagram has a way of at most two steps, which is what one rule takes."""
    front = {start}
    for _ in range(2):
        front |= {after for state in front for after in JOB_STEPS[state]}
    return goal in front


@pytest.mark.timeout(240)
def test_ledger_obeys_its_state_diagram(redis_url: str) -> None:
    class Machine(LedgerMachine):
        ledger = Ledger(connect(redis_url))

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
