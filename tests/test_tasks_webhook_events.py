"""Webhooks about pages and batches, and all of them as CloudEvents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import Retry
from cloudevents.core.bindings.http import HTTPMessage, from_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from small_site import Site, small_site
from web_service import NUMBERS, WebService, check_problem, page, web_service

from tasks.assemble import page_webhooks
from tasks.assemble.deliveries import PAUSES_S, event_id
from tasks.assemble.page_webhooks import are_pages_told, deliver_pages, tell_rest
from tasks.assemble.webhooks import batch_event, deliver_webhook, notify
from tasks.ledger.records import Job
from tasks.messages import JobOptions
from tasks.repair import cancel_job


@pytest.fixture
def site() -> Iterator[Site]:
    with small_site() as site:
        yield site


@pytest.fixture
def web(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: Site) -> Iterator[WebService]:
    settings: dict[str, Any] = {"fetch_allow": site.allowance, "webhook_secret": "not a guess"}
    with web_service(redis_url, tmp_path, monkeypatch, **settings) as service:
        yield service


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was put in the queue."""
    tasks: list[tuple[Any, ...]] = []
    for task in (deliver_pages, deliver_webhook):
        monkeypatch.setattr(task, "apply_async", lambda args, **_: tasks.append(args))
    return tasks


def opened(web: WebService, site: Site, num_pages: int = 3, **options: Any) -> str:
    job_id, wanted = f"{next(NUMBERS):016x}", JobOptions(webhook_url=f"{site.url}/hook", **options)
    web.ledger.create(job_id, owner="local", name="a.pdf", kind="pdf", size=1, options=wanted, batch_id="together")
    web.ledger.begin_split(job_id)
    web.ledger.open_first_run(job_id, num_pages=num_pages, selection=f"1-{num_pages}", size=num_pages)
    return job_id


def run_pages(job_id: str, retries: int = 0) -> None:
    deliver_pages.push_request(retries=retries, called_directly=True)
    try:
        deliver_pages.run(job_id)
    finally:
        deliver_pages.pop_request()


def told(site: Site, place: int = -1) -> dict[str, Any]:
    return dict(json.loads(site.calls[place].body))


def numbers(site: Site, place: int = -1) -> list[int]:
    return [one["page_number"] for one in told(site, place)["data"]["pages"]]


def test_pages_that_end_together_share_a_call_and_each_is_told_once(
    web: WebService, site: Site, sent: list[tuple[Any, ...]]
) -> None:
    job_id = opened(web, site, webhook_events="page")
    web.read(job_id, 3)
    web.fail(job_id, 1, "timeout")
    assert sent == [(job_id,)], "one call is under way, however many pages end"
    run_pages(job_id)
    assert told(site)["type"] == "pages.ended"
    assert [(one["page_number"], one["state"], one["reason"]) for one in told(site)["data"]["pages"]] == [
        (3, "ok", ""),
        (1, "failed", "timeout"),
    ]
    web.read(job_id, 2)
    run_pages(job_id)
    assert numbers(site) == [2]
    run_pages(job_id)
    assert len(site.calls) == 2
    assert len({call.headers["webhook-id"] for call in site.calls}) == 2
    assert all(call.headers["webhook-signature"].startswith("v1,") for call in site.calls)
    assert are_pages_told(web.job(job_id))
    assert web.get(f"/jobs/{job_id}").json["deliveries"] == []


def test_page_that_ends_while_a_call_ends_is_not_left_out(
    web: WebService, site: Site, sent: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = opened(web, site, webhook_events="page")
    web.ledger.hold_pages_call(job_id, 60)
    look = page_webhooks.untold_pages

    def ends_now(job: Job) -> list[Any]:
        found = look(job)
        monkeypatch.setattr(page_webhooks, "untold_pages", look)
        web.read(job_id, 1)
        return found

    monkeypatch.setattr(page_webhooks, "untold_pages", ends_now)
    run_pages(job_id)
    assert sent == [(job_id,)]


def test_jobs_that_did_not_ask_are_told_of_no_page(web: WebService, site: Site, sent: list[tuple[Any, ...]]) -> None:
    web.read(opened(web, site), 1)
    web.read(web.open(1), 1)
    assert not sent


def test_receiver_that_is_away_hears_of_all_pages_later_and_is_asked_by_one_task(
    web: WebService, site: Site, sent: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def retry(*, countdown: float) -> Retry:
        pauses.append(countdown)
        return Retry()

    monkeypatch.setattr(deliver_pages, "retry", retry)
    job_id = opened(web, site, webhook_events="page")
    web.read(job_id, 1)
    site.statuses = [503, 503]
    for number in range(2):
        with pytest.raises(Retry):
            run_pages(job_id, number)
        web.read(job_id, number + 2)
        assert not are_pages_told(web.job(job_id))
    assert sent == [(job_id,)]
    run_pages(job_id, 2)
    assert numbers(site) == [1, 2, 3]
    assert pauses == pytest.approx(PAUSES_S[:2], rel=0.1)
    [delivery] = web.get(f"/jobs/{job_id}").json["deliveries"]
    assert (delivery["kind"], delivery["reason"], delivery["tries"]) == ("pages", "", 3)


def test_receiver_that_wants_no_more_hears_of_no_more_pages(
    web: WebService, site: Site, sent: list[tuple[Any, ...]]
) -> None:
    job_id = opened(web, site, webhook_events="page")
    web.read(job_id, 1)
    site.statuses = [410]
    run_pages(job_id)
    web.read(job_id, 2)
    run_pages(job_id)
    assert len(site.calls) == 1
    assert are_pages_told(web.job(job_id))
    assert sent


def test_pages_that_are_cancelled_with_the_job_are_told(
    web: WebService, site: Site, sent: list[tuple[Any, ...]]
) -> None:
    job_id = opened(web, site, webhook_events="page")
    web.ledger.move(page(job_id, 2), "preparing")
    cancel_job(job_id)
    assert (job_id,) in sent
    run_pages(job_id)
    assert [(one["page_number"], one["state"]) for one in told(site)["data"]["pages"]] == [(2, "cancelled")]
    tell_rest(job_id)


def end(web: WebService, job_id: str) -> Job:
    for number in (1, 2, 3):
        web.read(job_id, number)
    web.finish(job_id)
    notify(job_id)
    return web.job(job_id)


def run_webhook(job: Job, event: str) -> None:
    deliver_webhook.push_request(retries=0, called_directly=True)
    try:
        deliver_webhook.run(job.id, event)
    finally:
        deliver_webhook.pop_request()


def test_end_of_a_batch_is_told_once_by_the_job_that_ends_last(
    web: WebService, site: Site, sent: list[tuple[Any, ...]]
) -> None:
    first, second, third = (opened(web, site, webhook_events="batch") for _ in range(3))
    end(web, second)
    cancel_job(third)
    assert not sent
    last = end(web, first)
    notify(second)
    assert sent == [(first, batch_event(last))]
    run_webhook(last, batch_event(last))
    body = told(site)
    assert body["type"] == "batch.ended"
    assert body["data"] == {
        "batch_id": "together",
        "num_jobs": 3,
        "states": {"succeeded": 2, "cancelled": 1},
        "pages": {"total": 9, "ok": 6, "blank": 0, "fallback": 0, "failed": 0, "cancelled": 3},
        "path": "/api/v1/batches/together",
    }
    notify(first)
    assert len(sent) == 1


def test_job_and_batch_are_both_told_where_both_are_wanted(
    web: WebService, site: Site, sent: list[tuple[Any, ...]]
) -> None:
    job = end(web, opened(web, site, webhook_events="job,batch"))
    assert sent == [(job.id, event_id(job)), (job.id, batch_event(job))]


def as_event(site: Site) -> Any:
    call = site.calls[-1]
    assert call.headers["content-type"].startswith("application/cloudevents+json")
    return from_structured(HTTPMessage(headers=call.headers, body=call.body), JSONFormat(), CloudEvent)


def test_calls_are_cloud_events_where_those_are_wanted(
    web: WebService, site: Site, sent: list[tuple[Any, ...]]
) -> None:
    job_id = opened(web, site, webhook_events="job,page,batch", webhook_format="cloudevents")
    job, kinds = end(web, job_id), []
    for wanted in ("", event_id(job), batch_event(job)):
        run_webhook(job, wanted) if wanted else run_pages(job_id)
        event = as_event(site)
        kinds.append((event.get_type(), event.get_source()))
        assert event.get_id() == site.calls[-1].headers["webhook-id"]
        assert event.get_time() is not None
        assert isinstance(event.get_data(), dict)
    assert kinds == [
        ("pagefan.pages.ended", f"/api/v1/jobs/{job_id}"),
        ("pagefan.job.succeeded", f"/api/v1/jobs/{job_id}"),
        ("pagefan.batch.ended", "/api/v1/batches/together"),
    ]
    assert sent


@pytest.mark.parametrize("options", [{"webhook_events": "end"}, {"webhook_events": "job,"}, {"webhook_format": "xml"}])
def test_unknown_events_and_formats_are_422(web: WebService, site: Site, options: dict[str, Any]) -> None:
    check_problem(web.upload(webhook_url=f"{site.url}/hook", **options), 422, "invalid-options")


def test_labels_are_shown_on_the_page_of_the_job(web: WebService) -> None:
    job_id = web.submit(metadata='{"customer": "<42>"}', tags="invoices")
    shown = web.client.get(f"/jobs/{job_id}").text
    assert "customer: &lt;42&gt;" in shown
    assert 'href="/jobs?tag=invoices"' in shown
