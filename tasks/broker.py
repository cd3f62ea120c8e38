"""What kombu's Redis transport lacks: a lease, redelivery that no dead worker holds up, bursts of events, closed
channels that say so. The room of its keys.

Relies on kombu's `qos._delivered`, `QoS.restore_by_tag` and `Channel._connparams`, pinned in pyproject.toml and held by
tests.
"""

from __future__ import annotations

import json
import logging
import time
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import redis
from celery import bootsteps
from celery.signals import before_task_publish
from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis
from redis.exceptions import OutOfMemoryError, ReadOnlyError

from tasks.lanes import queues
from tasks.marks import worker_queues
from tasks.services import get_ledger
from tasks.settings import get_settings
from workers.processes import process_facts

logger = logging.getLogger(__name__)

PREFIX = "pf:celery:"
FIRST, URGENT, NORMAL, LOW = 0, 3, 6, 9  # Redis takes the smallest number first
PRIORITIES = [FIRST, URGENT, NORMAL, LOW]
PRIORITY_SEPARATOR = "\x06\x16"  # kombu.transport.redis.Channel.sep
# of Redis, not of a job: what failed by it waits until Redis is back, can be written again, or has room
AWAY = (redis.ConnectionError, redis.TimeoutError, ReadOnlyError, OutOfMemoryError, OperationalError)
EVENTS_S = 0.25  # how late Flower may be
UNACKED, UNACKED_INDEX = f"{PREFIX}unacked", f"{PREFIX}unacked_index"  # kombu.transport.redis.Channel
SENT_AT = "sent_at"  # a header of ours: when the message was published, in Unix seconds


@before_task_publish.connect
def note_time(headers: dict[str, Any], **_: Any) -> None:
    headers[SENT_AT] = time.time()


class QoS(kombu_redis.QoS):
    """Hands out overdue messages again without kombu's mutex, which a killed worker holds for five minutes.

    The mutex only spares work: each message is moved in a transaction, so two workers that look at once move it once.
    """

    def restore_visible(self, start: int = 0, num: int | None = None, interval: int = 1) -> None:
        """Put the messages back whose lease has lapsed, up to `num` of them from the `start`; at every call."""
        del interval
        with self.channel.conn_or_acquire() as client:
            lapsed = time.time() - self.visibility_timeout
            tags = client.zrange(self.unacked_index_key, 0, lapsed, byscore=True, offset=start, num=num or -1)
            for tag in tags:
                self.restore_by_tag(tag, client)


class Channel(kombu_redis.Channel):
    """A channel that says that its connection is lost.

    A task that ends after its worker lost Redis acknowledges on the channel of the lost connection. kombu 5.7 then
    makes a new client from a connection that is None; Celery, which is ready for connection errors only, would end the
    worker of the AttributeError. Nothing is lost by the refusal: the lease of the message lapses, and it is handed out
    again.
    """

    QoS = QoS

    def _connparams(self, **options: Any) -> dict[str, Any]:
        if self.connection is None or self.connection.client is None:
            raise redis.ConnectionError("the connection of this channel to Redis was lost")
        return dict(super()._connparams(**options))


class Transport(kombu_redis.Transport):
    Channel = Channel


def use_for_redis_urls() -> None:
    """Make it the transport of broker URLs that begin with redis:// or rediss://, for the whole process."""
    TRANSPORT_ALIASES["redis"] = TRANSPORT_ALIASES["rediss"] = f"{__name__}:{Transport.__name__}"


def celery_url(redis_url: str) -> str:
    """The URL as Celery wants it, which has other words than redis-py for a socket and for the database behind it."""
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    database = dict(parse_qsl(parts.query)).get("db", "0")
    return f"redis+socket://{parts.netloc}{parts.path}?virtual_host={database}"


class Repeated(bootsteps.StartStopStep):
    """Calls `act` with the consumer every `period_s` seconds while the worker has a connection."""

    def __init__(self, consumer: Any, **options: Any) -> None:
        self.timer: Any = None
        super().__init__(consumer, **options)

    def start(self, consumer: Any) -> None:
        self.timer = consumer.timer.call_repeatedly(self.period_s, self.act, (consumer,))

    def stop(self, consumer: Any) -> None:  # noqa: ARG002
        if self.timer:
            self.timer.cancel()
            self.timer = None


class Lease(Repeated):
    """Renews the visibility of the messages this worker holds, so that the timeout can be a few seconds.

    Redis has no lease of its own: a message that is unacknowledged for `visibility_timeout` goes to another worker even
    while it is worked on. A worker that dies stops renewing, and its messages move on. Notes too that the queue moves,
    whenever other messages are held than at the look before. Relies on kombu's `qos._delivered`, pinned in
    pyproject.toml and held by a test.
    """

    requires: ClassVar = {"celery.worker.consumer.tasks:Tasks"}

    @property
    def period_s(self) -> float:
        return get_settings().visibility_timeout_s / 4

    def start(self, consumer: Any) -> None:
        self.seen: set[str] = set()  # what was held at the last look
        super().start(consumer)

    def act(self, consumer: Any) -> None:
        channel = consumer.task_consumer.channel
        tags = set(channel.qos._delivered)
        try:
            with channel.conn_or_acquire() as client:
                if tags:
                    client.zadd(channel.qos.unacked_index_key, dict.fromkeys(tags, time.time()), xx=True)
            if "cpu" in worker_queues():
                get_ledger().report_alive("cpu", consumer.hostname, **process_facts())
            if tags != self.seen:
                get_ledger().note_moved(worker_queues())
                self.seen = tags
        except (*channel.connection_errors, redis.RedisError) as exc:
            logger.warning("could not renew the lease of %d tasks: %s", len(tags), exc)


class EventBursts(Repeated):
    """Publishes task events together four times a second, where Celery does so at every turn of its loop.

    A publication costs a worker about as much as taking a task.
    """

    requires: ClassVar = {"celery.worker.consumer.events:Events"}
    period_s = EVENTS_S

    def start(self, consumer: Any) -> None:
        consumer.event_dispatcher.on_send_buffered = None
        super().start(consumer)

    def act(self, consumer: Any) -> None:
        consumer.event_dispatcher.flush()

    def shutdown(self, consumer: Any) -> None:
        if consumer.event_dispatcher:
            self.act(consumer)


def queue_keys(queue: str) -> list[str]:
    """The Redis lists of a queue, one for each priority."""
    return [f"{PREFIX}{queue}{PRIORITY_SEPARATOR}{step}" if step else PREFIX + queue for step in PRIORITIES]


def live_task_ids(client: redis.Redis) -> set[str]:
    """Ids of all tasks that wait in a queue or are held by a worker. Their number is bounded by the jobs' windows."""
    ids: set[str] = set()
    for key in (key for queue in queues() for key in queue_keys(queue)):
        ids.update(message_id(json.loads(raw)) for raw in client.lrange(key, 0, -1))
    ids.update(message_id(json.loads(raw)[0]) for raw in client.hvals(UNACKED))
    return ids


def message_id(message: dict[str, dict[str, str]]) -> str:
    return message["headers"]["id"]
