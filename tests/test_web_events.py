"""Server-sent events: every change once, texts in page order, and a break in the line loses and repeats nothing."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from services import wait_until
from web_service import Event, WebService, page, read_events, served, web_service

from web.stack.redis_server import free_port


def listen(web: WebService, job_id: str, since: str = "", **query: Any) -> list[Event]:
    """All events until the server ends the stream."""
    answer = web.get(f"/jobs/{job_id}/events", query_string=query, headers={"Last-Event-ID": since})
    assert answer.status_code == 200, answer.text
    assert answer.content_type.startswith("text/event-stream")
    return list(read_events(iter(answer.text.split("\n"))))


def texts(events: list[Event]) -> list[tuple[int, str]]:
    return [(e["data"]["page_number"], e["data"]["text"]) for e in events if e["event"] == "text"]


def finished_job(web: WebService, num_pages: int, order: list[int]) -> str:
    job_id = web.open(num_pages)
    for number in order:
        web.read(job_id, number)
    web.finish(job_id)
    return job_id


def test_texts_come_in_page_order_whatever_the_order_of_work(web: WebService) -> None:
    job_id = finished_job(web, 5, [3, 1, 5, 4, 2])
    events = listen(web, job_id)
    assert texts(events) == [(number, f"page {number}") for number in range(1, 6)]
    assert [e["data"]["page_number"] for e in events if e["event"] == "page"] == [3, 1, 5, 4, 2]
    assert events[-1]["event"] == "end"
    assert events[-2]["data"]["state"] == "succeeded"


def test_first_page_is_sent_while_others_wait(web: WebService) -> None:
    job_id = web.open(200)
    web.read(job_id, 1)
    with served(web) as url, httpx.stream("GET", f"{url}/api/v1/jobs/{job_id}/events", timeout=10) as answer:
        events = read_events(answer.iter_lines())
        assert texts([next(e for e in events if e["event"] == "text")]) == [(1, "page 1")]
        web.read(job_id, 3)
        assert next(e for e in events if e["event"] == "page")["data"]["page_number"] == 3
        web.read(job_id, 2)
        later = [next(events) for _ in range(4)]
        assert [name for e in later if (name := e["event"]) != "job"] == ["page", "text", "text"]
        assert texts(later) == [(2, "page 2"), (3, "page 3")]
        web.client.delete(f"/api/v1/jobs/{job_id}")
        assert [e["event"] for e in events][-1] == "end"


def test_every_break_is_resumed_without_loss_or_repeat(web: WebService) -> None:
    job_id = finished_job(web, 6, [2, 1, 6, 3, 5, 4])
    whole = listen(web, job_id)
    for cut, last in enumerate(whole[:-1]):
        rest = listen(web, job_id, since=last["id"]) if not is_over(web, job_id, last["id"]) else []
        both = [e for e in whole[: cut + 1] + rest if e["event"] in ("page", "text")]
        assert both == [e for e in whole if e["event"] in ("page", "text")], cut


def is_over(web: WebService, job_id: str, since: str) -> bool:
    return bool(web.get(f"/jobs/{job_id}/events", headers={"Last-Event-ID": since}).status_code == 204)


def test_listener_that_has_seen_all_is_told_to_stay_away(web: WebService) -> None:
    job_id = finished_job(web, 2, [1, 2])
    assert is_over(web, job_id, listen(web, job_id)[-1]["id"])
    assert not is_over(web, job_id, "0:0")


def test_repaired_page_is_sent_again_and_no_other(web: WebService) -> None:
    job_id = web.open(3)
    web.read(job_id, 1)
    web.fail(job_id, 2)
    web.read(job_id, 3)
    web.finish(job_id)
    seen = listen(web, job_id)
    assert web.client.post(f"/api/v1/jobs/{job_id}/retry", json={"pages": "failed"}).status_code == 202
    web.read(job_id, 2, "mended", run=2)
    web.finish(job_id)
    assert texts(listen(web, job_id, since=seen[-1]["id"])) == [(2, "mended")]


def test_without_texts_only_states_are_sent(web: WebService) -> None:
    job_id = finished_job(web, 3, [1, 2, 3])
    events = listen(web, job_id, text="0")
    assert {e["event"] for e in events} == {"page", "job", "end"}
    assert "text" not in events[0]["data"]


@pytest.mark.parametrize("since", ["", "0", "x:y", "9" * 40, "-1:0", "1:2:3"])
def test_made_up_event_id_starts_somewhere_harmless(web: WebService, since: str) -> None:
    job_id = finished_job(web, 1, [1])
    answer = web.get(f"/jobs/{job_id}/events", headers={"Last-Event-ID": since})
    assert answer.status_code in (200, 204)


def test_listener_of_a_deleted_job_is_told(web: WebService) -> None:
    job_id = web.open(1)
    timer = threading.Timer(0.3, web.client.delete, [f"/api/v1/jobs/{job_id}?purge=1"])
    timer.start()
    events = listen(web, job_id)
    timer.join()
    assert events[-1]["event"] == "end"
    assert events[-1]["data"]["state"] in ("deleted", "cancelled")


def test_unopened_and_cancelled_jobs_end_their_streams(web: WebService) -> None:
    failed = web.submit()
    web.ledger.begin_split(failed)
    web.ledger.end_job(failed, "failed", error={"reason": "corrupt", "detail": "The file is damaged."})
    assert listen(web, failed)[-1]["data"]["state"] == "failed"
    cancelled = web.open(3)
    web.read(cancelled, 2)
    web.client.delete(f"/api/v1/jobs/{cancelled}")
    events = listen(web, cancelled)
    assert [number for number, _ in texts(events)] == [1, 2, 3]
    assert is_over(web, cancelled, events[-1]["id"])


def test_finished_job_that_redis_has_forgotten_still_streams(web: WebService) -> None:
    job_id = finished_job(web, 3, [2, 3, 1])
    web.ledger.redis.flushdb()
    assert texts(listen(web, job_id)) == [(number, f"page {number}") for number in (1, 2, 3)]


def test_too_many_listeners_are_refused_and_leave_room_for_others(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_service(redis_url, tmp_path, monkeypatch, web_threads=6) as web, served(web) as url:
        job_id = web.open(1)
        address = f"{url}/api/v1/jobs/{job_id}/events"
        with httpx.stream("GET", address) as first, httpx.stream("GET", address) as second:
            assert first.status_code == second.status_code == 200
            third = httpx.get(address)
            assert third.status_code == 503
            assert third.json()["type"] == "urn:pagefan:problem:too-many-listeners"
            assert httpx.get(f"{url}/api/v1/jobs/{job_id}").status_code == 200
        web.client.delete(f"/api/v1/jobs/{job_id}")  # the next event finds both listeners gone
        wait_until(lambda: httpx.get(address).is_success, 10)


def test_wait_costs_no_listener_more_than_its_time(web: WebService) -> None:
    job_id = web.open(1)
    started = time.monotonic()
    threads = [threading.Thread(target=web.get, args=(f"/jobs/{job_id}?wait=1",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - started < 4
    assert page(job_id, 1).index == 0


def test_line_is_kept_alive_while_nothing_happens(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.api.events.HEARTBEAT_S", 0.1)
    job_id = web.open(2)
    with served(web) as url, httpx.stream("GET", f"{url}/api/v1/jobs/{job_id}/events", timeout=10) as answer:
        beats = (line for line in answer.iter_lines() if line.startswith(":"))
        assert next(beats) == next(beats) == ": still here"
        web.client.delete(f"/api/v1/jobs/{job_id}")


NGINX = """
daemon off; pid nginx.pid; error_log stderr;
events {{}}
http {{
  access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u;
  scgi_temp_path s;
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {url}; proxy_set_header Host $http_host; }} }}
}}
"""


def test_events_pass_a_proxy_that_buffers_as_they_come(web: WebService, url: str, tmp_path: Path) -> None:
    """nginx as it comes from its packagers holds answers back, unless it is told not to by the answer."""
    nginx = shutil.which("nginx")
    if nginx is None:
        pytest.skip("nginx is not on the PATH")
    port = free_port("127.0.0.1")
    (tmp_path / "nginx.conf").write_text(NGINX.format(port=port, url=url))
    job_id = web.open(3)
    web.read(job_id, 1)
    with subprocess.Popen([nginx, "-p", str(tmp_path), "-c", "nginx.conf", "-e", "stderr"]) as proxy:
        try:
            wait_until(lambda: is_listening(port), 10, "nginx")
            address = f"http://127.0.0.1:{port}/api/v1/jobs/{job_id}/events"
            with httpx.stream("GET", address, timeout=10) as answer:
                events = read_events(answer.iter_lines())
                assert texts([next(e for e in events if e["event"] == "text")]) == [(1, "page 1")]
                web.read(job_id, 2)
                assert texts([next(e for e in events if e["event"] == "text")]) == [(2, "page 2")]
                web.client.delete(f"/api/v1/jobs/{job_id}")
                assert [e["event"] for e in events][-1] == "end"
        finally:
            proxy.terminate()


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
