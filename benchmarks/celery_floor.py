"""The least that Celery can do for a document: a chord of chains of two tasks that do nothing.

Two workers as Pagefan has them, threads for one queue and a process for the other, with Celery's own settings: no late
acknowledgement, no events, no results but what the chord needs.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from celery import Celery, chain, chord

from tasks.broker import celery_url

# The tasks are not `shared`: Pagefan's own app would have them too where both are imported.
app = Celery("floor")
app.conf.update(
    task_ignore_result=True,
    task_default_queue="floor-cpu",
    task_routes={"generate": {"queue": "floor-gpu"}},
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)
POOLS = {
    "floor-cpu": ["--pool", "threads", "--concurrency", "6"],
    "floor-gpu": ["--pool", "prefork", "--concurrency", "1"],
}
TIMEOUT_S = 600.0


@app.task(name="prepare", shared=False)
def prepare(index: int) -> None:
    """Nothing."""


@app.task(name="generate", shared=False)
def generate(index: int) -> int:
    return index


@app.task(name="assemble", ignore_result=False, shared=False)
def assemble() -> bool:
    return True


def use(redis_url: str) -> None:
    app.conf.update(broker_url=celery_url(redis_url), result_backend=celery_url(redis_url))


@contextmanager
def workers(redis_url: str) -> Iterator[list[int]]:
    """Both workers, by their process ids, once they take tasks; they end with the block."""
    use(redis_url)
    with ExitStack() as exits:
        pids = []
        for queue, pool in POOLS.items():
            command = [sys.executable, "-m", "celery", "-A", __name__, "-b", celery_url(redis_url)]
            command += ["--result-backend", celery_url(redis_url), "worker", "-Q", queue, "-n", f"{queue}@floor", *pool]
            command += ["--without-mingle", "--without-gossip", "--without-heartbeat", "--loglevel", "ERROR"]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            exits.callback(process.wait)
            exits.callback(process.terminate)
            pids.append(process.pid)
        run(1)
        yield pids


def run(num_pages: int) -> float:
    """Seconds of one chord of so many chains, from the sending to its body's result."""
    started = time.monotonic()
    pages = [chain(prepare.si(index), generate.si(index)) for index in range(num_pages)]
    result = chord(pages, assemble.si()).apply_async()
    result.get(timeout=TIMEOUT_S, propagate=False)  # which else asks for every page's result, twice a second
    return time.monotonic() - started
