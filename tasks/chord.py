"""The chord of a run, a window of pages at a time. The one room that knows Celery's chord keys.

A chord sent whole would block its sender and fill Redis. Its size is set before the first page instead, and the end of
each page sends the next: `celery.backends.redis.RedisBackend` counts the returns and calls the body after the last.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from celery import Signature, Task, chain
from celery.app.task import Context
from celery.signals import task_postrun
from celery.states import SUCCESS

from tasks.app import app
from tasks.broker import FIRST, LOW, NORMAL, PREFIX, URGENT
from tasks.ids import check_job_id
from tasks.messages import PageTask
from tasks.page_end import give_up_page
from tasks.prepare import is_unprepared
from tasks.runs import load_run
from tasks.services import get_ledger
from tasks.settings import get_settings

logger = logging.getLogger(__name__)

MAX_PREPARES = 10  # of a page whose image is lost each time
GENERATE = "generate_page"  # the last task of a page
GROUP_KEY = "celery-taskset-meta-"  # celery.backends.base.KeyValueStoreBackend.group_keyprefix
CHORD_KEYS = (".j", ".t", ".s", ".d", ".c")  # celery.backends.redis.RedisBackend.on_chord_part_return


def group_id(job_id: str, run: int) -> str:
    return f"g-{check_job_id(job_id)}.{run}"


@dataclass(frozen=True, slots=True)
class Chord:
    """A chain `prepare`, `generate` for each page of a run, and `body` when all have ended.

    `errback` is called where a page's task itself fails, which leaves the chord without its body.
    """

    prepare: Task
    generate: Task
    body: Task
    errback: Task

    def begin(self, job_id: str, run: int, size: int) -> None:
        """Set the number of pages, before the first is sent."""
        app.backend.set_chord_size(group_id(job_id, run), size)
        forget_if_purged(job_id, run)

    def feed(self, job_id: str, run: int, *, finished: int | None = None) -> None:
        """Send as many pages as the window has room for; each that finishes, named by its position, makes room."""
        settings = get_settings()
        positions, few_jobs = get_ledger().feed(job_id, run, window=settings.page_window, finished=finished)
        if positions:
            self.send(job_id, run, positions, urgent=settings.urgent_pages if few_jobs else 0)

    def send(self, job_id: str, run: int, positions: Iterable[int], *, urgent: int = 0) -> None:
        """Publish the chains of the pages at these 0-based positions of the run, the first `urgent` ahead of others."""
        context = load_run(job_id, run)
        later = LOW if context.options.priority < 2 else NORMAL
        body, queue = self.join(job_id, run), context.queue
        with app.producer_pool.acquire(block=True) as producer:
            for position in positions:
                page = context.page(position)
                common = {
                    "priority": URGENT if position < urgent else later,
                    "argsrepr": f"job {job_id} page {page.page_number}/{len(context.selection)}",
                }
                chain(
                    self.prepare.si(page.to_json()).set(task_id=f"{page.task_id}-prepare", **common),
                    self.generate.si(page.to_json()).set(task_id=page.task_id, queue=queue, **common),
                ).apply_async(
                    group_id=group_id(job_id, run),
                    chord=body,
                    group_index=position,
                    task_id=page.task_id,
                    producer=producer,
                )

    def prepare_again(self, page: PageTask) -> None:
        """The page's image or its record is lost: have a CPU worker make it again, and wait for that for a while."""
        if get_ledger().count_resend(page.job_id, page.index) > MAX_PREPARES:
            give_up_page(page, "task_lost")
            return
        logger.warning("job %s page %d is prepared again", page.job_id, page.page_number)
        self.prepare.apply_async((page.to_json(),), task_id=f"{page.task_id}-prepare", priority=URGENT)
        deadline = time.monotonic() + get_settings().render_timeout_s
        while is_unprepared(page) and time.monotonic() < deadline:
            time.sleep(0.1)

    def join(self, job_id: str, run: int) -> Signature:
        """The signature of the body, with its errback."""
        body = self.body.si(job_id, run).set(task_id=f"{job_id}.{run}-join", priority=FIRST, queue="cpu")
        return body.set(link_error=[self.errback.s(job_id, run).set(queue="cpu", priority=FIRST)])

    def send_join(self, job_id: str, run: int, **options: Any) -> None:
        """Call the body without waiting for the pages; harmless where it runs twice."""
        self.body.apply_async((job_id, run), task_id=f"{job_id}.{run}-join", priority=FIRST, **options)

    def return_early(self, page: PageTask) -> None:
        """Do now what an ended page's task does at its turn, which may be behind a task that waits for its page.

        That the task does it again changes nothing: the chord knows which tasks have returned.
        """
        position = position_of(page)
        self.feed(page.job_id, page.run, finished=position)
        request = Context(
            id=page.task_id,
            group=group_id(page.job_id, page.run),
            group_index=position,
            chord=self.join(page.job_id, page.run),
        )
        app.backend.on_chord_part_return(request, SUCCESS, position)
        forget_if_purged(page.job_id, page.run)


def ordinary(page: PageTask) -> int:
    """The priority of a page's messages, but for the first pages of a job."""
    return LOW if load_run(page.job_id, page.run).options.priority < 2 else NORMAL


def position_of(page: PageTask) -> int:
    """The page's 0-based place in its run."""
    return load_run(page.job_id, page.run).selection.position_of(page.index)


def forget(job_id: str, num_runs: int) -> None:
    """Remove what Celery keeps of a job's chords, which a job that was cancelled or purged cannot complete."""
    groups = [group_id(job_id, run) for run in range(1, max(1, num_runs) + 1)]
    # not by `app.backend`, which has a connection of its own in each thread
    get_ledger().redis.delete(*(f"{PREFIX}{GROUP_KEY}{group}{suffix}" for group in groups for suffix in CHORD_KEYS))


def forget_if_purged(job_id: str, num_runs: int) -> None:
    """Take back what was just written of a chord whose job was purged meanwhile."""
    if get_ledger().is_purged(job_id):
        forget(job_id, num_runs)


@task_postrun.connect
def on_task_returned(sender: Any, args: list[Any], **_: Any) -> None:
    """The task of a page has counted as a part of its chord by now; a purged job has no use for that."""
    if sender.name == GENERATE:
        page = PageTask.from_json(args[0])
        forget_if_purged(page.job_id, page.run)
