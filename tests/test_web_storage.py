"""Documents in a storage as sources: over REST, from Python and on the command line, on a real S3 server."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from stand_in import reading
from storage_servers import S3, SECRET, s3_server, storage_of
from web_service import PDF, WebService, body_of, check_problem, served, web_service

from pagefan import AsyncClient, Client, Refused
from pagefan.records import Job
from tasks import storage
from tasks.archive import job_on_file
from tasks.blobs import source_key
from tasks.pipeline import split_document
from tasks.services import get_blobs
from tasks.settings import SettingsError, load_settings
from tasks.split import fetch_source
from web.cli.parser import main


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        for name in ("in/a.pdf", "in/b.pdf", "in/x/c.pdf", "hers/d.pdf", "other/e.pdf"):
            server.put(name, PDF)
        server.put("in/notes.txt", b"no document")
        server.put("in/large.pdf", PDF + b"0" * 2**20)
        yield server


@pytest.fixture
def web(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3: S3) -> Iterator[WebService]:
    places = {"inbox": s3.place("/in"), "hers": s3.place("/hers", keys=["0123abcd"])}
    settings = {"storage": storage_of(**places), "max_upload_mb": 1}
    with web_service(redis_url, tmp_path, monkeypatch, **settings) as service:
        yield service


@pytest.fixture
def url(web: WebService) -> Iterator[str]:
    with served(web) as address:
        yield address


def test_document_is_fetched_by_a_worker_and_no_credential_is_shown(
    web: WebService, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with Client(url) as client:
        job = client.submit("s3://scans/in/a.pdf")
    assert (job["name"], job["source_url"]) == ("a.pdf", "s3://scans/in/a.pdf")
    web.ledger.begin_split(job["id"])
    assert fetch_source(job["id"])
    assert get_blobs().read(source_key(job["id"], "pdf")) == PDF
    shown = [web.get(f"/jobs/{job['id']}").text, repr(job_on_file(job["id"])), caplog.text.replace("botocore", "")]
    assert SECRET not in "".join(shown)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no.pdf", "fetch_failed"),
        ("x", "fetch_failed"),
        ("large.pdf", "too_large"),
        ("notes.txt", "unsupported_format"),
    ],
)
def test_document_that_is_no_use_fails_its_job_with_the_reason(web: WebService, name: str, reason: str) -> None:
    job_id = body_of(web.client.post("/api/v1/jobs", json={"url": f"s3://scans/in/{name}"}))["jobs"][0]["id"]
    split_document(job_id)
    job = web.get(f"/jobs/{job_id}").json
    assert (job["state"], job["error"]["reason"]) == ("failed", reason)


def test_place_that_is_taken_away_meanwhile_is_not_read(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = body_of(web.client.post("/api/v1/jobs", json={"url": "s3://scans/in/a.pdf"}))["jobs"][0]["id"]
    monkeypatch.setattr("tasks.settings.Settings.places", lambda _: ())
    split_document(job_id)
    assert web.get(f"/jobs/{job_id}").json["error"]["reason"] == "address_refused"


@pytest.mark.parametrize(
    "url",
    ["s3://scans/other/e.pdf", "s3://scans/hers/d.pdf", "s3://scans/hers/", "s3://scans/in/../other/e.pdf",
     "sftp://scans/in/a.pdf", "file:///etc/passwd", "memory://in/a.pdf"],
)  # fmt: skip
def test_what_is_not_allowed_is_422(web: WebService, url: str) -> None:
    body = check_problem(web.client.post("/api/v1/jobs", json={"url": url}), 422, "invalid-options")
    assert body["errors"][0]["option"] == "url"


def test_folder_becomes_a_batch_of_its_documents(url: str) -> None:
    with Client(url) as client:
        jobs = client.submit_all("s3://scans/in/", tags=["scans"])
        [batch_id] = {job["batch_id"] for job in jobs}
        assert client.batch(batch_id)["num_jobs"] == 4
        assert [job["name"] for job in client.submit_all("s3://scans/in/?.pdf")] == ["a.pdf", "b.pdf"]
        with pytest.raises(Refused) as caught:
            client.submit_all("s3://scans/in/*.png")
    names = ["a.pdf", "b.pdf", "large.pdf", "c.pdf"]
    assert [(job["name"], job["tags"]) for job in jobs] == [(name, ["scans"]) for name in names]
    assert jobs[3]["source_url"] == "s3://scans/in/x/c.pdf"
    assert caught.value.kind == "no-documents"


def test_folder_is_sent_by_the_other_client_too(url: str) -> None:
    async def send() -> list[Job]:
        async with AsyncClient(url) as client:
            return await client.submit_all("s3://scans/in/x/")

    assert [job["name"] for job in asyncio.run(send())] == ["c.pdf"]


def test_folder_with_more_than_a_request_takes_is_refused_whole(
    web: WebService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "MOST_DOCUMENTS", 3)
    check_problem(web.client.post("/api/v1/jobs", json={"url": "s3://scans/in/"}), 422, "no-documents")
    assert not web.ledger.active_jobs()


def test_slow_listings_leave_threads_to_others(web: WebService) -> None:
    for _ in range(storage.LISTINGS_AT_ONCE):
        assert storage._room.acquire(blocking=False)
    try:
        answer = web.client.post("/api/v1/jobs", json={"url": "s3://scans/in/"})
        check_problem(answer, 503, "busy")
    finally:
        for _ in range(storage.LISTINGS_AT_ONCE):
            storage._room.release()


def test_call_that_takes_one_document_refuses_a_folder(web: WebService) -> None:
    check_problem(web.client.post("/api/v1/convert", json={"url": "s3://scans/in/"}), 422, "invalid-options")


def test_convert_command_writes_the_documents_of_a_folder(
    web: WebService, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with reading(web):
        code = main(["convert", "s3://scans/in/?.pdf", "-o", str(tmp_path / "out"), "--json", "--server", url])
    assert code == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["source"] for line in lines] == ["s3://scans/in/a.pdf", "s3://scans/in/b.pdf"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.md", "b.md"]


def test_setting_that_cannot_be_used_stops_the_start_without_its_secrets() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"STORAGE": f'{{"inbox": {{"url": "ftp://x", "options": {{"secret": "{SECRET}"}}}}}}'})
    assert "STORAGE" in str(caught.value)
    assert SECRET not in str(caught.value)
