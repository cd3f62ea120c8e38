"""The Celery application: queues, reliability settings and the lease that keeps running tasks ours.

The values and the reasons for them were measured on Celery 5.7, kombu 5.7 and Redis 7; see README, "Why".
"""

from __future__ import annotations

import logging
import time
from typing import Any, ClassVar

import redis
from celery import Celery, bootsteps
from celery.signals import setup_logging
from kombu import Exchange, Queue

from tasks.broker import use_for_redis_urls
from tasks.logs import configure_logging
from tasks.services import get_ledger
from tasks.settings import get_settings, worker_queues
from tasks.unpacking import CheckedTask

logger = logging.getLogger(__name__)

PREFIX = "pf:celery:"
FIRST, URGENT, NORMAL, LOW = 0, 3, 6, 9  # Redis takes the smallest number first
PRIORITIES = [FIRST, URGENT, NORMAL, LOW]
EVENTS_S = 0.25  # how late Flower may be

app = Celery(
    "pagefan",
    include=["tasks.pipeline", "tasks.reconcile", "tasks.assemble.searchable", "tasks.assemble.webhooks"],
    task_cls=CheckedTask,
)


def configure(app: Celery) -> None:
    settings = get_settings()
    use_for_redis_urls()
    app.conf.update(
        broker_url=settings.redis_url,
        result_backend=settings.redis_url,
        broker_transport_options={
            "visibility_timeout": settings.visibility_timeout_s,
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
            "priority_steps": PRIORITIES,
            "queue_order_strategy": "priority",
            "global_keyprefix": PREFIX,
            "socket_timeout": 30,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 25,
        },
        result_backend_transport_options={"global_keyprefix": PREFIX, "retry_policy": {"timeout": 5.0}},
        task_queues=[Queue(name, Exchange(name), routing_key=name) for name in ("cpu", "gpu")],
        task_routes={"generate_page": {"queue": "gpu"}},
        task_default_queue="cpu",
        task_default_priority=NORMAL,
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        worker_pool_start_method="spawn",  # a forked child could not use CUDA
        worker_proc_alive_timeout=600,  # a child that loads a model is not dead
        worker_cancel_long_running_tasks_on_connection_loss=False,  # True loses tasks when Redis restarts
        worker_send_task_events=True,
        worker_hijack_root_logger=False,
        result_expires=86_400,
        result_chord_expires=86_400,  # renewed by every page
        result_chord_join_timeout=30,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        beat_schedule={
            "reconcile": {
                "task": "reconcile",
                "schedule": settings.reconcile_s,
                "options": {"expires": settings.reconcile_s, "priority": FIRST},
            },
            "expire_jobs": {"task": "expire_jobs", "schedule": 600.0, "options": {"expires": 600.0}},
        },
    )


configure(app)


@setup_logging.connect
def on_setup_logging(**_: Any) -> None:
    settings = get_settings()
    configure_logging(settings.log_level, settings.log_format)


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
    while it is worked on. A worker that dies stops renewing, and its messages move on. Relies on kombu's
    `qos._delivered`, pinned in pyproject.toml and held by a test.
    """

    requires: ClassVar = {"celery.worker.consumer.tasks:Tasks"}

    @property
    def period_s(self) -> float:
        return get_settings().visibility_timeout_s / 4

    def act(self, consumer: Any) -> None:
        channel = consumer.task_consumer.channel
        tags = list(channel.qos._delivered)
        try:
            with channel.conn_or_acquire() as client:
                if tags:
                    client.zadd(channel.qos.unacked_index_key, dict.fromkeys(tags, time.time()), xx=True)
            if "cpu" in worker_queues():
                get_ledger().report_alive("cpu", consumer.hostname)
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


app.steps["consumer"].update([Lease, EventBursts])
