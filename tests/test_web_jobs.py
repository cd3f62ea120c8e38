"""The REST API on a real Redis: what a program sees of a job from upload to result."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from web_service import PDF, WebService, page, web_service

from tasks.settings import get_settings
from web.problems import KINDS


@pytest.fixture
def web(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebService]:
    with web_service(redis_url, tmp_path, monkeypatch, max_upload_mb=1, max_jobs_queued=50) as service:
        yield service


def check_problem(answer: Any, status: int, kind: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    body: dict[str, Any] = answer.json
    assert body["type"] == f"urn:pagefan:problem:{kind}"
    assert body["status"] == status
    assert body["advice"] == KINDS[kind].advice
    return body


# upload


def test_upload_answers_202_with_location_and_a_queued_job(web: WebService) -> None:
    answer = web.upload(pages="1-3", dpi="150", priority="high")
    assert answer.status_code == 202
    [job] = answer.json["jobs"]
    assert answer.headers["Location"] == job["links"]["self"] == f"/api/v1/jobs/{job['id']}"
    assert job["state"] == "queued"
    assert job["kind"] == "pdf"
    assert job["options"]["pages"] == "1-3"
    assert job["options"]["dpi"] == 150
    assert job["options"]["priority"] == "high"


def test_several_files_make_several_jobs_of_one_batch(web: WebService) -> None:
    files = [(io.BytesIO(PDF), f"{number}.pdf") for number in range(3)]
    answer = web.client.post("/api/v1/jobs", data={"file": files})
    jobs = answer.json["jobs"]
    assert [job["name"] for job in jobs] == ["0.pdf", "1.pdf", "2.pdf"]
    assert {job["batch_id"] for job in jobs} == {answer.json["batch_id"]}
    assert len({job["id"] for job in jobs}) == 3


def test_batch_id_of_the_client_is_kept(web: WebService) -> None:
    assert web.upload(batch_id="mine-1").json["batch_id"] == "mine-1"


def test_password_is_not_shown(web: WebService) -> None:
    assert "hunter2" not in web.upload(password="hunter2").text


def test_one_bad_file_takes_none_of_them(web: WebService) -> None:
    files = [(io.BytesIO(PDF), "good.pdf"), (io.BytesIO(b"hello, I am no document"), "bad.txt")]
    check_problem(web.client.post("/api/v1/jobs", data={"file": files}), 415, "unsupported-format")
    assert web.get("/jobs").json["jobs"] == []


@pytest.mark.parametrize("name", ["../../etc/passwd", "/passwd", "passwd"])
def test_file_name_is_only_shown(web: WebService, name: str) -> None:
    assert web.upload(name=name).json["jobs"][0]["name"] == "passwd"


def test_unsupported_file_is_415_with_the_formats(web: WebService) -> None:
    body = check_problem(web.upload(b"hello, I am no document", "a.txt"), 415, "unsupported-format")
    assert "pdf" in body["formats"]


def test_file_that_only_bears_the_name_of_a_format_is_422(web: WebService) -> None:
    check_problem(web.upload(b"hello, I am no document", "a.pdf"), 422, "damaged-file")


def test_empty_file_is_422(web: WebService) -> None:
    check_problem(web.upload(b""), 422, "empty-file")


def test_upload_without_file_is_422(web: WebService) -> None:
    check_problem(web.client.post("/api/v1/jobs", data={"pages": "1"}), 422, "invalid-options")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("pages", "one"),
        ("dpi", "many"),
        ("dpi", "-1"),
        ("temperature", "9"),
        ("task", "dance"),
        ("task", "ask"),
        ("text_layer", "yes"),
        ("batch_id", "a b"),
        ("colour", "red"),
    ],
)
def test_bad_option_is_422_and_named(web: WebService, option: str, value: str) -> None:
    body = check_problem(web.upload(**{option: value}), 422, "invalid-options")
    assert body["errors"]
    assert "Traceback" not in str(body)


def test_file_over_the_limit_is_413(web: WebService) -> None:
    check_problem(web.upload(PDF + bytes(1024 * 1024)), 413, "too-large")


def test_request_over_the_limit_is_413_by_its_length_alone(web: WebService) -> None:
    announced = {"CONTENT_LENGTH": str(10 * 1024 * 1024), "CONTENT_TYPE": "multipart/form-data; boundary=x"}
    check_problem(web.client.post("/api/v1/jobs", environ_overrides=announced), 413, "too-large")


@pytest.mark.usefixtures("web")
def test_large_upload_is_taken_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_UPLOAD_MB", "64")
    get_settings.cache_clear()
    data = PDF + bytes(5 * 1024 * 1024)
    answer = WebService().upload(data)
    assert answer.status_code == 202
    assert answer.json["jobs"][0]["size"] == len(data)


def test_json_body_is_refused_with_advice(web: WebService) -> None:
    answer = web.client.post("/api/v1/jobs", json={"pages": "1"})
    assert answer.status_code in (415, 422)
    assert "file" in answer.json["detail"] + answer.json["advice"]


def test_full_queue_is_503_with_retry_after(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_JOBS_QUEUED", "1")
    get_settings.cache_clear()
    web.submit()
    answer = web.upload()
    check_problem(answer, 503, "queue-full")
    assert int(answer.headers["Retry-After"]) > 0


# following


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
    assert answer.json["state"] == "cancelled"
    assert answer.json["missing_pages"] == [1, 3, 4]
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


# pages and results


def test_pages_since_gives_only_what_changed(web: WebService) -> None:
    job_id = web.open(3)
    everything = web.get(f"/jobs/{job_id}/pages").json
    assert [p["page_number"] for p in everything["pages"]] == [1, 2, 3]
    web.read(job_id, 3)
    changed = web.get(f"/jobs/{job_id}/pages?since={everything['seq']}").json
    assert [(p["page_number"], p["state"]) for p in changed["pages"]] == [(3, "ok")]
    assert web.get(f"/jobs/{job_id}/pages?since={changed['seq']}").json["pages"] == []


def test_page_shows_its_text_lines_and_number_from_one(web: WebService) -> None:
    job_id = web.open(2)
    web.read(job_id, 2)
    shown = web.get(f"/jobs/{job_id}/pages/2").json
    assert shown["page_number"] == 2
    assert shown["text"] == "page 2"
    assert shown["lines"] == [{"text": "page 2", "box": [10.0, 20.0, 110.0, 40.0], "confidence": 0.97}]
    assert web.get(f"/jobs/{job_id}/pages/1").json["text"] == ""
    for number in (0, 3):
        check_problem(web.get(f"/jobs/{job_id}/pages/{number}"), 404, "unknown-page")


def test_page_outside_the_selection_is_404(web: WebService) -> None:
    job_id = web.open(9, selection="2,5")
    assert web.get(f"/jobs/{job_id}/pages/5").status_code == 200
    check_problem(web.get(f"/jobs/{job_id}/pages/3"), 404, "unknown-page")


def test_failed_page_says_why_and_what_to_do(web: WebService) -> None:
    job_id = web.open(1)
    web.fail(job_id, 1, "repetition")
    fault = web.get(f"/jobs/{job_id}/pages/1").json["fault"]
    assert fault["reason"] == "repetition"
    assert "retry" in fault["detail"].lower()


def test_missing_image_is_404(web: WebService) -> None:
    job_id = web.open(1)
    check_problem(web.get(f"/jobs/{job_id}/pages/1/image"), 404, "no-image")


@pytest.mark.parametrize(
    ("format", "accept", "content_type"),
    [
        ("md", "text/markdown", "text/markdown; charset=utf-8"),
        ("txt", "text/plain", "text/plain; charset=utf-8"),
        ("json", "application/json", "application/json"),
    ],
)
def test_result_by_format_and_by_accept_are_the_same(
    web: WebService, format: str, accept: str, content_type: str
) -> None:
    job_id = web.open(2)
    web.read(job_id, 2, "second")
    web.read(job_id, 1, "first")
    web.finish(job_id)
    by_format = web.get(f"/jobs/{job_id}/result?format={format}")
    by_accept = web.get(f"/jobs/{job_id}/result", headers={"Accept": accept})
    assert by_format.status_code == 200
    assert by_format.data == by_accept.data
    assert by_format.content_type == by_accept.content_type == content_type
    assert 0 <= by_format.text.index("first") < by_format.text.index("second")


def test_unwanted_format_is_406(web: WebService) -> None:
    job_id = web.open(1)
    check_problem(web.get(f"/jobs/{job_id}/result", headers={"Accept": "image/png"}), 406, "not-acceptable")


def test_result_of_an_unfinished_job_is_409_unless_partial(web: WebService) -> None:
    job_id = web.open(2)
    web.read(job_id, 1, "only this")
    body = check_problem(web.get(f"/jobs/{job_id}/result"), 409, "not-finished")
    assert body["state"] == "running"
    partial = web.get(f"/jobs/{job_id}/result?partial=1&format=txt")
    assert partial.status_code == 200
    assert "only this" in partial.text


def test_result_of_a_job_that_could_not_be_opened_is_409_with_the_reason(web: WebService) -> None:
    job_id = web.submit()
    web.ledger.begin_split(job_id)
    web.ledger.end_job(job_id, "failed", error={"reason": "corrupt", "detail": "The file is damaged."})
    body = check_problem(web.get(f"/jobs/{job_id}/result"), 409, "no-result")
    assert body["detail"] == "The file is damaged."
    assert web.get(f"/jobs/{job_id}").json["error"]["reason"] == "corrupt"


def test_download_has_a_safe_file_name(web: WebService) -> None:
    job_id = web.open(1, name='a "quoted"\r\nname.pdf')
    web.read(job_id, 1)
    web.finish(job_id)
    disposition = web.get(f"/jobs/{job_id}/result?download=1").headers["Content-Disposition"]
    assert disposition.startswith("attachment; filename=")
    assert "\n" not in disposition
    assert ".md" in disposition


def test_finished_job_outlives_the_ledger(web: WebService) -> None:
    job_id = web.open(2)
    web.read(job_id, 1, "kept")
    web.fail(job_id, 2)
    web.finish(job_id)
    before = web.get(f"/jobs/{job_id}").json
    web.ledger.redis.flushdb()
    after = web.get(f"/jobs/{job_id}").json
    assert after["state"] == "partial"
    assert after["missing_pages"] == before["missing_pages"] == [2]
    assert "kept" in web.get(f"/jobs/{job_id}/result?format=txt").text
    assert web.get(f"/jobs/{job_id}/pages/1").json["text"] == "kept"
    assert [p["state"] for p in web.get(f"/jobs/{job_id}/pages").json["pages"]] == ["ok", "failed"]


# repair and cancel


def test_retry_of_the_failed_pages_starts_a_new_run(web: WebService) -> None:
    job_id = web.open(3)
    web.read(job_id, 1)
    web.fail(job_id, 2)
    web.read(job_id, 3)
    web.finish(job_id)
    answer = web.client.post(f"/api/v1/jobs/{job_id}/retry", json={"pages": "failed", "dpi": 300})
    assert answer.status_code == 202
    assert answer.json["state"] == "running"
    assert answer.json["run"] == 2
    assert answer.json["pages"]["queued"] == 1


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
    assert web.client.delete(f"/api/v1/jobs/{job_id}").json["state"] == "cancelled"
    assert web.client.delete(f"/api/v1/jobs/{job_id}").json["state"] == "cancelled"
    assert web.client.delete(f"/api/v1/jobs/{job_id}?purge=1").status_code == 204
    assert web.get(f"/jobs/{job_id}").status_code == 404


# the service itself


AWAY = [
    ("GET", "/api/v1/jobs"),
    ("GET", "/api/v1/jobs/a"),
    ("GET", "/api/v1/jobs/a/pages"),
    ("GET", "/api/v1/jobs/a/pages/1"),
    ("GET", "/api/v1/jobs/a/pages/1/image"),
    ("GET", "/api/v1/jobs/a/result"),
    ("POST", "/api/v1/jobs"),
    ("POST", "/api/v1/jobs/a/retry"),
    ("DELETE", "/api/v1/jobs/a"),
    ("GET", "/"),
    ("GET", "/jobs/a"),
]


def test_redis_away_is_503_everywhere_and_never_a_traceback(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = redis.Redis(port=1, socket_connect_timeout=0.2, retry=None)
    monkeypatch.setattr(web.ledger, "redis", refused)
    monkeypatch.setattr(web.ledger, "_script", refused.register_script(""))
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    get_settings.cache_clear()
    for method, path in AWAY:
        body = {"json": {}} if path.endswith("retry") else {}
        answer = web.client.open(path, method=method, headers={"Accept": "application/json"}, **body)
        check_problem(answer, 503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    assert web.client.get("/healthz").status_code == 200
    ready = web.client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json["checks"]["redis"].startswith("away")


def test_readyz_wants_a_worker_on_every_queue(web: WebService) -> None:
    assert web.client.get("/readyz").json["checks"]["gpu_worker"] == "none is running"
    for queue in ("cpu", "gpu"):
        web.ledger.redis.set(f"pf:worker:{queue}:test", "1", ex=15)
    answer = web.client.get("/readyz")
    assert answer.status_code == 200, answer.text


def test_openapi_describes_every_call_and_its_problems(web: WebService) -> None:
    spec = web.client.get("/openapi.json").json
    assert spec["openapi"].startswith("3.1")
    assert set(spec["paths"]) >= {
        "/api/v1/jobs", "/api/v1/jobs/{job_id}", "/api/v1/jobs/{job_id}/retry", "/api/v1/jobs/{job_id}/pages",
        "/api/v1/jobs/{job_id}/pages/{number}", "/api/v1/jobs/{job_id}/pages/{number}/image",
        "/api/v1/jobs/{job_id}/result", "/healthz", "/readyz",
    }  # fmt: skip
    upload = spec["paths"]["/api/v1/jobs"]["post"]
    assert "multipart/form-data" in upload["requestBody"]["content"]
    assert list(upload["responses"]["415"]["content"]) == ["application/problem+json"]


def test_keys_are_asked_for_once_they_are_set(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with web_service(redis_url, tmp_path, monkeypatch, api_keys="alpha, beta") as web:
        answer = web.get("/jobs")
        check_problem(answer, 401, "unauthorized")
        assert "Bearer" in answer.headers["WWW-Authenticate"]
        assert web.get("/jobs", headers={"Authorization": "Bearer wrong"}).status_code == 401
        alpha, beta = {"Authorization": "Bearer alpha"}, {"X-API-Key": "beta"}
        data = {"file": (io.BytesIO(PDF), "a.pdf")}
        job_id = web.client.post("/api/v1/jobs", data=data, headers=alpha).json["jobs"][0]["id"]
        assert web.get(f"/jobs/{job_id}", headers=alpha).status_code == 200
        assert web.get(f"/jobs/{job_id}", headers=beta).status_code == 404
        assert web.get("/jobs", headers=beta).json["jobs"] == []
        assert web.client.get("/healthz").status_code == 200


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_other_sites_cannot_act_through_a_browser(web: WebService, headers: dict[str, str]) -> None:
    data = {"file": (io.BytesIO(PDF), "a.pdf")}
    check_problem(web.client.post("/api/v1/jobs", data=data, headers=headers), 403, "forbidden")
