"""Passwords of encrypted PDFs: never in Redis, and not in the files for longer than they are needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from web_service import WebService

from tasks import passwords
from tasks.assemble.job_end import conclude, end_unopened
from tasks.assemble.searchable import write_pdf
from tasks.blobs import job_key
from tasks.ledger import LedgerError
from tasks.repair import cancel_job, retry_job
from tasks.retention import expire_jobs, purge_job
from tasks.runs import load_run
from tasks.services import get_blobs

SECRET = "sesame"


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the tasks that are sent; no worker runs here."""
    names: list[str] = []
    monkeypatch.setattr("celery.app.task.Task.apply_async", lambda task, *_, **__: names.append(task.name))
    monkeypatch.setattr("celery.canvas._chain.apply_async", lambda *_, **__: None)
    yield names


def kept(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.rglob("*") if path.is_file() and SECRET in path.read_text("latin-1"))


def opened(web: WebService, *, num_pages: int = 2) -> str:
    """A job whose encrypted document was opened."""
    job_id = web.submit(password=SECRET)
    web.ledger.begin_split(job_id)
    web.ledger.open_first_run(job_id, num_pages=num_pages, selection=f"1-{num_pages}", size=num_pages)
    return job_id


def ended(web: WebService) -> str:
    job_id = opened(web)
    web.read(job_id, 1)
    web.fail(job_id, 2)
    web.finish(job_id)
    conclude(job_id)
    return job_id


def test_a_password_is_kept_for_the_run_and_not_in_redis(web: WebService, tmp_path: Path) -> None:
    job_id = opened(web)
    assert load_run(job_id, 1).options.password == SECRET
    assert kept(tmp_path) == ["password.1"]
    job = web.ledger.job(job_id)
    assert job is not None
    assert (job.options.password, job.options.has_password) == ("", True)
    assert SECRET not in json.dumps(web.ledger.redis.hgetall(f"pf:job:{job_id}"))


def test_a_job_without_a_password_looks_for_none(web: WebService, tmp_path: Path) -> None:
    job_id = web.open(1)
    passwords.keep(job_id, 1, SECRET)  # somebody else's file
    assert load_run(job_id, 1).options.password == ""
    passwords.keep(job_id, 2, "")
    assert kept(tmp_path) == ["password.1"]


def test_it_goes_once_the_searchable_pdf_is_made_or_cannot_be(web: WebService, tmp_path: Path, sent: list[str]) -> None:
    job_id = ended(web)
    assert "write_pdf" in sent
    assert kept(tmp_path) == ["password.1"]
    get_blobs().delete(job_key(job_id, "source.pdf"))
    write_pdf(job_id)
    assert kept(tmp_path) == []
    assert passwords.overdue() == []


def test_it_goes_at_once_with_a_job_that_has_no_text(web: WebService, tmp_path: Path) -> None:
    unopened, cancelled = web.submit(password=SECRET), opened(web)
    web.ledger.begin_split(unopened)
    end_unopened(unopened, "encrypted", "no")
    cancel_job(cancelled)
    assert kept(tmp_path) == []


def test_a_repair_brings_its_own_and_the_end_of_the_first_run_leaves_it(web: WebService, tmp_path: Path) -> None:
    job_id = ended(web)
    retry_job(job_id, pages="failed", options={"dpi": 100, "password": SECRET + "2"})
    options = load_run(job_id, 2).options
    assert (options.dpi, options.password) == (100, SECRET + "2")
    assert SECRET not in str(web.ledger.redis.hgetall(f"pf:run:{job_id}:2"))
    write_pdf(job_id)  # of the first run, which comes late
    passwords.forget(job_id, 1)
    assert kept(tmp_path) == ["password.2"]
    web.read(job_id, 2, run=2)
    web.finish(job_id)
    conclude(job_id)
    get_blobs().delete(job_key(job_id, "source.pdf"))
    write_pdf(job_id)
    assert kept(tmp_path) == []


def test_a_repair_without_one_uses_what_is_still_there(web: WebService) -> None:
    job_id = opened(web)
    web.read(job_id, 1)
    retry_job(job_id, pages="1", options={})
    assert load_run(job_id, 2).options.password == SECRET


def test_a_repair_that_is_refused_keeps_nothing(web: WebService, tmp_path: Path) -> None:
    job_id = opened(web)
    with pytest.raises(LedgerError):
        retry_job(job_id, pages="1", options={"password": SECRET})
    assert kept(tmp_path) == ["password.1"]


def test_a_repair_that_loses_against_another_leaves_its_password(
    web: WebService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = ended(web)
    options = {"password": SECRET}

    def other_first(*_: object) -> None:
        monkeypatch.undo()
        retry_job(job_id, pages="2", options=dict(options))

    monkeypatch.setattr("tasks.repair.charge_pages", other_first)
    with pytest.raises(LedgerError):
        retry_job(job_id, pages="2", options=dict(options))
    assert "password.2" in kept(tmp_path)


def test_a_password_for_a_job_that_had_none_is_not_kept(web: WebService, tmp_path: Path) -> None:
    job_id = web.open(1)
    web.read(job_id, 1)
    web.finish(job_id)
    retry_job(job_id, pages="1", options={"password": SECRET})
    assert kept(tmp_path) == []
    assert SECRET not in str(web.ledger.redis.hgetall(f"pf:run:{job_id}:2"))


def test_what_a_killed_process_left_is_swept(web: WebService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended(web)
    expire_jobs()
    assert kept(tmp_path) == ["password.1"]
    monkeypatch.setattr("tasks.passwords.LONGEST_S", -1)
    expire_jobs()
    assert kept(tmp_path) == []


def test_purge_takes_it_along(web: WebService, tmp_path: Path) -> None:
    job_id = ended(web)
    purge_job(job_id)
    assert kept(tmp_path) == []
    monitored = web.ledger.redis.zrange(passwords.ENDED, 0, -1)
    passwords.forget_later(job_id)
    assert [*monitored, *web.ledger.redis.zrange(passwords.ENDED, 0, -1)] == []


def test_the_page_asks_for_it_where_a_page_is_read_again(web: WebService) -> None:
    job_id = ended(web)
    for path in (f"/jobs/{job_id}", f"/jobs/{job_id}/pages/1"):
        assert 'name="password"' in web.client.get(path).text
    other = web.open(1)
    web.fail(other, 1)
    web.finish(other)
    for path in (f"/jobs/{other}", f"/jobs/{other}/pages/1"):
        assert 'name="password"' not in web.client.get(path).text
