"""A document that was locked is opened with a password that comes later; a job is renamed, in any state."""

from __future__ import annotations

import pytest
from services import make_pdf
from web_service import WebService, body_of, check_problem

from tasks import passwords, pipeline, shelf
from tasks.assemble.job_end import conclude
from tasks.blobs import source_key
from tasks.services import get_blobs
from workers.light_pymupdf import pymupdf


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tasks that were sent, instead of to workers."""
    names: list[str] = []
    monkeypatch.setattr("celery.app.task.Task.apply_async", lambda self, *_, **__: names.append(self.name))
    monkeypatch.setattr("celery.canvas._chain.apply_async", lambda *_, **__: None)
    return names


@pytest.fixture
def locked(web: WebService) -> str:
    """A job that has failed for want of a password."""
    job_id = web.submit(name="secret.pdf")
    with pymupdf.open(stream=make_pdf(2), filetype="pdf") as document:
        data = document.tobytes(encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="sesame", owner_pw="owner")
    get_blobs().write(source_key(job_id, "pdf"), data)
    pipeline.split_document(job_id)
    job = web.job(job_id)
    assert (job.state, (job.error or {})["reason"]) == ("failed", "encrypted")
    return job_id


def retry(web: WebService, job_id: str, password: str) -> object:
    return web.client.post(f"/api/v1/jobs/{job_id}/retry", json={"password": password})


@pytest.mark.parametrize("is_put_away", [False, True])
def test_password_that_comes_later_opens_the_document(
    web: WebService, locked: str, sent: list[str], is_put_away: bool
) -> None:
    assert not is_put_away or shelf.put_away(locked)
    sent.clear()
    assert body_of(retry(web, locked, "wrong"))["state"] == "queued"  # type: ignore[arg-type]
    assert sent == ["split_document"]
    pipeline.split_document(locked)
    assert web.job(locked).state == "failed"
    retry(web, locked, "sesame")
    pipeline.split_document(locked)
    job = web.job(locked)
    assert (job.state, job.num_pages, job.error) == ("running", 2, None)
    names = get_blobs().names(f"jobs/{locked}")
    assert "password.1" in names
    check_problem(retry(web, locked, "sesame"), 422, "invalid-options")  # nothing has failed


def test_without_its_password_a_locked_document_is_not_opened(web: WebService, locked: str, sent: list[str]) -> None:
    sent.clear()
    problem = check_problem(retry(web, locked, ""), 422, "invalid-options")
    assert problem["errors"][0]["option"] == "password"
    assert (web.job(locked).state, sent) == ("failed", [])


def test_pages_are_read_again_only_with_the_password_that_is_forgotten(web: WebService) -> None:
    job_id = web.submit(password="sesame")
    web.ledger.begin_split(job_id)
    web.ledger.open_first_run(job_id, num_pages=1, selection="1", size=1)
    web.fail(job_id, 1)
    web.finish(job_id)
    passwords.forget(job_id, 1)
    problem = check_problem(retry(web, job_id, ""), 422, "invalid-options")
    assert "give the `password` again" in problem["detail"]
    assert web.job(job_id).run == 1
    assert body_of(retry(web, job_id, "sesame"))["state"] == "running"  # type: ignore[arg-type]


def test_file_that_is_damaged_is_not_opened_by_a_password(web: WebService) -> None:
    job_id = web.submit()
    web.ledger.begin_split(job_id)
    web.ledger.end_job(job_id, "failed", error={"reason": "corrupt", "detail": "It is damaged."})
    assert retry(web, job_id, "sesame").status_code in (409, 422)  # type: ignore[attr-defined]
    assert web.job(job_id).state == "failed"


def test_job_is_renamed_also_when_it_was_put_away(web: WebService) -> None:
    job_id = web.open(1)
    web.read(job_id, 1)
    web.finish(job_id)
    conclude(job_id)
    assert shelf.put_away(job_id)
    answer = web.client.patch(f"/api/v1/jobs/{job_id}", json={"name": "../Lamps of 1890.pdf"})
    assert body_of(answer)["name"] == "Lamps of 1890.pdf"
    assert shelf.put_away(job_id)
    assert body_of(web.get(f"/jobs/{job_id}"))["name"] == "Lamps of 1890.pdf"
    head = web.get(f"/jobs/{job_id}/result?format=txt&download=1").headers["Content-Disposition"]
    assert "Lamps of 1890.txt" in head.replace("%20", " ").replace("_", " ")
    check_problem(web.client.patch(f"/api/v1/jobs/{job_id}", json={"name": ""}), 422, "invalid-options")
