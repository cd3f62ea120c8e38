"""The REST API on a real Redis: what a program sees of a job from upload to end, repair and cancel."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from web_service import WebService, body_of, check_problem, page, web_service

from web.api.changes import get_changes


@pytest.fixture
def web(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebService]:
    with web_service(redis_url, tmp_path, monkeypatch, max_upload_mb=1, max_jobs_queued=50) as service:
        yield service


def test_unknown_job_is_404_everywhere(web: WebService) -> None:
    for job_id in ("0123456789abcdef", "..", "*", "a" * 300, "%00", "é"):
        for path in ("", "/pages", "/pages/1", "/pages/1/image", "/result"):
            answer = web.get(f"/jobs/{job_id}{path}")
            assert answer.status_code == 404, (job_id, path)
            assert answer.content_type == "application/problem+json"
    assert web.client.post("/api/v1/jobs/0123/retry", json={}).status_code == 404
    assert web.client.delete("/api/v1/jobs/0123").status_code == 404


def test_job_counts_its_pages_and_names_the_missing(web: WebService) -> None:
    job_id = web.open(6)
    web.read(job_id, 1)
    web.read(job_id, 2, "", state="blank")
    web.read(job_id, 3, "half", state="fallback", reason="repetition")
    web.fail(job_id, 5)
    web.ledger.move(page(job_id, 6), "preparing")
    job = web.get(f"/jobs/{job_id}").json
    assert job["pages"] == {
        "total": 6, "ok": 1, "blank": 1, "fallback": 1, "failed": 1, "cancelled": 0, "running": 1, "queued": 1
    }  # fmt: skip
    assert job["missing_pages"] == [5]
    assert job["fallback_pages"] == [3]
    assert job["progress"] == pytest.approx(4 / 6, abs=1e-3)
    assert job["eta_s"] is not None
    assert job["queue_position"] is None


def test_cancelled_job_misses_every_page_it_did_not_read(web: WebService) -> None:
    job_id = web.open(4)
    web.read(job_id, 2)
    answer = web.client.delete(f"/api/v1/jobs/{job_id}")
    assert body_of(answer)["state"] == "cancelled"
    assert body_of(answer)["missing_pages"] == [1, 3, 4]
    assert [p["state"] for p in web.get(f"/jobs/{job_id}/pages").json["pages"]] == [
        "cancelled", "ok", "cancelled", "cancelled"
    ]  # fmt: skip


def test_queue_position_counts_the_unfinished_jobs_before(web: WebService) -> None:
    first, second, third = web.submit(), web.submit(), web.submit()
    positions = [web.get(f"/jobs/{job_id}").json["queue_position"] for job_id in (first, second, third)]
    assert positions == [0, 1, 2]
    web.client.delete(f"/api/v1/jobs/{first}")
    assert web.get(f"/jobs/{third}").json["queue_position"] == 1
    assert web.get(f"/jobs/{first}").json["queue_position"] is None


def test_etag_saves_the_body_until_something_changes(web: WebService) -> None:
    job_id = web.open(2)
    first = web.get(f"/jobs/{job_id}")
    again = web.get(f"/jobs/{job_id}", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert not again.data
    web.read(job_id, 1)
    assert web.get(f"/jobs/{job_id}", headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


def test_retry_after_while_the_job_runs_and_not_later(web: WebService) -> None:
    job_id = web.open(1)
    assert int(web.get(f"/jobs/{job_id}").headers["Retry-After"]) >= 1
    web.read(job_id, 1)
    web.finish(job_id)
    assert "Retry-After" not in web.get(f"/jobs/{job_id}").headers


def test_wait_returns_when_the_state_changes(web: WebService) -> None:
    job_id = web.open(1)
    web.read(job_id, 1)
    timer = threading.Timer(0.5, web.finish, [job_id])
    timer.start()
    started = time.monotonic()
    job = web.get(f"/jobs/{job_id}?wait=20").json
    timer.join()
    assert job["state"] in ("assembling", "succeeded")
    assert 0.4 < time.monotonic() - started < 4


def test_a_change_of_state_is_told_at_once_and_pages_come_together(web: WebService) -> None:
    job_id = web.open(2)
    with get_changes().listen(job_id) as topic:
        assert topic is not None
        seq = web.job(job_id).seq
        web.read(job_id, 1)
        topic.wait(seq, 20)
        assert topic.state_seq <= seq < topic.seq
        web.read(job_id, 2)
        web.finish(job_id)
        topic.rest(seq, 20)
        assert topic.state_seq > seq


def test_wait_ends_after_its_time(web: WebService) -> None:
    job_id = web.open(1)
    started = time.monotonic()
    assert web.get(f"/jobs/{job_id}?wait=1").json["state"] == "running"
    assert 0.9 < time.monotonic() - started < 4


def test_list_goes_on_with_the_cursor_and_shows_every_job_once(web: WebService) -> None:
    ids = [web.open(1) for _ in range(7)]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = web.get("/jobs", query_string={"limit": 3, "cursor": cursor}).json
        seen += [job["id"] for job in answer["jobs"]]
        cursor = answer["next"]
    assert seen == ids[::-1]


def test_made_up_cursor_is_422(web: WebService) -> None:
    check_problem(web.get("/jobs?cursor=nonsense"), 422, "invalid-options")


def test_retry_of_the_failed_pages_starts_a_new_run(web: WebService) -> None:
    job_id = web.open(3)
    web.read(job_id, 1)
    web.fail(job_id, 2)
    web.read(job_id, 3)
    web.finish(job_id)
    answer = web.client.post(f"/api/v1/jobs/{job_id}/retry", json={"pages": "failed", "dpi": 300})
    assert answer.status_code == 202
    assert body_of(answer)["state"] == "running"
    assert body_of(answer)["run"] == 2
    assert body_of(answer)["pages"]["queued"] == 1


def test_retry_without_failed_pages_or_of_unknown_pages_is_refused(web: WebService) -> None:
    job_id = web.open(1)
    web.read(job_id, 1)
    web.finish(job_id)
    for pages in ("failed", "7", "x"):
        answer = web.client.post(f"/api/v1/jobs/{job_id}/retry", json={"pages": pages})
        check_problem(answer, 422, "invalid-options")


def test_retry_of_a_page_at_work_is_409(web: WebService) -> None:
    job_id = web.open(2)
    web.ledger.move(page(job_id, 1), "preparing")
    check_problem(web.client.post(f"/api/v1/jobs/{job_id}/retry", json={"pages": "1"}), 409, "page-busy")


@pytest.mark.parametrize("body", ["", "{", "[]", '"x"', '{"pages": 3}', '{"colour": "red"}'])
def test_unreadable_retry_is_400_or_422(web: WebService, body: str) -> None:
    job_id = web.open(1)
    answer = web.client.post(f"/api/v1/jobs/{job_id}/retry", data=body, content_type="application/json")
    assert answer.status_code in (400, 422), answer.text
    assert answer.content_type == "application/problem+json"


def test_cancel_twice_is_harmless_and_purge_removes(web: WebService) -> None:
    job_id = web.submit()
    assert body_of(web.client.delete(f"/api/v1/jobs/{job_id}"))["state"] == "cancelled"
    assert body_of(web.client.delete(f"/api/v1/jobs/{job_id}"))["state"] == "cancelled"
    assert web.client.delete(f"/api/v1/jobs/{job_id}?purge=1").status_code == 204
    assert web.get(f"/jobs/{job_id}").status_code == 404
