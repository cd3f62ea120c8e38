"""A document that cannot be split ends its job with a sentence, whatever is raised; an outage of Redis ends none."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
import redis
from celery.exceptions import Reject
from kombu.exceptions import OperationalError
from web_service import WebService

from tasks import pipeline, split
from tasks.access.quotas import charge_pages
from tasks.ledger.records import Job
from workers.documents.open import DocumentInfo
from workers.sandbox.sandbox import Sandbox, SandboxDied

NUM_PAGES = 3


class HereAndNow:
    """A sandbox without processes, whose calls raise `failures` first."""

    def __init__(self, *failures: Exception) -> None:
        self.failures, self.num_calls = list(failures), 0

    def run(self, *_: Any, **__: Any) -> DocumentInfo:
        self.num_calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return DocumentInfo(kind="pdf", num_pages=NUM_PAGES)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The jobs whose split was sent again, which a test does itself."""
    sent: list[str] = []
    monkeypatch.setattr(pipeline, "send_split", lambda job_id, **_: sent.append(job_id))
    return sent


def use(monkeypatch: pytest.MonkeyPatch, sandbox: Any) -> Any:
    monkeypatch.setattr(split, "get_sandbox", lambda: sandbox)
    return sandbox


def run_split(web: WebService, job_id: str, sent: list[str]) -> Job:
    """Split as often as it is sent, which must have an end."""
    pipeline.split_document(job_id)
    for _ in range(20):
        if not sent:
            break
        pipeline.split_document(sent.pop())
    assert not sent
    job = web.ledger.job(job_id)
    assert job is not None
    return job


def check_failed(job: Job, reason: str) -> None:
    assert job.state == "failed"
    assert job.error is not None
    assert job.error["reason"] == reason
    assert job.error["detail"].endswith(".")


def broken(*_: Any, **__: Any) -> Any:
    raise ZeroDivisionError("nobody expected this")


@pytest.mark.parametrize("failure", [TypeError("Missing dimensions"), SyntaxError("not a TIFF"), SandboxDied("gone")])
def test_reader_that_raises_or_dies_twice_makes_the_file_corrupt(
    web: WebService, monkeypatch: pytest.MonkeyPatch, sent: list[str], failure: Exception
) -> None:
    sandbox = use(monkeypatch, HereAndNow(*[failure] * 9))
    check_failed(run_split(web, web.submit(), sent), "corrupt")
    assert sandbox.num_calls == split.OPEN_TRIES


def test_reader_whose_process_dies_once_is_asked_again(
    web: WebService, monkeypatch: pytest.MonkeyPatch, sent: list[str]
) -> None:
    use(monkeypatch, HereAndNow(SandboxDied("killed")))
    job = run_split(web, web.submit(), sent)
    assert (job.state, job.num_pages) == ("running", NUM_PAGES)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (pipeline, "fetch_source"),
        (pipeline, "open_document"),
        (split, "get_blobs"),
        (split, "get_sandbox"),
        (split, "document_limits"),
        (split, "select_pages"),
        (split, "charge_pages"),
    ],
)
def test_whatever_is_raised_on_the_way_ends_the_job_after_two_tries(
    web: WebService, monkeypatch: pytest.MonkeyPatch, sent: list[str], module: Any, name: str
) -> None:
    use(monkeypatch, HereAndNow())
    monkeypatch.setattr(module, name, broken)
    job = run_split(web, web.submit(), sent)
    check_failed(job, "corrupt")
    assert int(web.ledger.redis.hget(f"pf:job:{job.id}", "splits")) <= pipeline.UNEXPECTED_TRIES


def test_something_unexpected_once_costs_nothing(
    web: WebService, monkeypatch: pytest.MonkeyPatch, sent: list[str]
) -> None:
    use(monkeypatch, HereAndNow())
    failures = [ZeroDivisionError()]
    charge = charge_pages

    def charge_later(*arguments: Any) -> None:
        if failures:
            raise failures.pop()
        charge(*arguments)

    monkeypatch.setattr(split, "charge_pages", charge_later)
    assert run_split(web, web.submit(), sent).state == "running"


def test_store_that_cannot_be_read_is_no_fault_of_the_file(
    web: WebService, monkeypatch: pytest.MonkeyPatch, sent: list[str]
) -> None:
    def away() -> Any:
        raise PermissionError("the disk is away")

    monkeypatch.setattr(split, "get_blobs", away)
    check_failed(run_split(web, web.submit(), sent), "storage")


@pytest.mark.parametrize("away", [redis.ConnectionError("away"), redis.TimeoutError("slow"), OperationalError("away")])
def test_redis_that_is_away_ends_no_job(
    web: WebService, monkeypatch: pytest.MonkeyPatch, sent: list[str], away: Exception
) -> None:
    use(monkeypatch, HereAndNow())
    job_id = web.submit()
    with monkeypatch.context() as outage:

        def fail(*_: Any, **__: Any) -> Any:
            raise away

        outage.setattr(split, "charge_pages", fail)
        for _ in range(pipeline.UNEXPECTED_TRIES + 1):
            with pytest.raises(Reject) as refused:
                pipeline.split_document(job_id)
            assert refused.value.requeue
    assert run_split(web, job_id, sent).state == "running"


def test_split_whose_process_dies_each_time_is_given_up(
    web: WebService, monkeypatch: pytest.MonkeyPatch, sent: list[str]
) -> None:
    use(monkeypatch, HereAndNow())
    job_id = web.submit()
    for _ in range(pipeline.MAX_BEGINS):
        assert web.ledger.begin_split(job_id)  # and nothing after it
    check_failed(run_split(web, job_id, sent), "task_lost")


def test_waiting_for_room_to_fetch_is_no_try(web: WebService, monkeypatch: pytest.MonkeyPatch, sent: list[str]) -> None:
    use(monkeypatch, HereAndNow())
    job_id = web.submit()
    with monkeypatch.context() as busy:
        busy.setattr(pipeline, "fetch_source", lambda _: False)
        for _ in range(pipeline.MAX_BEGINS + 1):
            pipeline.split_document(job_id)
            assert sent.pop() == job_id
    assert run_split(web, job_id, sent).state == "running"


def test_broken_tiff_ends_its_job_through_a_real_sandbox(
    web: WebService, monkeypatch: pytest.MonkeyPatch, sent: list[str]
) -> None:
    """A file that has a TIFF's mark and is none."""
    with closing(Sandbox(1, 512)) as sandbox:
        use(monkeypatch, sandbox)
        job_id = web.submit(data=b"II*\0\x08\0\0\0\x01\0" + b"\xff" * 40, name="a.tif")
        check_failed(run_split(web, job_id, sent), "corrupt")
