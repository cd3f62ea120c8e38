"""/readyz tells when work waits and nothing of its kind moves; on a real Redis, with messages as Celery sends them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from kombu import Consumer, Message, Queue
from services import Service, make_pdf
from web_service import WebService, body_of, page

from tasks.app import app
from tasks.broker import celery_url
from tasks.lanes import queues
from tasks.pipeline import assemble_document, generate_page, send_split
from tasks.reconcile import reconcile
from web.stack.stack import Stack

JOB = "0123456789abcdef"
LATER_S = 100.0  # more than STALLED_S


@pytest.fixture
def ready(web: WebService) -> WebService:
    for queue in queues():
        web.ledger.report_alive(queue, "test", busy=0.0)
    return web


@pytest.fixture
def later(ready: WebService, monkeypatch: pytest.MonkeyPatch) -> WebService:
    """What is done in the test is long ago for /readyz."""
    monkeypatch.setattr("tasks.standstill.time", SimpleNamespace(time=lambda: time.time() + LATER_S))
    return ready


def says(web: WebService) -> dict[str, str]:
    """What /readyz says of the queues."""
    answer = web.client.get("/readyz")
    checks: dict[str, str] = body_of(answer)["checks"]
    assert answer.status_code == (200 if set(checks.values()) == {"ok"} else 503)
    return {queue: checks[f"{queue}_queue"] for queue in queues()}


def send_page() -> None:
    generate_page.apply_async((page(JOB, 1).to_json(),))


@pytest.fixture
def held(redis_url: str) -> Iterator[list[Message]]:
    """The messages of both queues, as a worker holds them that has taken them."""
    messages: list[Message] = []
    with app.connection_for_read(celery_url(redis_url)) as connection:
        consumer = Consumer(connection.default_channel, list(map(Queue, queues())), on_message=messages.append)
        consumer.consume()
        send_split(JOB)
        while not messages:
            connection.drain_events(timeout=5)
        yield messages
        connection.default_channel.qos._delivered.clear()


def test_work_that_came_just_now_is_no_standstill(ready: WebService) -> None:
    send_split(JOB)
    send_page()
    assert says(ready) == {"cpu": "ok", "gpu": "ok"}


def test_empty_queues_stand_still_for_ever_and_are_well(later: WebService) -> None:
    assert says(later) == {"cpu": "ok", "gpu": "ok"}


def test_queue_from_which_nobody_takes_is_named_with_the_age(later: WebService) -> None:
    send_split(JOB)
    assert says(later) == {"cpu": "stands still: work waits, and nothing has moved for 100 s", "gpu": "ok"}
    send_page()
    assert says(later)["gpu"] == "stands still: work waits, and nothing has moved for 100 s"


@pytest.mark.parametrize("priority", [0, 3, 6, 9])
def test_work_of_each_priority_counts(later: WebService, priority: int) -> None:
    assemble_document.apply_async((JOB, 1), priority=priority)
    assert says(later)["cpu"].startswith("stands still")


def test_long_queue_that_moves_is_well(ready: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    send_split(JOB)
    send_page()
    monkeypatch.setattr("tasks.standstill.time", SimpleNamespace(time=lambda: time.time() + LATER_S))
    ready.ledger.redis.hset("pf:moved", mapping=dict.fromkeys(queues(), time.time() + LATER_S - 5))
    assert says(ready) == {"cpu": "ok", "gpu": "ok"}


def test_pages_wait_well_while_an_engine_generates(later: WebService) -> None:
    send_page()
    later.ledger.report_alive("gpu", "another", busy=0.7)
    assert says(later)["gpu"] == "ok"


def test_ready_page_that_nobody_claims_stands_still_though_its_message_was_taken(later: WebService) -> None:
    job_id = later.open(2)
    later.ledger.move(page(job_id, 1), "ready")
    later.ledger.offer(page(job_id, 1))
    assert says(later)["gpu"].startswith("stands still: work waits")
    later.ledger.take("a worker", most=1, ttl_s=4)
    assert says(later)["gpu"] == "ok"


def test_claim_of_a_page_moves_the_queue_of_the_pages(ready: WebService) -> None:
    job_id = ready.open(1)
    ready.ledger.move(page(job_id, 1), "ready")
    ready.ledger.offer(page(job_id, 1))
    before = time.time()
    ready.ledger.take("a worker", most=1, ttl_s=4)
    assert ready.ledger.moved(queues())["gpu"] >= before - 1
    assert ready.ledger.moved(queues())["cpu"] == 0.0


def test_what_a_living_worker_holds_may_take_its_time(later: WebService, held: list[Message]) -> None:
    later.ledger.redis.zadd("pf:celery:unacked_index", {held[0].delivery_tag: time.time() + LATER_S - 1})
    assert says(later) == {"cpu": "ok", "gpu": "ok"}


def test_what_a_dead_worker_held_and_nobody_hands_out_again_is_told(later: WebService, held: list[Message]) -> None:
    """As when a worker was killed that held kombu's mutex of redelivery."""
    assert held
    assert says(later) == {
        "cpu": "stands still: what a worker held that is gone has waited for 96 s",  # a lease is 4 s
        "gpu": "ok",
    }


def test_reconciler_that_nobody_sends_out_any_more_is_told(
    ready: WebService, monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    monkeypatch.setattr("tasks.standstill.time", SimpleNamespace(time=lambda: time.time() + LATER_S))
    assert body_of(ready.client.get("/readyz"))["checks"]["reconciler"] == "ok", "it has yet to run"
    reconcile()
    answer = ready.client.get("/readyz")
    assert answer.status_code == 503
    assert body_of(answer)["checks"]["reconciler"] == "has not looked for what is lost for 100 s"
    monkeypatch.undo()
    monkeypatch.setenv("REDIS_URL", redis_url)
    assert body_of(ready.client.get("/readyz"))["checks"]["reconciler"] == "ok"


def test_one_look_costs_the_same_however_much_waits(ready: WebService) -> None:
    def num_commands() -> int:
        before = ready.ledger.redis.info("stats")["total_commands_processed"]
        ready.client.get("/readyz")
        return int(ready.ledger.redis.info("stats")["total_commands_processed"]) - int(before)

    send_page()
    num_commands()  # connections are made
    few = num_commands()
    for number in range(200):
        send_page()
        ready.ledger.report_alive("gpu", f"worker {number}", busy=0.0)
    assert num_commands() == few


def test_workers_are_asked_for_once_a_request(ready: WebService) -> None:
    with ready.ledger.redis.monitor() as monitor:
        ready.client.get("/readyz")
        ready.ledger.redis.echo("the end")
        seen: list[str] = []
        while not (seen and "the end" in seen[-1]):
            seen.append(monitor.next_command()["command"])
    for queue in queues():
        assert sum(f'"queue": "{queue}"' in command.replace("\\", "") for command in seen) == 1


@pytest.mark.e2e
def test_workers_note_that_their_queues_move(stack: Stack) -> None:
    before = time.time()
    service = Service(stack)
    service.wait(service.submit(make_pdf(3)))
    deadline = time.monotonic() + 10
    while not all(moved_at >= before for moved_at in service.ledger.moved(queues()).values()):
        assert time.monotonic() < deadline, "no worker says that it took something"
        time.sleep(0.1)
    service.close()
