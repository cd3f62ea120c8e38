"""What a worker process does when it starts and stops: a GPU worker's child loads its engine before it takes pages."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from celery.signals import (
    celeryd_after_setup,
    worker_process_init,
    worker_process_shutdown,
    worker_shutdown,
    worker_shutting_down,
)

from tasks.engine_choice import idle_gpu_advice
from tasks.generate.failure import forget_failure, give_up
from tasks.lanes import own_lane, owns_engine
from tasks.marks import mark_worker, worker_id, worker_pid
from tasks.pipeline import get_batcher
from tasks.services import engine_name, get_layout_sandbox, get_ledger, get_reading_sandbox, get_sandbox
from tasks.settings import get_settings
from workers.processes import die_with_parent

logger = logging.getLogger(__name__)

COLD_STOP_S = 3.0


@celeryd_after_setup.connect
def on_worker_setup(instance: Any, **_: Any) -> None:
    """Know the queues of this worker, in its children too; render processes start before their first page."""
    queues = frozenset(instance.app.amqp.queues.consume_from)
    mark_worker(queues)
    if "cpu" in queues:
        get_sandbox()
    if "gpu" in queues and (advice := idle_gpu_advice(get_settings())):
        logger.warning("%s", advice)


@worker_process_init.connect
def on_child_start(**_: Any) -> None:
    if worker_pid() != os.getpid():  # the solo pool has no children
        die_with_parent(worker_pid())  # or an orphan would keep a GPU
    if owns_engine():
        try:
            batcher = get_batcher()
        except Exception as exc:
            give_up(exc, get_ledger(), engine=engine_name(own_lane()), worker=worker_id())
        logger.info("engine %s (%s) is ready", batcher.engine.name, batcher.engine.revision)


@worker_process_shutdown.connect
def on_child_stop(**_: Any) -> None:
    if get_batcher.cache_info().currsize:
        get_batcher().close(get_settings().shutdown_grace_s)


@worker_shutting_down.connect
def on_stop_asked(how: str, **_: Any) -> None:
    """SIGTERM: running pages end within SHUTDOWN_GRACE_S; then, or at a second SIGTERM, the rest is given back."""
    if how == "Warm":
        signal.signal(signal.SIGTERM, stop_at_once)
        start_timer(get_settings().shutdown_grace_s, stop_at_once)


def stop_at_once(*_: Any) -> None:
    """A cold shutdown requeues the running tasks; should it hang, the lease of what is left lapses soon."""
    start_timer(COLD_STOP_S, lambda: os.kill(os.getpid(), signal.SIGKILL))
    os.kill(os.getpid(), signal.SIGQUIT)  # last: its handler runs before this returns


def start_timer(seconds: float, action: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()


@worker_shutdown.connect
def on_worker_stop(**_: Any) -> None:
    if owns_engine():
        forget_failure(get_ledger(), worker_id())
    for sandbox in (get_sandbox, get_layout_sandbox, get_reading_sandbox):
        if sandbox.cache_info().currsize:
            sandbox().close()
