"""Calls of other services: what all contracts share. Each has a file of its own besides."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from services import wait_until
from stand_in import reading, refusing
from web_service import PDF, WebService, body_of, check_problem, web_service

from tasks.settings import CONTRACTS, SettingsError, load_settings
from web.api.auth import SAFE_METHODS
from web.api.bodies import MIB
from web.compat.contracts import BLUEPRINTS

OF_CONTRACT = {
    "azure": "/documentintelligence/documentModels/{model}:analyze",
    "docling": "/v1/convert/file",
    "mistral": "/v1/ocr",
    "openwebui": "/process",
    "tika": "/tika",
}


NAMES = {blueprint.name for blueprints in BLUEPRINTS.values() for blueprint in blueprints}


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def put(web: WebService, data: bytes = PDF, path: str = "/process", **headers: str) -> Any:
    return web.client.put(path, data=data, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_every_contract_that_a_setting_names_is_there() -> None:
    assert set(CONTRACTS) == set(BLUEPRINTS) == set(OF_CONTRACT)


@pytest.mark.parametrize("compat", ["none", *CONTRACTS])
def test_contract_that_is_not_named_is_not_served(
    compat: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_service(redis_url, tmp_path, monkeypatch, compat=compat) as web:
        described = body_of(web.client.get("/openapi.json"))["paths"]
    assert {name for name, path in OF_CONTRACT.items() if path in described} == {compat} - {"none"}


def test_every_call_is_described(web: WebService) -> None:
    described = body_of(web.client.get("/openapi.json"))["paths"]
    rules = [rule for rule in web.app.url_map.iter_rules() if rule.endpoint.partition(".")[0] in NAMES]
    calls = {
        (re.sub("<([a-z]+:)?([^>]*)>", r"{\2}", rule.rule), method.lower())
        for rule in rules
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert len(calls) > 25
    assert calls == {(path, method) for path, method in calls if method in described.get(path, {})}


def test_contract_that_is_not_known_stops_the_start() -> None:
    with pytest.raises(SettingsError, match=r"COMPAT='openwebui,uniform' .*'uniform' is not one of"):
        load_settings({"COMPAT": "openwebui,uniform"})


@pytest.mark.parametrize(
    "headers_for",
    [
        lambda key: {"Authorization": f"Bearer {key}"},
        lambda key: {"X-Api-Key": key},
        lambda key: {"Ocp-Apim-Subscription-Key": key},
        lambda key: {"Authorization": basic("key", key)},
        lambda key: {"Authorization": basic(key, "")},
    ],
)
def test_key_is_taken_in_every_way_that_clients_send_it(
    headers_for: Callable[[str], dict[str, Any]], redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_service(redis_url, tmp_path, monkeypatch, api_keys="alpha") as web, reading(web):
        assert put(web).status_code == 401
        assert put(web, **headers_for("wrong")).status_code == 401
        assert put(web, **headers_for("alpha")).status_code == 200
        [job] = web.ledger.jobs()
    assert job.owner.startswith("key-")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/status/poll/x?api_key=alpha", 404),
        ("/v1/status/ws/x?tenant_id=&api_key=al%70ha", 404),
        ("/v1/status/poll/x?api_key=wrong", 401),
        ("/v1/status/poll/x", 401),
        ("/api/v1/jobs?api_key=alpha", 401),
        ("/?api_key=alpha", 401),
    ],
)
def test_key_in_the_query_is_taken_where_clients_of_docling_serve_send_it(
    path: str, status: int, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_service(redis_url, tmp_path, monkeypatch, api_keys="alpha") as web:
        assert web.client.get(path).status_code == status


def test_server_without_keys_takes_any(web: WebService) -> None:
    with reading(web):
        assert put(web, Authorization="Bearer none").status_code == 200


def test_error_has_its_words_where_clients_look_for_them(web: WebService) -> None:
    with refusing(web):
        body = check_problem(put(web), 409, "no-result")
    assert body["error"]["code"] == "no-result"
    for words in (body["detail"], body["message"], body["error"]["message"]):
        assert "damaged" in words


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Sec_Fetch_Site": "cross-site"}])
def test_other_sites_cannot_use_them_through_a_browser(web: WebService, headers: dict[str, Any]) -> None:
    check_problem(put(web, **headers), 403, "forbidden")
    check_problem(put(web, Host="evil.example"), 403, "forbidden")


def test_cookie_alone_changes_nothing_by_any_of_them(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_service(redis_url, tmp_path, monkeypatch, api_keys="alpha") as web:
        monkeypatch.setattr("web.api.auth.owner_of_session", lambda _: "key-0")
        rules = [rule for rule in web.app.url_map.iter_rules() if rule.endpoint.partition(".")[0] in NAMES]
        calls = [(method, rule.rule) for rule in rules for method in (rule.methods or set()) - set(SAFE_METHODS)]
        assert len(calls) >= len(BLUEPRINTS)
        for method, rule in calls:
            answer = web.client.open(re.sub("<[^>]*>", "x", rule), method=method, data=PDF)
            check_problem(answer, 403, "forbidden")


def test_file_that_is_the_body_has_the_limit_of_uploads(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_service(redis_url, tmp_path, monkeypatch, max_upload_mb=1) as web:
        data = PDF + bytes(MIB)
        check_problem(put(web, data), 413, "too-large")
        answer = web.client.put(
            "/process", input_stream=io.BytesIO(data), environ_overrides={"wsgi.input_terminated": True}
        )
        check_problem(answer, 413, "too-large")
        assert web.ledger.jobs() == []
        with reading(web):
            assert put(web, data[: MIB - 1]).status_code == 200


def test_queue_that_is_full_refuses_before_the_body_is_read(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_service(redis_url, tmp_path, monkeypatch, max_jobs_queued=0) as web:
        body = io.BytesIO(PDF)
        answer = web.client.put("/process", input_stream=body, content_length=len(PDF))
        check_problem(answer, 503, "queue-full")
        assert body.tell() == 0


def http_request(method: str, path: str, content_type: str, body: bytes) -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def json_request(path: str, **body: Any) -> bytes:
    return http_request("POST", path, "application/json", json.dumps(body).encode())


def form_request(path: str) -> bytes:
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.pdf"\r\n\r\n'
    part = head + PDF + b"\r\n--x--\r\n"
    return http_request("POST", path, "multipart/form-data; boundary=x", part)


def waiting_requests() -> dict[str, bytes]:
    """A request of each call that is answered when all pages have been read."""
    data = base64.b64encode(PDF).decode()
    sources = [{"kind": "file", "filename": "a.pdf", "base64_string": data}]
    ocr = {"type": "document_url", "document_url": f"data:application/pdf;base64,{data}"}
    files = ("/process", "/tika", "/tika/text", "/tika/json/md", "/rmeta/text")
    requests = {path: http_request("PUT", path, "application/pdf", PDF) for path in files}
    requests |= {path: form_request(path) for path in ("/v1/convert/file", "/v1/chunk/hybrid/file")}
    requests |= {
        path: json_request(path, sources=sources) for path in ("/v1/convert/source", "/v1/chunk/hybrid/source")
    }
    return requests | {"/v1/ocr": json_request("/v1/ocr", model="m", document=ocr)}


def test_client_that_hangs_up_cancels_its_job_whichever_contract_it_speaks(web: WebService, url: str) -> None:
    address, sent = urlsplit(url), waiting_requests()
    with contextlib.ExitStack() as lines:
        for request in sent.values():
            line = lines.enter_context(socket.create_connection((address.hostname, address.port)))
            line.sendall(request)
        wait_until(lambda: web.ledger.num_active() == len(sent), 30, "a job of each")
        jobs = web.ledger.active_jobs()
        assert not any(web.job(job_id).was_cancelled for job_id in jobs)
    wait_until(lambda: all(web.job(job_id).was_cancelled for job_id in jobs), 30, "their end")


def test_client_that_cannot_be_made_to_wait_is_told_and_leaves_no_job(
    web: WebService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.compat.answers.wait_for_end", lambda job_id, *_, **__: web.ledger.job(job_id))
    check_problem(put(web), 503, "too-many-listeners")
    [job] = web.ledger.jobs()
    assert job.was_cancelled
