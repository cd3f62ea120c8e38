"""Webhooks: every end of a job is told once it can be, signed, and each attempt is on record."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import Retry
from services import Service, make_pdf, wait_until
from small_site import Site, small_site
from storage_servers import S3, s3_server, storage_of
from web_service import WebService, check_problem, web_service

from tasks.archive import load_job
from tasks.assemble import webhooks
from tasks.assemble.deliveries import JITTER, PAUSES_S, event_id
from tasks.assemble.job_end import end_unopened
from tasks.assemble.webhooks import deliver_webhook
from tasks.pipeline import assemble_document
from tasks.repair import cancel_job
from web.stack.stack import Stack
from workers.net.webhook import sign

SECRET = "not a guess"


@pytest.fixture
def site() -> Iterator[Site]:
    with small_site() as site:
        yield site


@pytest.fixture
def web(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: Site) -> Iterator[WebService]:
    settings: dict[str, Any] = {"fetch_allow": site.allowance, "webhook_secret": SECRET, "max_upload_mb": 1}
    with web_service(redis_url, tmp_path, monkeypatch, **settings) as service:
        yield service


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The deliveries that were put in the queue."""
    tasks: list[tuple[str, str]] = []
    monkeypatch.setattr(deliver_webhook, "apply_async", lambda args, **_: tasks.append(args))
    return tasks


def failed_job(web: WebService, site: Site) -> str:
    job_id = web.submit(webhook_url=f"{site.url}/hook")
    web.ledger.begin_split(job_id)
    end_unopened(job_id, "corrupt", "The file is damaged.")
    return job_id


def deliver(web: WebService, job_id: str, retries: int = 0) -> None:
    """Run the task as a worker does, at its n-th retry."""
    job = web.ledger.job(job_id)
    assert job is not None
    deliver_webhook.push_request(retries=retries, called_directly=True)
    try:
        deliver_webhook.run(job_id, event_id(job))
    finally:
        deliver_webhook.pop_request()


def check_signature(headers: dict[str, str], body: bytes) -> None:
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    assert abs(time.time() - int(headers["webhook-timestamp"])) < 60


def test_signature_is_that_of_the_standard() -> None:
    """The example that the reference libraries of Standard Webhooks test themselves with."""
    headers = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert headers["Webhook-Signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_call_is_signed_and_shown_in_the_job(web: WebService, site: Site, sent: list[tuple[str, str]]) -> None:
    job_id = failed_job(web, site)
    assert sent == [(job_id, f"{job_id}.0.failed")]
    deliver(web, job_id)
    [call] = site.calls
    check_signature(call.headers, call.body)
    assert call.headers["webhook-id"] == f"{job_id}.0.failed"
    body = json.loads(call.body)
    assert body["type"] == "job.failed"
    assert body["data"]["id"] == job_id
    assert body["data"]["error"]["reason"] == "corrupt"
    [delivery] = web.get(f"/jobs/{job_id}").json["deliveries"]
    assert (delivery["status"], delivery["reason"]) == (204, "")


def test_every_kind_of_end_is_told(web: WebService, site: Site, sent: list[tuple[str, str]]) -> None:
    hook = f"{site.url}/hook"
    cancelled = web.submit(webhook_url=hook)
    cancel_job(cancelled)
    succeeded, partial = web.submit(webhook_url=hook), web.submit(webhook_url=hook)
    for job_id in (succeeded, partial):
        web.ledger.begin_split(job_id)
        web.ledger.open_first_run(job_id, num_pages=2, selection="1-2", size=2)
        web.read(job_id, 1)
    web.read(succeeded, 2)
    web.fail(partial, 2)
    assemble_document(succeeded, 1)
    assemble_document(partial, 1)
    assert [event.partition(".")[2] for _, event in sent] == ["0.cancelled", "1.succeeded", "1.partial"]


def test_end_that_was_told_is_not_told_again(web: WebService, site: Site, sent: list[tuple[str, str]]) -> None:
    job_id = failed_job(web, site)
    deliver(web, job_id)
    webhooks.notify(job_id)
    assert len(sent) == 1


def test_job_without_webhook_sends_nothing(web: WebService, sent: list[tuple[str, str]]) -> None:
    cancel_job(web.submit())
    assert not sent


@pytest.mark.usefixtures("sent")
def test_failed_call_comes_back_with_growing_pauses_for_a_day(
    web: WebService, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def retry(*, countdown: float) -> Retry:
        pauses.append(countdown)
        return Retry()

    monkeypatch.setattr(deliver_webhook, "retry", retry)
    job_id = failed_job(web, site)
    site.statuses = [500, 302, 404] + [503] * 20
    for retries in range(len(PAUSES_S)):
        with pytest.raises(Retry):
            deliver(web, job_id, retries)
    deliver(web, job_id, len(PAUSES_S))
    assert len(site.calls) == len(PAUSES_S) + 1
    assert pauses == pytest.approx(PAUSES_S, rel=JITTER)
    assert 0.9 < sum(PAUSES_S) / 86_400 < 1
    log = web.get(f"/jobs/{job_id}").json["deliveries"]
    assert [entry["reason"] for entry in log[:3]] == ["http_500", "http_302", "http_404"]


@pytest.mark.usefixtures("sent")
def test_receiver_that_wants_no_more_is_left_alone(web: WebService, site: Site) -> None:
    job_id = failed_job(web, site)
    site.statuses = [410]
    deliver(web, job_id)
    assert web.get(f"/jobs/{job_id}").json["deliveries"][0]["status"] == 410


def test_slow_receivers_leave_room_for_other_work(web: WebService, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    queued: list[dict[str, Any]] = []
    monkeypatch.setattr(deliver_webhook, "apply_async", lambda _, **options: queued.append(options))
    monkeypatch.setattr(webhooks, "_room", threading.BoundedSemaphore(1))
    job_id = failed_job(web, site)
    with webhooks._room:
        deliver(web, job_id, retries=3)
    assert queued[-1]["retries"] == 3
    assert queued[-1]["countdown"] > 0
    assert not site.calls
    deliver(web, job_id)
    assert len(site.calls) == 1


def test_log_keeps_the_newest_twenty_and_outlives_redis(
    web: WebService, site: Site, sent: list[tuple[str, str]]
) -> None:
    job_id = failed_job(web, site)
    for number in range(25):
        attempt = {"event": "e", "at": float(number), "status": 500, "reason": "http_500", "seconds": 0.1}
        web.ledger.note_delivery(job_id, attempt)
    deliver(web, job_id)
    kept = web.get(f"/jobs/{job_id}").json["deliveries"]
    assert len(kept) == 20
    assert kept[-1]["status"] == 204
    web.ledger.redis.flushdb()
    job = load_job(job_id)
    assert job is not None
    assert len(job.deliveries) == 20
    assert sent


def test_job_that_runs_again_or_is_gone_is_not_told_of(
    web: WebService, site: Site, sent: list[tuple[str, str]]
) -> None:
    job_id = failed_job(web, site)
    deliver_webhook.run(job_id, f"{job_id}.0.succeeded")
    web.ledger.forget(job_id)
    deliver_webhook.run(job_id, f"{job_id}.0.failed")
    assert not site.calls
    assert len(sent) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "ftp://public.example/", "http://[::1]/", "nonsense"])
def test_webhook_at_a_private_address_is_422(web: WebService, url: str) -> None:
    body = check_problem(web.upload(webhook_url=url), 422, "invalid-options")
    assert body["errors"][0]["option"] == "webhook_url"


def test_webhook_whose_name_leads_inside_is_given_up_at_once(web: WebService, sent: list[tuple[str, str]]) -> None:
    job_id = web.submit(webhook_url="http://localhost/hook")
    cancel_job(job_id)
    deliver(web, job_id)
    assert web.get(f"/jobs/{job_id}").json["deliveries"][0]["reason"] == "address_refused"
    assert sent


def test_server_without_secret_takes_no_webhook(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_service(redis_url, tmp_path, monkeypatch) as web:
        body = check_problem(web.upload(webhook_url="https://public.example/"), 422, "invalid-options")
    assert "WEBHOOK_SECRET" in body["detail"]


@pytest.mark.e2e
def test_document_by_url_is_read_and_its_end_is_told(start_stack: Callable[..., Stack], site: Site) -> None:
    site.files["/report.pdf"] = (200, "application/pdf", make_pdf(3))
    site.statuses = [503]  # the second attempt, five seconds later, is accepted
    with s3_server() as s3:
        storage = storage_of(archive=s3.place(write=True))
        service = Service(start_stack(fetch_allow=site.allowance, webhook_secret=SECRET, storage=storage))
        try:
            body = {"url": f"{site.url}/report.pdf", "webhook_url": f"{site.url}/hook"}
            job_id = service.http.post("/jobs", json=body).json()["jobs"][0]["id"]
            assert service.wait(job_id)["state"] == "succeeded"
            service.check_complete(job_id, 3)
            check_storage_and_events(service, site, s3)
            deliveries = wait_until(lambda: len(found := service.job(job_id)["deliveries"]) == 2 and found, 60, "retry")
            assert [delivery["status"] for delivery in deliveries] == [503, 204]
            check_signature(site.calls[0].headers, site.calls[0].body)
            lost = service.http.post("/jobs", json={"url": f"{site.url}/missing.pdf"}).json()["jobs"][0]["id"]
            assert service.wait(lost)["error"]["reason"] == "fetch_failed"
        finally:
            service.close()


def check_storage_and_events(service: Service, site: Site, s3: S3) -> None:
    """A document of a bucket is read, its result is back in the bucket, and its pages and its batch are told of."""
    s3.put("in/a.pdf", make_pdf(2, first=7))
    body = {"url": "s3://scans/in/", "webhook_url": f"{site.url}/events", "webhook_events": "page,batch"}
    target = {"target_url": "s3://scans/out/{stem}.{suffix}", "target_formats": "md,pdf"}
    [job] = service.http.post("/jobs", json=body | target).json()["jobs"]
    assert service.wait(job["id"])["state"] == "succeeded"
    wait_until(lambda: {"out/a.md", "out/a.pdf"} <= set(s3.keys()), 60, "the results in the bucket")
    assert s3.get("out/a.md") == service.http.get(f"/jobs/{job['id']}/result", params={"format": "md"}).content

    def told() -> set[str]:
        return {json.loads(call.body)["type"] for call in site.calls if call.path == "/events"}

    wait_until(lambda: told() == {"pages.ended", "batch.ended"}, 30, "pages and the batch are told of")


@pytest.mark.usefixtures("sent")
def test_call_that_raises_something_unexpected_is_on_record_and_comes_back(
    web: WebService, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(webhooks, "post", broken)
    job_id = failed_job(web, site)
    with pytest.raises(Retry):
        deliver(web, job_id)
    [delivery] = web.get(f"/jobs/{job_id}").json["deliveries"]
    assert (delivery["status"], delivery["reason"]) == (0, "internal")
