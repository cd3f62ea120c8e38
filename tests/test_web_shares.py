"""A document shared by a link: read-only, for a while, without a key, and nothing else of the owner's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from documents import save_readable
from web_service import WebService, body_of, check_problem, web_service

from tasks.access import shares
from tasks.access.keys import get_keyring
from tasks.services import get_blobs

OWNER = {"X-API-Key": "alpha"}
OTHER = {"X-API-Key": "beta"}


@pytest.fixture
def web(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebService]:
    with web_service(redis_url, tmp_path, monkeypatch, api_keys="alpha,beta") as service:
        yield service


@pytest.fixture
def job_id(web: WebService) -> str:
    return made_by_owner(web)


def made_by_owner(web: WebService) -> str:
    job_id = web.open(2, owner=get_keyring().owner_of("alpha") or "", name="ships.pdf")
    save_readable(job_id)
    web.read(job_id, 2)
    web.finish(job_id)
    return job_id


def shared(web: WebService, job_id: str, **fields: Any) -> str:
    answer = web.client.post(f"/api/v1/jobs/{job_id}/share", json=fields, headers=OWNER)
    assert answer.status_code == 200, answer.text
    return str(body_of(answer)["url"]).partition("localhost")[2]


def test_link_lets_anybody_read_and_download_and_nothing_more(web: WebService, job_id: str) -> None:
    assert web.client.get(f"/jobs/{job_id}", headers={"Accept": "text/html"}).status_code == 303
    link = shared(web, job_id)
    assert web.client.get(link).location == f"/jobs/{job_id}"
    page = web.client.get(f"/jobs/{job_id}").text
    assert "Ships of the north" in page
    forms = re.findall(r'<form[^>]*method="post"', page)
    assert not forms
    for path in ("pages/1/image", "result?format=md", "result?format=docx", "figures/p001-1.png", "pages/1/text"):
        assert web.get(f"/jobs/{job_id}/{path}").status_code == 200, path
    for path in (f"/jobs/{job_id}/find?q=ships", f"/jobs/{job_id}/pages/2", f"/jobs/{job_id}/pages/2/fragment"):
        assert web.client.get(path).status_code == 200, path
    check_problem(web.get(f"/jobs/{job_id}/result?format=json"), 403, "forbidden")
    check_problem(web.get(f"/jobs/{job_id}/result?format=zip"), 403, "forbidden")
    for path in (f"/jobs/{job_id}", f"/jobs/{job_id}/events", "/jobs", f"/jobs/{job_id}/pages"):
        check_problem(web.get(path), 401, "unauthorized")
    json: dict[str, Any] = {"text": "mine"}
    check_problem(web.client.put(f"/api/v1/jobs/{job_id}/pages/1/text", json=json), 401, "unauthorized")
    check_problem(web.client.delete(f"/api/v1/jobs/{job_id}"), 401, "unauthorized")
    assert web.client.post(f"/jobs/{job_id}/delete", headers={"Accept": "text/html"}).status_code == 303
    assert web.job(job_id).state == "succeeded"


def test_link_is_of_one_document(web: WebService, job_id: str) -> None:
    other = made_by_owner(web)
    link = shared(web, job_id)
    web.client.get(link)
    token = link.rpartition("/")[2]
    web.client.set_cookie(f"pagefan_share_{other}", token)
    check_problem(web.get(f"/jobs/{other}/result?format=md"), 401, "unauthorized")
    assert web.client.get(link.replace(job_id, other)).status_code == 404


def test_other_keys_may_use_a_link_too(web: WebService, job_id: str) -> None:
    link = shared(web, job_id)
    path = f"/api/v1/jobs/{job_id}/result?format=md"
    check_problem(web.client.get(path, headers=OTHER), 404, "unknown-job")
    web.client.get(link)
    assert web.client.get(path, headers=OTHER).status_code == 200


def test_link_ends_with_its_time_its_owner_and_its_job(
    web: WebService, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = shared(web, job_id, days=1)
    web.client.get(link)
    path = f"/jobs/{job_id}/result?format=md"
    assert web.get(path).status_code == 200
    job = web.job(job_id)
    until, _, signed = link.rpartition("/")[2].partition(".")
    assert not shares.is_shared(job, f"{int(until) + 1}.{signed}")
    with monkeypatch.context() as later:
        later.setattr("time.time", lambda: int(until) + 1.0)
        assert not shares.is_shared(job, f"{until}.{signed}")
    assert web.client.delete(f"/api/v1/jobs/{job_id}/share", headers=OWNER).status_code == 204
    check_problem(web.get(path), 401, "unauthorized")
    assert web.client.get(link).status_code == 404
    web.client.get(shared(web, job_id))
    assert web.get(path).status_code == 200
    web.client.delete(f"/api/v1/jobs/{job_id}?purge=1", headers=OWNER)
    check_problem(web.get(path), 401, "unauthorized")
    assert not get_blobs().exists(shares.key_path(job_id))


def test_only_the_owner_shares_and_only_what_has_ended(web: WebService, job_id: str) -> None:
    path = f"/api/v1/jobs/{job_id}/share"
    check_problem(web.client.post(path, json={}, headers=OTHER), 404, "unknown-job")
    check_problem(web.client.post(path, json={"days": 0}, headers=OWNER), 422, "invalid-options")
    running = web.open(1, owner=web.job(job_id).owner)
    check_problem(web.client.post(f"/api/v1/jobs/{running}/share", json={}, headers=OWNER), 409, "still-running")


def test_server_without_keys_has_nothing_to_share(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_service(redis_url, tmp_path, monkeypatch) as web:
        job_id = web.open(1)
        web.read(job_id, 1)
        web.finish(job_id)
        check_problem(web.client.post(f"/api/v1/jobs/{job_id}/share", json={}), 409, "no-sharing")
        assert "Share" not in web.client.get(f"/jobs/{job_id}").text
