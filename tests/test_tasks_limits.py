"""No state lasts without a limit: whatever raises, and wherever, the job ends with every page accounted for.

The tasks run here one after the other, without Celery's workers: a task that raises is lost, as it would be there, and
the reconciler sends again what it misses.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest
import tenacity
from services import make_pdf, wait_until
from web_service import WebService, web_service

from tasks import chord, page_end, pipeline, prepare, reconcile, split
from tasks.archive import write_job_file, write_job_record
from tasks.assemble import job_end, results
from tasks.blobs import Blobs
from tasks.generate import batcher as batchers
from tasks.generate import read_ahead, runner, writer
from tasks.generate.batcher import Batcher
from tasks.ledger import Ledger
from tasks.ledger.records import PAGE_STATES, Job
from tasks.messages import JOB_ENDED, PAGE_ENDED, JobState, PageTask
from tasks.services import get_blobs, get_ledger
from tasks.settings import get_settings
from workers.documents import pages as document_pages
from workers.engines.echo import EchoEngine, EchoOptions

NUM_PAGES = 3
ENDS_S = 12  # of patience; most end within a second


class Fault(NamedTuple):
    """What raises each time, and the states it must meet: of the job, and of its first page where it is a page's."""

    owner: Any
    name: str
    job: str
    page: str = ""

    def __str__(self) -> str:
        return f"{self.name}-{self.job}-{self.page}"


FAULTS = [
    Fault(Ledger, "begin_split", "queued"),
    Fault(pipeline, "fetch_source", "splitting"),
    Fault(Blobs, "local", "splitting"),
    Fault(split, "inspect_document", "splitting"),
    Fault(split, "select_pages", "splitting"),
    Fault(chord, "group_id", "splitting"),
    Fault(Ledger, "open_first_run", "splitting"),
    Fault(Ledger, "feed", "running", "queued"),
    Fault(chord, "load_run", "running", "queued"),
    Fault(Ledger, "look", "running", "queued"),
    Fault(pipeline, "render", "running", "preparing"),
    Fault(prepare, "render_and_prepare", "running", "preparing"),
    Fault(document_pages, "get_engine", "running", "preparing"),
    Fault(EchoEngine, "prepare", "running", "preparing"),
    Fault(EchoEngine, "pack", "running", "preparing"),
    Fault(document_pages, "encode_png", "running", "preparing"),
    Fault(prepare, "cache_key", "running", "preparing"),
    Fault(Blobs, "write", "running", "preparing"),
    Fault(page_end, "load_run", "running", "generating"),
    Fault(pipeline, "get_batcher", "running", "ready"),
    Fault(Ledger, "offer", "running", "ready"),
    Fault(Ledger, "take", "running", "ready"),
    Fault(Ledger, "start", "running", "ready"),
    Fault(read_ahead, "load_run", "running", "ready"),
    Fault(batchers, "most_times", "running", "generating"),
    Fault(runner, "read_all", "running", "generating"),
    Fault(EchoEngine, "generate", "running", "generating"),
    Fault(writer, "observe", "running", "generating"),
    Fault(writer, "save_generation", "running", "generating"),
    Fault(page_end, "keep_in_cache", "running", "generating"),
    Fault(page_end, "compare_with_layer", "running", "generating"),
    Fault(page_end, "remove_intermediates", "running", "ok"),
    Fault(pipeline, "position_of", "running", "ok"),
    Fault(pipeline, "final_state", "assembling"),
    Fault(results, "result_file", "assembling"),
    Fault(results, "read_content", "assembling"),
    Fault(job_end, "conclude", "succeeded"),
    Fault(job_end, "write_job_record", "succeeded"),
    Fault(job_end, "notify", "succeeded"),
]
OF_THE_STORE = {"local", "write", "save_generation", "remove_intermediates", "result_file", "write_job_record"}


class InProcess:
    """A sandbox that does the work where it is called."""

    def run(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        for name in ("timeout_s", "should_stop"):
            options.pop(name, None)
        return function(*args, **options)


class Flow:
    """Carries the messages of one job until it has ended; `seen` are the states that the fault has met."""

    def __init__(self, web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
        self.web, self.monkeypatch = web, monkeypatch
        self.messages: queue.Queue[tuple[set[str], Callable[[], object]] | None] = queue.Queue()
        self.live: set[str] = set()
        self.seen: set[tuple[str, str]] = set()
        self.job_id = ""
        self.batcher = Batcher(
            EchoEngine(EchoOptions()), get_ledger(), get_blobs(), get_settings(), lambda _: None, print
        )
        for module in (split, prepare):
            monkeypatch.setattr(module, "get_sandbox", InProcess)
        monkeypatch.setattr(pipeline, "get_batcher", lambda: self.batcher)
        self.catch(pipeline.split_document)
        self.catch(pipeline.assemble_document)
        monkeypatch.setattr(
            pipeline.prepare_page, "apply_async", lambda args, **_: attempt(pipeline.prepare_page, *args)
        )
        monkeypatch.setattr(chord, "chain", lambda prepared, generated: Chain(self, prepared.args, generated.args))

    def catch(self, task: Any) -> None:
        def send(args: tuple[Any, ...], *, task_id: str, **_: Any) -> None:
            self.send({task_id}, lambda: attempt(task, *args))

        self.monkeypatch.setattr(task, "apply_async", send)

    def send(self, task_ids: set[str], work: Callable[[], object]) -> None:
        self.live |= task_ids
        self.messages.put((task_ids, work))

    def deliver(self) -> None:
        """The worker's thread: one message after the other."""
        while message := self.messages.get():
            task_ids, work = message
            work()
            self.live -= task_ids

    def inject(self, fault: Fault, error: type[Exception]) -> None:
        """From now on this raises each time, and notes the states that it meets."""

        def fail(*_: Any, **__: Any) -> Any:
            self.note()
            raise error("nobody expected this")

        self.monkeypatch.setattr(fault.owner, fault.name, fail)

    def note(self) -> None:
        raw = self.web.ledger.redis.hget(f"pf:job:{self.job_id}", "state")
        page = self.web.ledger.page(self.job_id, 0).state
        self.seen.add((str(raw), page))

    def step(self) -> bool:
        """Look for what was lost; whether the job has ended."""
        reconcile.look_after_or_give_up(self.job_id, set(self.live))
        reconcile.conclude_ended_jobs()
        job = self.web.ledger.job(self.job_id)
        return job is not None and job.has_ended

    def run(self, fault: Fault | None = None, error: type[Exception] = ZeroDivisionError) -> Job:
        self.job_id = self.web.submit(data=make_pdf(NUM_PAGES))
        if fault:
            self.inject(fault, error)
        worker = threading.Thread(target=self.deliver, daemon=True)
        self.batcher.start()
        worker.start()
        try:
            wait_until(self.step, ENDS_S, "the job to end")
        finally:
            self.messages.put(None)
            worker.join(5)
            self.monkeypatch.undo()
            self.batcher.close(5)
        job = self.web.ledger.job(self.job_id)
        assert job is not None
        return job


class Chain:
    """Both tasks of a page; the second only where the first returns."""

    def __init__(self, flow: Flow, prepared: Any, generated: Any) -> None:
        self.flow, self.prepared, self.generated = flow, prepared, generated

    def apply_async(self, **_: Any) -> None:
        page = PageTask.from_json(self.prepared[0])
        self.flow.send({page.task_id, f"{page.task_id}-prepare"}, self.run)

    def run(self) -> None:
        if attempt(pipeline.prepare_page, *self.prepared):
            attempt(pipeline.generate_page, *self.generated)


def attempt(task: Any, *args: Any) -> bool:
    """Whether a task returned; its failure is the worker's log entry."""
    try:
        task(*args)
    except Exception:
        return False
    return True


@pytest.fixture
def flow(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flow]:
    settings = {"reconcile_s": 0.02, "render_timeout_s": 0.2, "engine": "echo", "page_cache_mb": 0, "job_stall_s": 2}
    with web_service(redis_url, tmp_path, monkeypatch, **settings) as web:
        for patient in (
            page_end.save_text,
            page_end.fail_page,
            prepare.keep_prepared,
            write_job_file,
            write_job_record,
        ):
            monkeypatch.setattr(patient.retry, "stop", tenacity.stop_after_attempt(2))
            monkeypatch.setattr(patient.retry, "wait", tenacity.wait_none())
        yield Flow(web, monkeypatch)


def check_accounted(flow: Flow, job: Job) -> None:
    """The job has ended, and so has each of its pages; what failed has a reason."""
    assert job.state in JOB_ENDED
    assert job.num_ended == job.num_selected
    pages = flow.web.ledger.pages(job.id)
    assert all(page.has_ended for page in pages)
    assert all(page.reason for page in pages if page.state == "failed")
    if job.state == "failed" and not job.num_selected:
        assert job.error
        assert job.error["detail"].endswith(".")


def test_flow_without_a_fault_succeeds(flow: Flow) -> None:
    job = flow.run()
    check_accounted(flow, job)
    assert (job.state, job.counts["ok"]) == ("succeeded", NUM_PAGES)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_step_that_always_raises_ends_the_job(flow: Flow, fault: Fault) -> None:
    check_end(flow, fault, ZeroDivisionError)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.name in OF_THE_STORE], ids=str)
def test_store_that_is_away_for_good_ends_the_job(flow: Flow, fault: Fault) -> None:
    check_end(flow, fault, OSError)


def check_end(flow: Flow, fault: Fault, error: type[Exception]) -> None:
    job = flow.run(fault, error)
    assert flow.seen, "the fault was met"
    assert any(fault.job == state and fault.page in ("", page) for state, page in flow.seen), flow.seen
    check_accounted(flow, job)


def test_faults_meet_every_state_that_is_no_end() -> None:
    assert {fault.job for fault in FAULTS} >= set(get_args(JobState)) - JOB_ENDED
    assert {fault.page for fault in FAULTS} >= set(PAGE_STATES) - PAGE_ENDED
