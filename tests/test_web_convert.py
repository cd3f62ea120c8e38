"""POST /convert: one call gives the text, and whoever hangs up leaves no job behind."""

from __future__ import annotations

import io
import socket
import threading
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from services import wait_until
from stand_in import reading, refusing
from web_service import PDF, WebService, check_problem

from web.api import waiting
from web.api.problems import Problem


def convert(web: WebService, path: str = "/api/v1/convert", data: bytes = PDF, **headers: str) -> Any:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = web.client.post(path, data={"file": (io.BytesIO(data), "report.pdf")}, headers=names)
    answer.request.environ["wsgi.input"].close()  # the test client leaves its file open
    return answer


@pytest.mark.parametrize(
    ("accept", "mimetype", "begin"),
    [
        ("*/*", "text/markdown", ""),
        ("text/plain", "text/plain", "page 1"),
        ("application/json;q=0.9, text/html;q=0.1", "application/json", '{"schema"'),
    ],
)
def test_answer_is_the_text_in_the_accepted_format(web: WebService, accept: str, mimetype: str, begin: str) -> None:
    with reading(web):
        answer = convert(web, Accept=accept)
    assert (answer.status_code, answer.mimetype) == (200, mimetype)
    assert answer.text.startswith(begin)
    assert answer.text.index("page 1") < answer.text.index("page 2") < answer.text.index("page 3")
    assert answer.headers["Pagefan-State"] == "succeeded"
    assert web.get(f"/jobs/{answer.headers['Pagefan-Job']}").json["state"] == "succeeded"


def test_format_of_the_query_decides_over_accept(web: WebService) -> None:
    with reading(web):
        answer = convert(web, "/api/v1/convert?format=txt", Accept="application/json")
    assert answer.mimetype == "text/plain"


def test_missing_pages_are_named(web: WebService) -> None:
    with reading(web, failed=(1, 3)):
        answer = convert(web)
    assert (answer.headers["Pagefan-State"], answer.headers["Pagefan-Missing-Pages"]) == ("partial", "1,3")


def test_document_that_cannot_be_read_is_a_problem_with_the_reason(web: WebService) -> None:
    with refusing(web):
        assert "damaged" in check_problem(convert(web), 409, "no-result")["detail"]


def test_url_is_converted_too(web: WebService) -> None:
    with reading(web):
        answer = web.client.post("/api/v1/convert", json={"url": "https://example.com/a.pdf"})
    assert (answer.status_code, answer.mimetype) == (200, "text/markdown")


@pytest.mark.parametrize("prefer", ["wait=0", "respond-async", 'respond-async, wait="0"'])
def test_job_that_takes_longer_is_followed_elsewhere(web: WebService, prefer: str) -> None:
    answer = convert(web, Prefer=prefer)
    assert answer.status_code == 202
    [job] = answer.json["jobs"]
    assert answer.headers["Location"] == f"/api/v1/jobs/{job['id']}"
    assert answer.headers["Preference-Applied"] == "wait=0"
    assert web.get(f"/jobs/{job['id']}").json["state"] == "queued"


@pytest.mark.parametrize(
    ("prefer", "wait_s"),
    [("", 60), ("wait=7", 7), ("Wait=7, respond-async", 7), ("wait=99999", 600), ("wait=-1", 60), ("wait=x", 60)],
)
def test_preference_is_read_by_its_standard(web: WebService, prefer: str, wait_s: float) -> None:
    with web.app.test_request_context(headers={"Prefer": prefer}):
        assert waiting.preferred_wait_s() == wait_s


def test_refusals_come_before_a_job(web: WebService) -> None:
    check_problem(convert(web, data=b"hello, I am no document"), 422, "damaged-file")
    check_problem(convert(web, Accept="image/png"), 406, "not-acceptable")
    two = {"file": [(io.BytesIO(PDF), "a.pdf"), (io.BytesIO(PDF), "b.pdf")]}
    answer = web.client.post("/api/v1/convert", data=two)
    answer.request.environ["wsgi.input"].close()
    check_problem(answer, 422, "invalid-options")
    assert web.ledger.jobs() == []


def test_pdf_that_is_being_made_is_waited_for(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def open_pdf(_: object) -> Any:
        asked.append(1)
        if len(asked) < 3:
            raise Problem("being-made")
        return iter([b"%PDF-1.7"])

    monkeypatch.setattr("web.api.results.open_pdf", open_pdf)
    with reading(web):
        answer = convert(web, "/api/v1/convert?format=pdf")
    assert answer.data == b"%PDF-1.7"


def test_repeated_request_gives_the_text_of_its_first_job(web: WebService) -> None:
    with reading(web):
        first, again = (convert(web, Idempotency_Key="k") for _ in range(2))
    assert first.data == again.data
    assert first.headers["Pagefan-Job"] == again.headers["Pagefan-Job"]
    assert len(web.ledger.jobs()) == 1


def test_client_that_hangs_up_cancels_its_job(web: WebService, url: str) -> None:
    request = httpx.Request(
        "POST", f"{url}/api/v1/convert", files={"file": ("a.pdf", PDF)}, headers={"Prefer": "wait=600"}
    )
    request.read()
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port)) as line:
        line.sendall(f"POST /api/v1/convert HTTP/1.1\r\n{head}\r\n".encode() + request.content)
        [job_id] = wait_until(web.ledger.active_jobs, 30, "the job")
        assert not waiting_job(web, job_id).was_cancelled
    wait_until(lambda: waiting_job(web, job_id).was_cancelled, 30, "its end")


def test_client_that_stays_gets_its_text_however_long_others_hang_up(web: WebService, url: str) -> None:
    """A replay that hangs up leaves the job to the one who sent it."""
    files, headers = {"file": ("a.pdf", PDF)}, {"Idempotency-Key": "k", "Prefer": "wait=600"}
    answers: list[httpx.Response] = []
    first = threading.Thread(
        target=lambda: answers.append(httpx.post(f"{url}/api/v1/convert", files=files, headers=headers, timeout=60))
    )
    first.start()
    wait_until(web.ledger.active_jobs, 30, "the job")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}/api/v1/convert", files=files, headers=headers, timeout=httpx.Timeout(10, read=2))
    with reading(web):
        first.join()
    assert answers[0].status_code == 200


def waiting_job(web: WebService, job_id: str) -> Any:
    return web.ledger.job(job_id)
