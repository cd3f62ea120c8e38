"""Uploads: what is taken, what is refused, and in which words."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from web_service import PDF, WebService, body_of, check_problem, web_service

from tasks.blobs import source_key
from tasks.services import engine_name, get_blobs
from tasks.settings import get_settings


@pytest.fixture
def web(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebService]:
    with web_service(redis_url, tmp_path, monkeypatch, max_upload_mb=1, max_jobs_queued=50) as service:
        yield service


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
    jobs = body_of(answer)["jobs"]
    assert [job["name"] for job in jobs] == ["0.pdf", "1.pdf", "2.pdf"]
    assert {job["batch_id"] for job in jobs} == {body_of(answer)["batch_id"]}
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


def test_quotation_marks_in_a_name_are_shown_as_the_user_has_them(web: WebService) -> None:
    assert web.upload(name="the %22old%22 one, 100%.pdf").json["jobs"][0]["name"] == 'the "old" one, 100%.pdf'


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
def test_bad_option_is_422_and_named(web: WebService, option: str, value: Any) -> None:
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


def test_url_makes_a_queued_job_with_its_options(web: WebService) -> None:
    url = "https://public.example/a%20b.pdf?x=1"
    answer = web.client.post("/api/v1/jobs", json={"url": url, "pages": "2", "priority": "low", "batch_id": "b"})
    assert answer.status_code == 202, answer.text
    [job] = body_of(answer)["jobs"]
    assert (job["state"], job["source_url"], job["name"], job["size"]) == ("queued", url, "a b.pdf", 0)
    assert (job["options"]["pages"], job["options"]["priority"], job["batch_id"]) == ("2", "low", "b")
    assert answer.headers["Location"] == job["links"]["self"]


def test_url_sent_twice_with_a_key_makes_one_job(web: WebService) -> None:
    first, second = (
        web.client.post("/api/v1/jobs", json={"url": "https://public.example/"}, headers={"Idempotency-Key": "k"})
        for _ in range(2)
    )
    assert body_of(first)["jobs"][0]["id"] == body_of(second)["jobs"][0]["id"]
    assert second.headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize(
    "body",
    [
        {"pages": "1"},
        {"url": ""},
        {"url": 3},
        {"url": "file:///etc/passwd"},
        {"url": "http://127.0.0.1/"},
        {"url": "http://[::1]/"},
        {"url": "http://2130706433/"},
        {"url": "http://user@public.example/"},
    ],
)
def test_unusable_url_is_422_and_named(web: WebService, body: dict[str, object]) -> None:
    answer = web.client.post("/api/v1/jobs", json=body)
    assert check_problem(answer, 422, "invalid-options")["errors"][0]["option"] == "url"


def test_description_has_both_bodies(web: WebService) -> None:
    spec = body_of(web.client.get("/openapi.json"))
    content = spec["paths"]["/api/v1/jobs"]["post"]["requestBody"]["content"]
    assert set(content) == {"multipart/form-data", "application/json"}
    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/UrlFields"}
    assert spec["components"]["schemas"]["UrlFields"]["required"] == ["url"]
    assert web.client.get("/docs").status_code == 200


def test_full_queue_is_503_with_retry_after(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_JOBS_QUEUED", "1")
    get_settings.cache_clear()
    web.submit()
    answer = web.upload()
    check_problem(answer, 503, "queue-full")
    assert int(answer.headers["Retry-After"]) > 0


def test_job_whose_id_is_taken_by_chance_is_refused_and_the_other_one_keeps_its_file(
    web: WebService, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = web.submit()
    monkeypatch.setattr("tasks.ids.secrets.token_hex", lambda _: first)
    check_problem(web.upload(), 503, "unavailable")
    assert [job["id"] for job in web.get("/jobs").json["jobs"]] == [first]
    assert get_blobs().exists(source_key(first, "pdf"))


@pytest.mark.parametrize(
    ("engine", "setting", "sent", "used"),
    [
        ("ocr", "", {}, "auto"),
        ("echo", "", {}, "ignore"),
        ("echo", "fallback", {}, "fallback"),
        ("ocr", "ignore", {}, "ignore"),
        ("ocr", "ignore", {"text_layer": "prefer"}, "prefer"),
        ("echo", "", {"text_layer": "auto"}, "auto"),
        ("echo", "", {"task": "ask", "question": "Who?", "scope": "document"}, "auto"),
        ("echo", "ignore", {"task": "ask", "question": "Who?", "scope": "document"}, "ignore"),
    ],
)
def test_text_layers_are_used_as_the_engine_allows_where_the_job_does_not_say(
    web: WebService, monkeypatch: pytest.MonkeyPatch, engine: str, setting: str, sent: dict[str, Any], used: str
) -> None:
    monkeypatch.setenv("ENGINE", engine)
    monkeypatch.setenv("TEXT_LAYER", setting)
    get_settings.cache_clear()
    engine_name.cache_clear()
    job_id = web.upload(**sent).json["jobs"][0]["id"]
    assert web.get(f"/jobs/{job_id}").json["options"]["text_layer"] == used
    page = web.client.get("/").text
    assert '<option value="" selected>What fits the task' in page  # which leaves it to the task and the server
