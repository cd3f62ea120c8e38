"""Task events, which Flower shows: all of them arrive, and few publications carry them."""

from __future__ import annotations

import json
import time
from base64 import b64decode

from services import Service, make_pdf, wait_until

from tasks.broker import EVENTS_S
from web.stack.stack import Stack

PAGES = 40
BUFFER_LIMIT = 24  # of celery.events.EventDispatcher


def test_every_event_arrives_and_many_travel_together(stack: Stack) -> None:
    service = Service(stack)
    events: list[dict[str, str]] = []
    num_messages = 0

    def listen() -> bool:
        nonlocal num_messages
        while message := pubsub.get_message(ignore_subscribe_messages=True):
            num_messages += 1
            events.extend(json.loads(b64decode(json.loads(message["data"])["body"])))
        return num_ended("succeeded") >= 2 * PAGES

    def num_ended(how: str) -> int:
        return sum(event["type"] == f"task-{how}" and event["uuid"].startswith(f"{job_id}.1-p") for event in events)

    with service.ledger.redis.pubsub() as pubsub:
        pubsub.psubscribe("*celeryev/task.multi")
        wait_until(lambda: pubsub.get_message(), 10, "the subscription")
        started = time.monotonic()
        job_id = service.submit(make_pdf(PAGES))
        wait_until(listen, 60, "the end of each page's two tasks to be told")
        seconds = time.monotonic() - started
    service.close()
    assert num_ended("failed") == num_ended("retried") == 0
    num_workers = 2
    assert num_messages <= num_workers * (seconds / EVENTS_S + 2) + len(events) / BUFFER_LIMIT
