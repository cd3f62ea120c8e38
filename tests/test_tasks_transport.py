"""Messages held when Redis goes away, with the real kombu and a real Redis."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import plain_env
from kombu import Connection, Consumer, Exchange, Message, Queue
from kombu.common import ignore_errors

from tasks.app import app
from tasks.broker import Transport, celery_url
from web.stack.stack import Stack


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Stack]:
    with Stack(plain_env(), tmp_path, counts={}) as stack:
        yield stack


@pytest.fixture
def lost(redis_server: Stack) -> Iterator[tuple[Connection, Message]]:
    """A connection like a worker's, and a message it had not yet acknowledged when Redis died."""
    connection = app.connection_for_read(celery_url(redis_server.redis_url))
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


@pytest.mark.parametrize("url", ["redis://nowhere", "rediss://nowhere", celery_url("unix:///nowhere")])
def test_broker_urls_of_redis_use_it(url: str) -> None:
    assert isinstance(app.connection_for_write(url).transport, Transport)


@pytest.mark.parametrize(
    ("redis_url", "wanted"),
    [
        ("unix://:pass@/a/b%20c/redis.sock?db=3", "redis+socket://:pass@/a/b%20c/redis.sock?virtual_host=3"),
        ("unix:///redis.sock", "redis+socket:///redis.sock?virtual_host=0"),
        ("redis://:pass@host:1/2", "redis://:pass@host:1/2"),
        ("rediss://host/0", "rediss://host/0"),
    ],
)
def test_celery_gets_the_url_in_its_own_words(redis_url: str, wanted: str) -> None:
    assert celery_url(redis_url) == wanted


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


def test_redelivery_does_not_wait_for_the_mutex_of_a_dead_worker(redis_url: str) -> None:
    """kombu takes a mutex before it looks for lapsed leases; a worker killed just then would hold it for 300 s."""
    with app.connection_for_read(celery_url(redis_url)) as connection:
        channel = connection.default_channel
        channel.client.delete(*channel.client.keys("*overdue*"), channel.unacked_key, channel.unacked_index_key)
        connection.SimpleQueue("overdue").put({"number": 7})
        held: list[Message] = []
        Consumer(channel, [Queue("overdue")], on_message=held.append).consume()
        while not held:
            connection.drain_events(timeout=5)
        (message,) = held
        channel.client.set(channel.unacked_mutex_key, "a dead worker", ex=300)
        channel.client.zadd(channel.unacked_index_key, {message.delivery_tag: 1.0})
        for _ in range(2):
            channel.qos.restore_visible(num=channel.unacked_restore_limit, interval=channel.unacked_restore_throttle)
        assert channel.client.llen("overdue") == 1, "handed out again, once"
        assert channel.client.hlen(channel.unacked_key) == 0
        channel.qos._delivered.clear()


def test_lease_that_has_not_lapsed_is_left_alone(redis_url: str) -> None:
    with app.connection_for_read(celery_url(redis_url)) as connection:
        qos = connection.default_channel.qos
        client = connection.default_channel.client
        client.delete(qos.unacked_key, qos.unacked_index_key)
        client.zadd(qos.unacked_index_key, {"mine": time.time()})
        qos.restore_visible()
        assert client.zrange(qos.unacked_index_key, 0, -1) == [b"mine"]
        client.delete(qos.unacked_index_key)
