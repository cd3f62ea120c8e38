"""Documents by URL: fetched before the split, a few at a time, and failed with the reason."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from services import wait_until
from small_site import Site, small_site
from web_service import PDF, WebService, web_service

from tasks import split as sources
from tasks.blobs import source_key
from tasks.messages import JobOptions
from tasks.pipeline import split_document
from tasks.services import get_blobs
from tasks.submit import Entry, submit_jobs


@pytest.fixture
def site() -> Iterator[Site]:
    with small_site() as site:
        site.files["/report.pdf"] = (200, "application/pdf", PDF)
        site.files["/page"] = (200, "text/html", b"<p>")
        site.files["/pretends.pdf"] = (200, "application/pdf", b"hello, I am no document")
        site.files["/away"] = (503, "text/plain", b"")
        yield site


@pytest.fixture
def web(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: Site) -> Iterator[WebService]:
    with web_service(redis_url, tmp_path, monkeypatch, fetch_allow=site.allowance, fetch_timeout_s=5) as service:
        yield service


def submit(web: WebService, url: str) -> str:
    [job_id] = submit_jobs([Entry(source_url=url, name="report.pdf", options=JobOptions())])
    web.ledger.begin_split(job_id)
    return job_id


def test_document_is_stored_once_and_its_job_knows_kind_and_size(web: WebService, site: Site) -> None:
    job_id = submit(web, f"{site.url}/report.pdf")
    assert sources.fetch_source(job_id)
    assert sources.fetch_source(job_id)
    job = web.ledger.job(job_id)
    assert job is not None
    assert (job.kind, job.size) == ("pdf", len(PDF))
    assert get_blobs().read(source_key(job_id, "pdf")) == PDF
    assert site.gets == ["/report.pdf"]


def test_uploaded_document_is_not_fetched(web: WebService, site: Site) -> None:
    assert sources.fetch_source(web.submit())
    assert not site.gets


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/page", "wrong_type"),
        ("/missing", "fetch_failed"),
        ("/pretends.pdf", "corrupt"),
        ("http://localhost:1/", "address_refused"),
        ("http://127.0.0.1:1/", "address_refused"),
        ("http://no-such-name.invalid/", "unknown_host"),
    ],
)
def test_url_that_gives_no_document_fails_its_job_with_the_reason(
    web: WebService, site: Site, path: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)
    job_id = submit(web, path if "://" in path else site.url + path)
    split_document(job_id)
    job = web.get(f"/jobs/{job_id}").json
    assert (job["state"], job["error"]["reason"]) == ("failed", reason)
    assert job["error"]["detail"].endswith(".")


def test_passing_trouble_is_tried_again_and_then_given_up(
    web: WebService, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)
    split_document(submit(web, f"{site.url}/away"))
    assert site.gets == ["/away"] * sources.ATTEMPTS


def test_slow_servers_leave_room_for_other_work(web: WebService, site: Site) -> None:
    site.files["/slow"] = (200, "application/pdf", PDF)
    slow = [submit(web, f"{site.url}/slow") for _ in range(sources.FETCHES_AT_ONCE)]
    threads = [threading.Thread(target=sources.fetch_source, args=(job_id,)) for job_id in slow]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(site.gets) == len(slow), 10, "all slow fetches are under way")
    waiting = submit(web, f"{site.url}/report.pdf")
    assert not sources.fetch_source(waiting)
    site.held.set()
    for thread in threads:
        thread.join()
    assert sources.fetch_source(waiting)


def test_document_of_a_job_cancelled_meanwhile_is_not_kept(web: WebService, site: Site) -> None:
    job_id = submit(web, f"{site.url}/report.pdf")
    web.ledger.cancel(job_id)
    assert sources.fetch_source(job_id)
    assert not get_blobs().exists(source_key(job_id, "pdf"))
