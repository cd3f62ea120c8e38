"""The service itself: health, absence of Redis, keys, other sites, its own description."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from web_service import PDF, WebService, body_of, check_problem, web_service

from tasks.access.keys import create_key
from tasks.services import get_blobs
from tasks.settings import get_settings


@pytest.fixture
def web(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebService]:
    with web_service(redis_url, tmp_path, monkeypatch, max_upload_mb=1, max_jobs_queued=50) as service:
        yield service


AWAY = [
    ("GET", "/api/v1/jobs"),
    ("GET", "/api/v1/jobs/0123456789abcdef"),
    ("GET", "/api/v1/jobs/0123456789abcdef/pages"),
    ("GET", "/api/v1/jobs/0123456789abcdef/pages/1"),
    ("GET", "/api/v1/jobs/0123456789abcdef/pages/1/image"),
    ("GET", "/api/v1/jobs/0123456789abcdef/result"),
    ("POST", "/api/v1/jobs"),
    ("POST", "/api/v1/jobs/0123456789abcdef/retry"),
    ("DELETE", "/api/v1/jobs/0123456789abcdef"),
    ("GET", "/"),
    ("GET", "/jobs/0123456789abcdef"),
]


def test_redis_away_is_503_everywhere_and_never_a_traceback(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = redis.Redis(port=1, socket_connect_timeout=0.2, retry=Retry(NoBackoff(), 0))
    monkeypatch.setattr(web.ledger, "redis", refused)
    monkeypatch.setattr(web.ledger, "_script", refused.register_script(""))
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    get_settings.cache_clear()
    for method, path in AWAY:
        body: dict[str, Any] = {"json": {}} if path.endswith("retry") else {}
        answer = web.client.open(path, method=method, headers={"Accept": "application/json"}, **body)
        check_problem(answer, 503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    assert web.client.get("/healthz").status_code == 200
    ready = web.client.get("/readyz")
    assert ready.status_code == 503
    assert body_of(ready)["checks"]["redis"].startswith("away")


def test_redis_without_memory_is_not_ready_and_takes_no_job(web: WebService) -> None:
    web.ledger.redis.config_set("maxmemory", 1)
    try:
        ready = web.client.get("/readyz")
        check_problem(web.upload(), 503, "unavailable")
    finally:
        web.ledger.redis.config_set("maxmemory", 0)
    assert ready.status_code == 503
    assert body_of(ready)["checks"]["redis"] == "cannot be written: OutOfMemoryError"
    assert body_of(web.client.get("/readyz"))["checks"]["redis"] == "ok"


def test_readyz_wants_a_worker_on_every_queue(web: WebService) -> None:
    assert body_of(web.client.get("/readyz"))["checks"]["gpu_worker"] == "none is running"
    for queue in ("cpu", "gpu"):
        web.ledger.report_alive(queue, "test")
    answer = web.client.get("/readyz")
    assert answer.status_code == 200, answer.text


def test_readyz_says_what_workers_compute_with(web: WebService) -> None:
    assert body_of(web.client.get("/readyz"))["runtimes"] == []
    for worker in ("one", "two"):
        web.ledger.report_alive("gpu", worker, runtime="OpenVINO 2026.4.1, f32")
    web.ledger.report_alive("gpu", "three", engine="vlm")
    assert body_of(web.client.get("/readyz"))["runtimes"] == ["OpenVINO 2026.4.1, f32"]


def test_openapi_describes_every_call_and_its_problems(web: WebService) -> None:
    spec = body_of(web.client.get("/openapi.json"))
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
        job_id = body_of(web.client.post("/api/v1/jobs", data=data, headers=alpha))["jobs"][0]["id"]
        assert web.get(f"/jobs/{job_id}", headers=alpha).status_code == 200
        assert web.get(f"/jobs/{job_id}", headers=beta).status_code == 404
        assert web.get("/jobs", headers=beta).json["jobs"] == []
        assert web.client.get("/healthz").status_code == 200


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_other_sites_cannot_act_through_a_browser(web: WebService, headers: dict[str, str]) -> None:
    data = {"file": (io.BytesIO(PDF), "a.pdf")}
    check_problem(web.client.post("/api/v1/jobs", data=data, headers=headers), 403, "forbidden")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example."]
)
def test_server_without_keys_answers_at_no_foreign_name(web: WebService, host: str) -> None:
    """Otherwise a site whose name is made to lead to this machine could use it through a visitor's browser."""
    answer = web.get("/jobs", headers={"Host": host})
    check_problem(answer, 403, "forbidden")
    assert "ALLOW_OPEN=1" in answer.json["detail"]


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "192.168.1.7", "scanner", "pagefan.localhost"],
)
def test_addresses_and_local_names_are_answered(web: WebService, host: str) -> None:
    assert web.get("/jobs", headers={"Host": host}).status_code == 200


def test_foreign_name_is_answered_where_keys_protect(web: WebService) -> None:
    create_key("me", get_blobs())
    assert web.get("/jobs", headers={"Host": "pagefan.example"}).status_code == 401
