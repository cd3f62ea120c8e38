"""API keys: made, listed and revoked by the command, kept as hashes, and bound to limits."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from web_service import PDF, WebService, body_of, check_problem, web_service

from tasks import pipeline, split
from tasks.access import keys
from tasks.access.keys import create_key, get_keyring, read_keys, revoke_key
from tasks.access.quotas import OverQuota, charge_pages, pages_today
from tasks.repair import retry_job
from tasks.services import get_blobs
from tasks.settings import SettingsError
from web.cli import parser as cli
from workers.documents.open import DocumentInfo

MakeWeb = Callable[..., AbstractContextManager[WebService]]


@pytest.fixture
def make_web(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeWeb:
    """A service with these settings, whose processes see new keys at once."""
    monkeypatch.setattr(keys, "FRESH_S", -1.0)
    return lambda **settings: web_service(redis_url, tmp_path, monkeypatch, **settings)


@pytest.fixture
def web(make_web: MakeWeb) -> Iterator[WebService]:
    with make_web() as service:
        yield service


def new_key(name: str = "me") -> tuple[str, dict[str, str]]:
    """A key's id and the header that shows it."""
    key, text = create_key(name, get_blobs())
    return key.id, {"Authorization": f"Bearer {text}"}


def submit(web: WebService, headers: dict[str, str]) -> Any:
    return web.client.post("/api/v1/jobs", json={"url": "https://public.example/a.pdf"}, headers=headers)


def test_command_makes_lists_and_revokes_keys(web: WebService, capsys: pytest.CaptureFixture[str]) -> None:
    assert web.get("/jobs").status_code == 200
    assert cli.main(["keys", "create", "the archive"]) == 0
    text = capsys.readouterr().out.strip()
    assert web.get("/jobs").status_code == 401
    assert web.get("/jobs", headers={"X-API-Key": text}).status_code == 200
    assert cli.main(["keys", "list"]) == 0
    listed = capsys.readouterr().out
    assert "the archive" in listed
    assert "in use" in listed
    assert text not in listed
    assert cli.main(["keys", "revoke", text.split("_")[1]]) == 0
    assert web.get("/jobs", headers={"X-API-Key": text}).status_code == 401
    assert cli.main(["keys", "revoke", "../../x"]) == 2


def test_only_the_hash_of_a_key_is_kept(web: WebService, tmp_path: Path) -> None:
    _, headers = new_key()
    text = headers["Authorization"].removeprefix("Bearer ")
    submit(web, headers)
    [key] = read_keys(get_blobs())
    assert key.digest == hashlib.sha256(text.encode()).hexdigest()
    kept = [path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    kept += web.ledger.redis.keys("*")
    assert kept
    assert not any(text in content for content in kept)


@pytest.mark.usefixtures("web")
def test_two_keys_differ_in_many_random_characters() -> None:
    texts = {create_key("n", get_blobs())[1] for _ in range(20)}
    assert len(texts) == 20
    assert all(len(text) == len("pf_12345678_") + 43 for text in texts)


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1], lambda t: t + "x", lambda t: t[:-1] + "é", str.upper, lambda _: ""]
)
def test_key_that_is_nearly_right_opens_nothing(web: WebService, change: Callable[[str], str]) -> None:
    _, headers = new_key()
    wrong = change(headers["Authorization"].removeprefix("Bearer "))
    assert get_keyring().owner_of(wrong) is None
    check_problem(web.get("/jobs"), 401, "unauthorized")


def test_jobs_are_seen_by_their_key_only(web: WebService) -> None:
    (_, mine), (_, theirs) = new_key(), new_key()
    job_id = submit(web, mine).json["jobs"][0]["id"]
    assert web.get(f"/jobs/{job_id}", headers=mine).status_code == 200
    assert web.get(f"/jobs/{job_id}", headers=theirs).status_code == 404
    assert web.get("/jobs", headers=theirs).json["jobs"] == []


def test_keys_survive_redis_and_revoking_the_last_does_not_open_the_server(web: WebService) -> None:
    id, headers = new_key()
    web.ledger.redis.flushdb()
    assert web.get("/jobs", headers=headers).status_code == 200
    revoke_key(id, get_blobs())
    check_problem(web.get("/jobs", headers=headers), 401, "unauthorized")
    check_problem(web.get("/jobs"), 401, "unauthorized")


def test_session_ends_with_its_key(web: WebService) -> None:
    id, headers = new_key()
    web.client.get("/login")
    cookie = web.client.get_cookie("pagefan_csrf")
    assert cookie
    key = headers["Authorization"].removeprefix("Bearer ")
    form = {"key": key, "csrf_token": cookie.value}
    assert web.client.post("/login", data=form).status_code == 303
    assert web.get("/jobs").status_code == 200
    revoke_key(id, get_blobs())
    check_problem(web.get("/jobs"), 401, "unauthorized")


def test_keys_stay_good_while_the_store_is_away(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    _, headers = new_key()
    assert web.get("/jobs", headers=headers).status_code == 200

    def away(_: object) -> None:
        raise OSError("the store is away")

    monkeypatch.setattr(keys, "read_keys", away)
    assert web.get("/jobs", headers=headers).status_code == 200
    assert web.get("/jobs").status_code == 401


def test_static_keys_stay_beside_the_others(make_web: MakeWeb) -> None:
    with make_web(api_keys="alpha, beta") as web:
        _, headers = new_key()
        for shown in (headers, {"X-API-Key": "alpha"}, {"Authorization": "Bearer beta"}):
            assert web.get("/jobs", headers=shown).status_code == 200
        assert web.get("/jobs", headers={"X-API-Key": "gamma"}).status_code == 401


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "pagefan.example"])
def test_server_without_keys_does_not_start_in_public(make_web: MakeWeb, host: str) -> None:
    with pytest.raises(SettingsError, match="pagefan keys create"), make_web(web_host=host):
        pass


@pytest.mark.parametrize(
    "settings",
    [
        {"web_host": "127.0.0.1"},
        {"web_host": "::1"},
        {"web_host": "localhost"},
        {"web_host": "0.0.0.0", "allow_open": 1},
        {"web_host": "0.0.0.0", "api_keys": "alpha"},
        {"web_host": "0.0.0.0", "publish_address": "127.0.0.1"},
    ],
)
def test_server_starts_on_loopback_with_keys_or_when_told_to(make_web: MakeWeb, settings: dict[str, object]) -> None:
    with make_web(**settings) as web:
        assert web.client.get("/healthz").status_code == 200


def test_too_many_requests_a_minute_are_429_for_that_key_only(
    make_web: MakeWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_800_000_045.0)
    with make_web(key_requests_per_min=3) as web:
        (_, mine), (_, theirs) = new_key(), new_key()
        answers = [web.get("/jobs", headers=mine) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        check_problem(answers[3], 429, "quota-exceeded")
        assert answers[3].headers["Retry-After"] == "15"
        for answer, left in zip(answers, ("2", "1", "0", "0"), strict=True):
            told = [answer.headers[f"X-RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset")]
            assert told == ["3", left, "15"]
        assert web.get("/jobs", headers=theirs).status_code == 200
        monkeypatch.setattr(time, "time", lambda: 1_800_000_060.0)
        assert web.get("/jobs", headers=mine).status_code == 200


def test_too_many_unfinished_jobs_are_429_until_one_ends(make_web: MakeWeb) -> None:
    with make_web(key_active_jobs=2) as web:
        (_, mine), (_, theirs) = new_key(), new_key()
        job_id = submit(web, mine).json["jobs"][0]["id"]
        assert submit(web, mine).status_code == 202
        answer = submit(web, mine)
        check_problem(answer, 429, "quota-exceeded")
        assert int(answer.headers["Retry-After"]) > 0
        assert submit(web, theirs).status_code == 202
        web.client.delete(f"/api/v1/jobs/{job_id}", headers=mine)
        assert submit(web, mine).status_code == 202


def test_pages_are_charged_once_a_run_and_the_day_has_an_end(make_web: MakeWeb) -> None:
    with make_web(key_pages_per_day=10) as web:
        id, mine = new_key()
        owner = f"key-{id}"
        for _ in range(2):
            charge_pages(owner, "job.1", 6)
        assert pages_today(owner) == 6
        with pytest.raises(OverQuota, match="10 pages"):
            charge_pages(owner, "other.1", 5)
        assert submit(web, mine).status_code == 202
        charge_pages(owner, "job.2", 4)
        answer = submit(web, mine)
        check_problem(answer, 429, "quota-exceeded")
        assert 0 < int(answer.headers["Retry-After"]) <= 86_400


def test_document_longer_than_the_day_fails_its_job(make_web: MakeWeb, monkeypatch: pytest.MonkeyPatch) -> None:
    class Reader:
        def run(self, *_: object, **__: object) -> DocumentInfo:
            return DocumentInfo(kind="pdf", num_pages=50)

    monkeypatch.setattr(split, "get_sandbox", Reader)
    with make_web(key_pages_per_day=49) as web:
        id, mine = new_key()
        form = {"file": (io.BytesIO(PDF), "a.pdf")}
        job_id = body_of(web.client.post("/api/v1/jobs", data=form, headers=mine))["jobs"][0]["id"]
        pipeline.split_document(job_id)
        job = web.get(f"/jobs/{job_id}", headers=mine).json
        assert (job["state"], job["error"]["reason"]) == ("failed", "page_quota")
        assert pages_today(f"key-{id}") == 0


def test_repair_beyond_the_days_pages_is_429(make_web: MakeWeb) -> None:
    with make_web(key_pages_per_day=3) as web:
        id, mine = new_key()
        job_id = web.open(2, owner=f"key-{id}")
        charge_pages(f"key-{id}", f"{job_id}.1", 2)
        web.fail(job_id, 1)
        web.fail(job_id, 2)
        web.finish(job_id)
        repair = f"/api/v1/jobs/{job_id}/retry"
        check_problem(web.client.post(repair, json={}, headers=mine), 429, "quota-exceeded")
        assert web.client.post(repair, json={"pages": "1"}, headers=mine).status_code == 202


def test_repair_that_is_refused_costs_nothing_and_pays_for_no_other(make_web: MakeWeb) -> None:
    with make_web(key_pages_per_day=3) as web:
        id, mine = new_key()
        owner = f"key-{id}"
        job_id = web.open(2, owner=owner)
        charge_pages(owner, f"{job_id}.1", 2)
        web.fail(job_id, 1)
        repair = f"/api/v1/jobs/{job_id}/retry"
        check_problem(web.client.post(repair, json={"pages": "2"}, headers=mine), 409, "page-busy")
        assert pages_today(owner) == 2
        web.fail(job_id, 2)
        check_problem(web.client.post(repair, json={"pages": "1-2"}, headers=mine), 429, "quota-exceeded")


def test_two_repairs_at_once_are_both_paid(make_web: MakeWeb, monkeypatch: pytest.MonkeyPatch) -> None:
    with make_web(key_pages_per_day=10) as web:
        owner = f"key-{new_key()[0]}"
        job_id = web.open(2, owner=owner)
        for number in (1, 2):
            web.fail(job_id, number)
        before = web.ledger.job(job_id)
        monkeypatch.setattr(type(web.ledger), "job", lambda *_: before)  # what both saw
        for pages in ("1", "2"):
            retry_job(job_id, pages=pages, options={})
        assert pages_today(owner) == 2


def test_run_is_charged_once_however_many_say_so_at_once(make_web: MakeWeb) -> None:
    with make_web(key_pages_per_day=100) as web:
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda _: charge_pages("key-a", "job.1", 6), range(64)))
        assert pages_today("key-a") == 6
        assert web.ledger.redis.ttl(web.ledger.redis.keys("pf:day:key-a:*")[0]) > 86_400


def test_limits_of_keys_do_not_touch_a_server_without_keys(make_web: MakeWeb) -> None:
    with make_web(key_requests_per_min=1, key_active_jobs=1, key_pages_per_day=1) as web:
        answers = [submit(web, {}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [202] * 3
        assert not any("X-RateLimit-Limit" in answer.headers for answer in answers)
        charge_pages(keys.LOCAL, "job.1", 100)
