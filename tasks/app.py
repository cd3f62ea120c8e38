"""The Celery application: queues and reliability settings.

The values and the reasons for them were measured on Celery 5.7, kombu 5.7 and Redis 7; see README, "Why".
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from kombu import Exchange, Queue

from tasks.broker import FIRST, NORMAL, PREFIX, PRIORITIES, EventBursts, Lease, celery_url, use_for_redis_urls
from tasks.lanes import GPU, queues
from tasks.logs import configure_logging
from tasks.settings import get_settings
from tasks.unpacking import CheckedTask
from workers.private import UMASK

INCLUDE = [
    "tasks.worker",
    "tasks.pipeline",
    "tasks.retention",
    "tasks.reconcile",
    "tasks.assemble.searchable",
    "tasks.assemble.webhooks",
    "tasks.assemble.page_webhooks",
    "tasks.assemble.targets",
]

app = Celery("pagefan", include=INCLUDE, task_cls=CheckedTask)


def configure(app: Celery) -> None:
    settings = get_settings()
    use_for_redis_urls()
    app.conf.update(
        broker_url=celery_url(settings.redis_url),
        result_backend=celery_url(settings.redis_url),
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
        task_queues=[Queue(name, Exchange(name), routing_key=name) for name in queues()],
        task_routes={"generate_page": {"queue": GPU}, "answer_document": {"queue": GPU}},
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
    """The first thing that a worker or beat does: what it writes from now on, beat's schedule too, is its own alone."""
    os.umask(UMASK)
    settings = get_settings()
    configure_logging(settings.log_level, settings.log_format)


app.steps["consumer"].update([Lease, EventBursts])
