"""Text of pages that are being read: to listeners between the other events, and to those who ask for the page."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from services import wait_until
from web_service import WebService, page, read_events, served

from web.api import partials
from web.api.changes import get_changes
from web.api.partials import Feed


def watched(web: WebService, job_id: str) -> bool:
    return bool(web.ledger.redis.exists(f"pf:watched:{job_id}"))


def test_growing_text_of_a_page_is_sent_between_the_events_and_moves_no_cursor(web: WebService) -> None:
    job_id = web.open(3)
    with served(web) as url, httpx.stream("GET", f"{url}/api/v1/jobs/{job_id}/events", timeout=10) as answer:
        events = read_events(answer.iter_lines())
        wait_until(lambda: watched(web, job_id), 5)
        reading = web.begin(job_id, 2, "half a")
        found = next(e for e in events if e["event"] == "partial")
        assert found == {"event": "partial", "data": {"page_number": 2, "text": "half a"}}
        reading.begin([page(job_id, 2)])(0, "half a page")
        reading.flush()
        assert next(e for e in events if e["event"] == "partial")["data"]["text"] == "half a page"
        web.read(job_id, 2)
        reading.end(page(job_id, 2))
        web.client.delete(f"/api/v1/jobs/{job_id}")
        assert "partial" not in [e["event"] for e in events]


def test_partial_text_is_read_once_for_all_listeners(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = web.open(3)
    made: list[str] = []
    encode = partials.encode_partials

    def noted_encode(*given: Any) -> str:
        made.append(encode(*given))
        return made[-1]

    monkeypatch.setattr(partials, "encode_partials", noted_encode)
    with get_changes().listen(job_id) as topic:
        assert topic
        job = web.ledger.job(job_id)
        assert job
        feeds = [Feed(topic) for _ in range(50)]
        assert [feed.look(job) for feed in feeds] == [""] * 50
        web.begin(job_id, 3, "three")
        wait_until(lambda: topic.readings, 5)
        assert {feed.look(job) for feed in feeds} == {'event: partial\ndata: {"page_number": 3, "text": "three"}\n\n'}
        assert [feed.look(job) for feed in feeds] == [""] * 50
    assert len(made) == 1


def test_partial_text_that_nobody_wants_is_not_asked_for(web: WebService) -> None:
    job_id = web.open(1)
    with served(web) as url, httpx.stream("GET", f"{url}/api/v1/jobs/{job_id}/events?partial=0") as answer:
        events = read_events(answer.iter_lines())
        assert next(events)["event"] == "job"
        web.begin(job_id, 1, "not wanted")
        assert next(events)["event"] == "page"
        assert not watched(web, job_id)
        web.client.delete(f"/api/v1/jobs/{job_id}")
        assert "partial" not in [e["event"] for e in events]


def test_running_page_shows_its_text_so_far_and_no_other_page_does(web: WebService) -> None:
    job_id = web.open(2)
    assert web.get(f"/jobs/{job_id}/pages/1").json["text"] == ""
    reading = web.begin(job_id, 1, "so far")
    assert web.get(f"/jobs/{job_id}/pages/1").json["text"] == "so far"
    assert web.get(f"/jobs/{job_id}/pages/2").json["text"] == ""
    web.read(job_id, 1, "all of it")
    assert web.get(f"/jobs/{job_id}/pages/1").json["text"] == "all of it"
    reading.end(page(job_id, 1))
    assert not web.ledger.redis.keys("pf:partial:*")
