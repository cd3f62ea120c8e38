"""Targets: results are written to a storage or a signed URL, tried again, and each file's state is on record."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import Retry
from small_site import Site, small_site
from stand_in import finished_job
from storage_servers import S3, SECRET, s3_server, storage_of
from web_service import WebService, check_problem, web_service

from tasks.archive import write_job_record
from tasks.assemble import targets
from tasks.assemble.deliveries import JITTER, PAUSES_S, event_id
from tasks.assemble.job_end import conclude
from tasks.assemble.targets import deliver_results, is_delivered
from tasks.ledger.records import Job

JOB = "0" * 16


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture
def site() -> Iterator[Site]:
    with small_site() as site:
        yield site


@pytest.fixture
def web(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3: S3, site: Site) -> Iterator[WebService]:
    places = {
        "inbox": s3.place("/in"),
        "out": s3.place("/out", read=False, write=True),
        "hers": s3.place("/hers", write=True, keys=["0123abcd"]),
        "gone": {"url": "s3://no-such-bucket", "options": s3.options, "write": True},
    }
    allowed = f"{site.allowance},{s3.url.removeprefix('http://')}"
    with web_service(redis_url, tmp_path, monkeypatch, storage=storage_of(**places), fetch_allow=allowed) as service:
        yield service


@pytest.fixture
def retries(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses after which the task wanted to come back."""
    pauses: list[float] = []

    def retry(*, countdown: float) -> Retry:
        pauses.append(countdown)
        return Retry()

    monkeypatch.setattr(deliver_results, "retry", retry)
    return pauses


def finished(web: WebService, target_url: str, formats: str = "md", *, failed: tuple[int, ...] = ()) -> Job:
    """A job of two pages that has ended with such a target."""
    job_id = finished_job(web, 2, failed=failed)
    options = web.job(job_id).options.to_json() | {"target_url": target_url, "target_formats": formats}
    web.ledger.redis.hset(f"pf:job:{job_id}", "options", json.dumps(options))
    write_job_record(job_id)
    return web.job(job_id)


def deliver(job: Job, retries: int = 0) -> None:
    """Run the task as a worker does, at its n-th retry."""
    deliver_results.push_request(retries=retries, called_directly=True)
    try:
        deliver_results.run(job.id, event_id(job))
    finally:
        deliver_results.pop_request()


def shown(web: WebService, job: Job) -> list[dict[str, Any]]:
    return list(web.get(f"/jobs/{job.id}").json["deliveries"])


def test_each_format_is_written_to_its_place_and_shown(web: WebService, s3: S3) -> None:
    job = finished(web, "s3://scans/out/{date}/{job}/{stem}.{suffix}", "md,json,docx,alto")
    deliver(job)
    folder = f"out/{web.get(f'/jobs/{job.id}').json['timings']['created_at'][:10]}/{job.id}"
    assert s3.get(f"{folder}/report.md").decode() == web.get(f"/jobs/{job.id}/result?format=md").text
    assert json.loads(s3.get(f"{folder}/report.json"))["job"]["id"] == job.id
    assert s3.get(f"{folder}/report.docx").startswith(b"PK")
    assert s3.get(f"{folder}/report.alto.xml").startswith(b"<?xml")
    found = shown(web, job)
    assert [(one["kind"], one["format"], one["reason"]) for one in found] == [
        ("target", name, "") for name in ("md", "json", "docx", "alto")
    ]
    assert found[0]["target"] == f"s3://scans/{folder}/report.md"
    assert is_delivered(web.job(job.id))
    assert SECRET not in web.get(f"/jobs/{job.id}").text


def test_end_of_a_job_sends_its_results_once(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, str]] = []
    monkeypatch.setattr(deliver_results, "apply_async", lambda args, **_: sent.append(args))
    job = finished(web, "s3://scans/out/{stem}.{suffix}", failed=(2,))
    conclude(job.id)
    assert sent == [(job.id, f"{job.id}.1.partial")]
    deliver(job)
    conclude(job.id)
    assert len(sent) == 1
    conclude(finished(web, "s3://scans/out/{stem}.{suffix}", failed=(1, 2)).id)
    conclude(finished(web, "").id)
    assert len(sent) == 1


def test_signed_url_gets_the_result_and_its_signature_is_not_shown(web: WebService, s3: S3) -> None:
    arguments = {"Bucket": "scans", "Key": "signed/report.md"}
    url = s3.client.generate_presigned_url("put_object", Params=arguments, ExpiresIn=60)
    job = finished(web, url)
    deliver(job)
    assert s3.get("signed/report.md").decode() == web.get(f"/jobs/{job.id}/result?format=md").text
    everything = web.get(f"/jobs/{job.id}").text + web.get(f"/jobs/{job.id}/result?format=json").text
    assert "Signature" in url
    assert "Signature" not in everything
    [delivery] = shown(web, job)
    assert delivery["target"].endswith("/scans/signed/report.md?…")


@pytest.mark.usefixtures("retries")
def test_put_says_what_it_sends(web: WebService, site: Site) -> None:
    job = finished(web, f"{site.url}/put?sig=secret", "json")
    deliver(job)
    [call] = site.calls
    assert call.path == "/put?sig=secret"
    assert call.headers["content-type"] == "application/json"
    assert int(call.headers["content-length"]) == len(call.body)
    assert "transfer-encoding" not in call.headers


def test_passing_trouble_is_tried_for_a_day_and_the_job_stays_what_it_is(
    web: WebService, site: Site, retries: list[float]
) -> None:
    job = finished(web, f"{site.url}/put?sig=secret")
    site.statuses = [503] * 20
    for number in range(len(PAUSES_S)):
        with pytest.raises(Retry):
            deliver(job, number)
        assert not is_delivered(web.job(job.id))
    deliver(job, len(PAUSES_S))
    assert retries == pytest.approx(PAUSES_S, rel=JITTER)
    [delivery] = shown(web, job)
    assert (delivery["reason"], delivery["tries"], delivery["is_over"]) == ("http_503", len(PAUSES_S) + 1, True)
    assert is_delivered(web.job(job.id))
    assert web.get(f"/jobs/{job.id}").json["state"] == "succeeded"


def test_file_that_is_there_is_not_written_again_for_another_that_is_not(
    web: WebService, monkeypatch: pytest.MonkeyPatch, retries: list[float]
) -> None:
    job, states = finished(web, "s3://scans/out/{job}/{stem}.{suffix}", "md,pdf"), iter(["making", "no source"])
    monkeypatch.setattr("tasks.assemble.formats.ask_for_pdf", lambda _: next(states))
    monkeypatch.setattr("tasks.assemble.formats.try_to_make", lambda _: None)
    with pytest.raises(Retry):
        deliver(job)
    before = {one["format"]: one for one in shown(web, job)}
    assert (before["pdf"]["reason"], before["pdf"]["is_over"]) == ("being_made", False)
    deliver(job, 1)
    after = {one["format"]: one for one in shown(web, job)}
    assert after["md"] == before["md"]
    assert (after["pdf"]["reason"], after["pdf"]["is_over"], after["pdf"]["tries"]) == ("no_pdf", True, 2)
    assert len(retries) == 1


@pytest.mark.parametrize(
    ("target_url", "reason"),
    [
        ("s3://no-such-bucket/{stem}.{suffix}", "fetch_failed"),
        ("s3://scans/in/{stem}.{suffix}", "address_refused"),
        ("s3://scans/hers/{stem}.{suffix}", "address_refused"),
        ("http://localhost:1/put", "address_refused"),
    ],
)
def test_what_cannot_be_is_given_up_at_once(web: WebService, target_url: str, reason: str) -> None:
    job = finished(web, target_url)
    deliver(job)
    [delivery] = shown(web, job)
    assert (delivery["reason"], delivery["is_over"]) == (reason, True)


def test_something_unexpected_is_on_record_and_comes_back(
    web: WebService, monkeypatch: pytest.MonkeyPatch, retries: list[float]
) -> None:
    monkeypatch.setattr(targets, "write_result", lambda *_: 1 / 0)
    job = finished(web, "s3://scans/out/{stem}.{suffix}")
    with pytest.raises(Retry):
        deliver(job)
    assert shown(web, job)[0]["reason"] == "internal"
    assert retries


def test_slow_targets_leave_room_for_other_work(web: WebService, monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    queued: list[dict[str, Any]] = []
    monkeypatch.setattr(deliver_results, "apply_async", lambda _, **options: queued.append(options))
    monkeypatch.setattr(targets, "_room", threading.BoundedSemaphore(1))
    job = finished(web, f"{site.url}/put")
    with targets._room:
        deliver(job, 3)
    assert queued[-1]["retries"] == 3
    assert not site.calls


def test_job_that_runs_again_or_is_gone_is_not_delivered(web: WebService, site: Site) -> None:
    job = finished(web, f"{site.url}/put")
    deliver_results.run(job.id, f"{job.id}.7.succeeded")
    web.ledger.forget(job.id)
    deliver_results.run(job.id, event_id(job))
    assert not site.calls


@pytest.mark.parametrize(
    ("target_url", "formats"),
    [
        ("s3://scans/in/", "md"),
        ("s3://scans/hers/", "md"),
        ("s3://scans/out/../in/{stem}.{suffix}", "md"),
        ("s3://scans/out/{job}.{format}/{stem.__class__}", "md"),
        ("s3://scans/out/{secret}", "md"),
        ("s3://scans/out/{stem", "md"),
        ("s3://scans/out/report.md", "md"),
        ("s3://scans/out/{stem}", "md,json"),
        ("s3://scans/out/{stem}.{suffix}", "html"),
        ("s3://scans/out/{stem}.{suffix}", "md;json"),
        ("http://127.0.0.1:1/put", "md"),
        ("https://public.example/put?sig=1", "md,json"),
        ("ftp://public.example/", "md"),
        ("file:///tmp/{stem}", "md"),
    ],
)
def test_target_that_cannot_be_is_422(web: WebService, target_url: str, formats: str) -> None:
    check_problem(web.upload(target_url=target_url, target_formats=formats), 422, "invalid-options")


def test_folder_gets_a_name_for_each_document(web: WebService) -> None:
    job_id = web.submit(target_url="s3://scans/out/", target_formats="md,json")
    options = web.get(f"/jobs/{job_id}").json["options"]
    assert (options["target_url"], options["target_formats"]) == ("s3://scans/out/{job}/{stem}.{suffix}", "md,json")


def test_signed_url_takes_one_document(web: WebService) -> None:
    target = "https://public.example/put?sig=1"
    check_problem(web.upload(target_url=target, attachments="1"), 422, "invalid-options")
    answer = web.client.post("/api/v1/jobs", json={"url": "s3://scans/in/", "target_url": target})
    assert answer.status_code == 422


def test_hostile_name_of_a_document_stays_in_its_folder(web: WebService) -> None:
    job = finished(web, "s3://scans/out/{job}/{name}.{suffix}")
    for name in ("../../in/x.pdf", "..", "a/b\\c.pdf", "{job}.pdf", "x" * 250 + ".pdf"):
        web.ledger.rename(job.id, name)
        path = targets.target_of(web.job(job.id), "md").removeprefix("s3://scans/")
        assert path.startswith(f"out/{job.id}/")
        assert path.count("/") == 2
        assert ".." not in path.split("/")
        assert len(path.rpartition("/")[2].encode()) <= 255
