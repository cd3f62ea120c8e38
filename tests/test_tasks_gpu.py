"""The owner of an engine: what it brings to the device ahead of time, and which pages it puts together."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from PIL import Image
from services import wait_until
from web_service import WebService, web_service

from tasks.blobs import IMAGE, page_key
from tasks.generate.batcher import Batcher
from tasks.generate.runner import Loaded
from tasks.messages import PageTask
from tasks.services import get_blobs, get_ledger
from tasks.settings import get_settings
from workers.engines import Control, Generation, OutOfMemory, PageRequest, Prepared
from workers.engines.echo import EchoEngine, EchoOptions


class StagedEcho(EchoEngine):
    """Remembers which batches were brought ahead and which were generated, as page numbers."""

    max_batch = 4

    def __init__(self) -> None:
        super().__init__(EchoOptions(seconds=0.4))
        self.staged: list[list[Prepared]] = []
        self.batches: list[list[Prepared]] = []

    def stage(self, batch: Sequence[Prepared]) -> None:
        self.staged.append(list(batch))

    def generate(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        self.batches.append(list(batch))
        return super().generate(batch, control)

    def was_staged(self, batch: list[Prepared]) -> bool:
        return any([*map(id, batch)] == [*map(id, staged)] for staged in self.staged)


@pytest.fixture
def web(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebService]:
    with web_service(redis_url, tmp_path, monkeypatch, gpu_batch_pages=4) as service:
        yield service


def make_ready(web: WebService, job_id: str, num_pages: int, *, bucket: str = "") -> None:
    out = io.BytesIO()
    Image.new("L", (64, 64), "white").save(out, "PNG")
    for index in range(num_pages):
        page = PageTask(job_id=job_id, run=1, index=index)
        get_blobs().write(page_key(job_id, index, IMAGE), out.getvalue())
        web.ledger.move(page, "ready", bucket=bucket)
        web.ledger.offer(page)


def run(engine: EchoEngine, pages: Sequence[PageTask]) -> None:
    """Generate until these pages have ended; raises AssertionError when that takes over 20 s."""
    batcher = Batcher(engine, get_ledger(), get_blobs(), get_settings(), print, print)
    batcher.start()
    try:
        batcher.kick.set()
        wait_until(lambda: all(get_ledger().look(page) is None for page in pages), 20, "every page to end")
    finally:
        batcher.close(5)
        for thread in batcher.threads:
            thread.join(5)
        get_ledger().redis.connection_pool.disconnect()  # an error's frames may keep it until they are collected


def test_next_batch_is_on_the_device_before_the_last_one_ends(web: WebService) -> None:
    job_id = web.open(16)
    make_ready(web, job_id, 16)
    engine = StagedEcho()
    run(engine, [PageTask(job_id=job_id, run=1, index=index) for index in range(16)])
    assert [len(batch) for batch in engine.batches] == [4, 4, 4, 4]
    assert [engine.was_staged(batch) for batch in engine.batches] == [False, True, True, True]


def test_batch_that_did_not_fit_is_the_last_of_its_size(web: WebService) -> None:
    class Small(StagedEcho):
        """Has memory for two pages at once."""

        def generate(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
            if len(batch) > 2:
                self.batches.append(list(batch))
                raise OutOfMemory
            return super().generate(batch, control)

    job_id = web.open(16)
    make_ready(web, job_id, 16)
    engine = Small()
    run(engine, [PageTask(job_id=job_id, run=1, index=index) for index in range(16)])
    assert [len(batch) for batch in engine.batches] == [4, 2, 2, 3, 1, 2, 1, 2, 2, 2, 2]
    staged = [engine.was_staged(batch) for batch in engine.batches[-4:]]
    assert staged == [True, False, True, False], "of four pages the two that are first"


def test_batch_has_pages_of_several_jobs_and_of_one_length(web: WebService) -> None:
    long_one, other, short = (web.open(4) for _ in range(3))
    make_ready(web, long_one, 2, bucket="10/12")
    make_ready(web, short, 4, bucket="5/8")
    make_ready(web, other, 2, bucket="10/12")
    engine = StagedEcho()
    pages = [
        PageTask(job_id=job_id, run=1, index=index)
        for job_id, num_pages in ((long_one, 2), (other, 2), (short, 4))
        for index in range(num_pages)
    ]
    run(engine, pages)
    numbers = sorted([prepared.request.page_number for prepared in batch] for batch in engine.batches)
    assert numbers == [[1, 2, 1, 2], [1, 2, 3, 4]]


def test_page_is_stored_while_another_of_its_batch_runs(web: WebService) -> None:
    class Patient(StagedEcho):
        """Ends its last row when the outcomes of the others are stored."""

        def generate(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
            generations = [Generation(text=f"page {prepared.request.page_number}") for prepared in batch]
            for row, generation in enumerate(generations[:-1]):
                control.done(row, generation)
            wait_until(lambda: num_ok() == 3, 10, "the first three pages to be stored")
            return generations

    def num_ok() -> int:
        return sum(page.state == "ok" for page in web.ledger.pages(job_id))

    job_id = web.open(4)
    make_ready(web, job_id, 4)
    run(Patient(), [PageTask(job_id=job_id, run=1, index=index) for index in range(4)])
    assert num_ok() == 4


def test_worker_reports_what_its_engine_tells_and_what_fits(web: WebService) -> None:
    class Telling(StagedEcho):
        def report(self) -> dict[str, str]:
            return {"graphs": "off: no compiler"}

    batcher = Batcher(Telling(), get_ledger(), get_blobs(), get_settings(), print, print)
    batcher.start()
    try:
        facts = wait_until(lambda: web.ledger.workers("gpu").get(batcher.token), 20, "a report")
        assert (facts["engine"], facts["graphs"], facts["batch_tokens"]) == ("echo", "off: no compiler", None)
        batcher.budget.note_failure([Prepared(request=PageRequest(page_number=1), num_tokens=100)] * 4)
        wait_until(lambda: web.ledger.workers("gpu")[batcher.token]["batch_tokens"] == 200, 20, "the size that fits")
    finally:
        batcher.close(5)


def test_stop_that_comes_while_the_owner_looks_for_pages_is_heeded(web: WebService) -> None:  # noqa: ARG001
    batcher = Batcher(StagedEcho(), get_ledger(), get_blobs(), get_settings(), print, print)

    def stop_meanwhile() -> list[Loaded]:
        batcher.closing.set()
        batcher.kick.set()
        return []

    batcher.intake.next = stop_meanwhile  # type: ignore[method-assign]  # to stop it at that moment
    batcher.start()
    batcher.threads[0].join(5)
    assert not batcher.threads[0].is_alive()
    batcher.close(0)


def test_claims_of_the_process_before_are_free_at_once_and_no_others(
    web: WebService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim would lapse by itself, but the pages have waited for the new process already."""
    monkeypatch.setenv("PAGEFAN_WORKER_ID", "ours")
    job_id = web.open(2)
    make_ready(web, job_id, 2)
    for index, holder in enumerate(("ours:1:1", "theirs:1:1")):
        page = PageTask(job_id=job_id, run=1, index=index)
        assert web.ledger.take(holder, most=1, ttl_s=600, want=[page])
        web.ledger.start([page])
    batcher = Batcher(StagedEcho(), get_ledger(), get_blobs(), get_settings(), print, print)
    batcher.start()
    held = web.ledger.redis.exists(f"pf:claim:{job_id}:0"), web.ledger.redis.exists(f"pf:claim:{job_id}:1")
    batcher.close(5)
    assert held == (0, 1)
    again = web.ledger.take("x", most=1, ttl_s=60, want=[PageTask(job_id=job_id, run=1, index=0)])
    assert [claim.starts for claim in again] == [1], "the dead process still counts"


class JoiningEcho(EchoEngine):
    """Takes a page whenever another has ended, two at once; remembers which ran beside which, as page numbers."""

    num_slots = 2

    def __init__(self) -> None:
        super().__init__(EchoOptions(seconds=0.1))
        self.beside: dict[int, set[int]] = {}
        self._running: set[int] = set()
        self._lock = threading.Lock()

    def generate(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        (number,) = (prepared.request.page_number for prepared in batch)
        with self._lock:
            self._running.add(number)
            for each in self._running:
                self.beside[each] = self.beside.get(each, set()) | self._running - {each}
        try:
            return super().generate(batch, control)
        finally:
            with self._lock:
                self._running.discard(number)


def test_page_joins_those_that_run_when_another_has_ended(web: WebService) -> None:
    job_id = web.open(6)
    make_ready(web, job_id, 6)
    engine = JoiningEcho()
    run(engine, [PageTask(job_id=job_id, run=1, index=index) for index in range(6)])
    assert set(engine.beside) == {1, 2, 3, 4, 5, 6}
    assert max(len(others) for others in engine.beside.values()) >= 1
    assert sum(map(len, engine.beside.values())) <= 2 * 6, "two at once"


def test_page_that_ran_when_a_process_died_runs_alone_among_pages_that_join(web: WebService) -> None:
    job_id = web.open(6)
    make_ready(web, job_id, 6)
    pages = [PageTask(job_id=job_id, run=1, index=index) for index in range(6)]
    suspect = pages[3]
    web.ledger.take("dead:1:1", most=1, ttl_s=600, want=[suspect])
    web.ledger.start([suspect])
    web.ledger.release("dead:1:1", [suspect], blameless=False)
    engine = JoiningEcho()
    batcher = Batcher(engine, get_ledger(), get_blobs(), get_settings(), print, print)
    waiting = threading.Thread(target=batcher.wait_for, args=(suspect,))
    batcher.start()
    waiting.start()
    try:
        wait_until(lambda: all(get_ledger().look(page) is None for page in pages), 20, "every page to end")
    finally:
        batcher.close(5)
        waiting.join(5)
    assert engine.beside[4] == set()
    assert set(engine.beside) == {1, 2, 3, 4, 5, 6}


def test_owner_of_the_engine_does_not_look_for_pages_while_none_come(web: WebService) -> None:  # noqa: ARG001
    batcher = Batcher(StagedEcho(), get_ledger(), get_blobs(), get_settings(), print, print)
    looks: list[None] = []

    def look() -> list[Loaded]:
        looks.append(None)
        return []

    batcher.intake.next = look  # type: ignore[method-assign]  # to count
    batcher.start()
    wait_until(lambda: looks, 5, "the first look")
    assert not threading.Event().wait(0.3)
    assert len(looks) == 1
    batcher.kick.set()
    wait_until(lambda: len(looks) == 2, 5, "a look when a page came")
    batcher.close(5)
