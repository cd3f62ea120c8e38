"""Messages held when Redis goes away, with the real kombu and a real Redis."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import plain_env
from kombu import Connection, Consumer, Exchange, Message, Queue
from kombu.common import ignore_errors

from tasks.app import app
from tasks.broker import Transport
from web.stack.stack import Stack


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Stack]:
    with Stack(plain_env(), tmp_path, counts={}) as stack:
        yield stack


@pytest.fixture
def lost(redis_server: Stack) -> Iterator[tuple[Connection, Message]]:
    """A connection like a worker's, and a message it had not yet acknowledged when Redis died."""
    connection = app.connection_for_read(redis_server.redis_url)
    connection.SimpleQueue("lost").put({})
    held: list[Message] = []
    Consumer(connection.default_channel, [Queue("lost")], on_message=held.append).consume()
    mailbox = Queue("mailbox", Exchange("mailbox", type="fanout"), auto_delete=True)
    Consumer(connection.channel(), [mailbox], on_message=held.append).consume()
    with suppress(TimeoutError):
        while True:  # until it waits for the next message
            connection.drain_events(timeout=0.1)
    (message,) = held
    redis_server.kill("redis", signal.SIGKILL)
    redis_server.processes["redis"].end_group()
    yield connection, message
    message.channel.qos._delivered.clear()


def give_up(connection: Connection) -> None:
    """Close it as Celery's consumer does after an error."""
    with suppress(Exception):
        connection.collect()
    ignore_errors(connection, connection.close)


def test_broker_urls_of_redis_use_it(redis_url: str) -> None:
    assert all(
        isinstance(app.connection_for_write(url).transport, Transport) for url in (redis_url, "rediss://nowhere")
    )


def test_connection_with_held_messages_can_be_given_up(lost: tuple[Connection, Message]) -> None:
    connection, message = lost
    give_up(connection)
    assert message.channel.closed


@pytest.mark.parametrize("settle", [Message.ack_log_error, Message.reject_log_error])
def test_settling_a_message_of_a_lost_connection_does_not_end_the_worker(
    settle: Callable[..., None], lost: tuple[Connection, Message], redis_server: Stack
) -> None:
    connection, message = lost
    give_up(connection)
    redis_server.restart("redis")
    settle(message, logging.getLogger(), connection.connection_errors)
    assert not message.acknowledged
