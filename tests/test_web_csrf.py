"""What keeps pages of other sites from acting through a browser that may use this server: cookies, tokens, origins."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from web_service import WebService, body_of, web_service

from web.compat.contracts import BLUEPRINTS

OF_COMPAT = {blueprint.name for blueprints in BLUEPRINTS.values() for blueprint in blueprints}
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def token(html: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', html)
    assert found
    return found[1]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_cookies_are_kept_from_scripts_and_other_sites(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    with web_service(redis_url, tmp_path, monkeypatch, api_keys="alpha") as web:
        base = f"{scheme}://localhost"
        shown = web.client.get("/login", base_url=base)
        answer = web.client.post("/login", base_url=base, data={"csrf_token": token(shown.text), "key": "alpha"})
        for cookie, site in ((shown.headers["Set-Cookie"], "Strict"), (answer.headers["Set-Cookie"], "Lax")):
            flags = {flag.strip() for flag in cookie.split(";")[1:]}
            assert {"HttpOnly", f"SameSite={site}", "Path=/"} <= flags
            assert ("Secure" in flags) == (scheme == "https")
            assert not any(flag.startswith("Domain") for flag in flags)


def test_every_form_wants_its_token(web: WebService) -> None:
    """All routes for people that change something, so that a new one is not forgotten."""
    job_id = web.open(1)
    rules = [
        rule
        for rule in web.app.url_map.iter_rules()
        if (rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}
        and not rule.rule.startswith("/api/")
        and rule.endpoint.partition(".")[0] not in OF_COMPAT  # its own tests look at these
    ]
    assert len(rules) >= 6
    web.client.get("/")
    for rule in rules:
        path = rule.rule.replace("<job_id>", job_id).replace("<int:number>", "1")
        assert rule.methods == {"POST", "OPTIONS"}, path
        for sent in ({}, {"csrf_token": "made-up"}):
            assert web.client.post(path, data=sent, headers=HTML).status_code == 403, path
    job = web.ledger.job(job_id)
    assert job
    assert job.state == "running"


OTHER_SITES = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost.evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
]


@pytest.mark.parametrize("headers", [*OTHER_SITES, {}])
def test_session_cookie_alone_changes_nothing_from_elsewhere(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    with web_service(redis_url, tmp_path, monkeypatch, api_keys="alpha") as web:
        web.client.post("/login", data={"csrf_token": token(web.client.get("/login").text), "key": "alpha"})
        ours = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
        body = {"url": "https://public.example/a.pdf"}
        answer = web.client.post("/api/v1/jobs", json=body, headers=ours)
        assert answer.status_code == 202, answer.text
        job_path = body_of(answer)["jobs"][0]["links"]["self"]
        assert web.client.post("/api/v1/jobs", json=body, headers=headers).status_code == 403
        assert web.client.post(f"{job_path}/retry", json={}, headers=headers).status_code == 403
        assert web.client.delete(job_path, headers=headers).status_code == 403
        assert len(web.get("/jobs").json["jobs"]) == 1
        with_key = {"Authorization": "Bearer alpha"}
        if not headers:
            assert web.client.delete(job_path, headers=with_key).status_code == 200


@pytest.mark.parametrize("headers", OTHER_SITES)
def test_open_server_takes_nothing_from_pages_of_other_sites(web: WebService, headers: dict[str, str]) -> None:
    job_id = web.open(1)
    assert web.client.delete(f"/api/v1/jobs/{job_id}", headers=headers).status_code == 403
    assert web.client.post("/api/v1/jobs", data={}, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "host", ["[", "[::1", "a b", "[x]", "evil.example", "\t", "a@b.example", "127.0.0.1.evil.example:80"]
)
@pytest.mark.parametrize("path", ["/", "/api/v1/jobs", "/jobs"])
def test_a_strange_host_is_refused_and_no_fault_of_ours(web: WebService, host: str, path: str) -> None:
    for method in ("GET", "POST"):
        answer = web.client.open(path, method=method, headers={"Host": host}, environ_overrides={"HTTP_HOST": host})
        assert answer.status_code < 500
        if "evil" in host:
            assert answer.status_code == 403


@pytest.mark.parametrize(
    "origin", ["http://[", "null", "http://", "localhost", "http://evil.example", "http://localhost.", ""]
)
def test_a_strange_origin_is_refused_and_no_fault_of_ours(web: WebService, origin: str) -> None:
    answer = web.client.post("/api/v1/jobs", json={"url": "https://a.example/"}, headers={"Origin": origin})
    assert answer.status_code == (403 if origin else 202)
