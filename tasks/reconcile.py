"""Finds what was lost on the way and sends it again, so that no job stays unfinished for ever.

Redis can lose a message when a worker is killed between taking it and noting that it was taken, and keys can be
deleted. The ledger knows which tasks were sent and have not finished; the broker's own lists tell which of them still
exist. What is in the one and not in the other, twice in a row, is lost. All of it is safe to repeat: task ids are
deterministic, and pages that have ended stay as they are.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

from tasks.app import app
from tasks.archive import iter_pages
from tasks.assemble.job_end import conclude, give_up_job
from tasks.broker import AWAY, live_task_ids
from tasks.ledger import UnknownJob
from tasks.ledger.records import Job
from tasks.messages import PageTask
from tasks.page_end import give_up_page
from tasks.pipeline import pages, send_split
from tasks.retention import sweep_purged
from tasks.runs import load_run
from tasks.services import get_ledger
from tasks.settings import get_settings
from tasks.shelf import put_away_settled
from tasks.standstill import RECONCILER
from workers.documents.selection import Selection

logger = logging.getLogger(__name__)

RESCAN_S = 30  # how often the list of unfinished jobs is checked against the jobs themselves
MAX_RESENDS = 10  # times a page's task is sent again before the page is given up
MAX_LOOKS = 10  # times in a row that looking after a job may raise before the job is given up


@app.task(name="reconcile", send_events=False)  # it would fill Flower's history
def reconcile() -> None:
    """Look after every unfinished job once; at most one runner at a time."""
    client, period_s = get_ledger().redis, get_settings().reconcile_s
    if not client.set("pf:reconciling", "1", nx=True, px=int(max(1.0, period_s) * 900)):
        return
    get_ledger().note_moved([RECONCILER])
    if client.set("pf:rescanned", "1", nx=True, ex=RESCAN_S):
        find_forgotten_jobs()
    for chore in (conclude_ended_jobs, sweep_purged, put_away_settled):
        try:
            chore()
        except AWAY:
            raise
        except Exception:
            logger.exception("%s is done again at the next look", chore.__name__)
    jobs = get_ledger().active_jobs()
    if not jobs:
        return
    live = live_task_ids(client)
    for job_id in jobs:
        look_after_or_give_up(job_id, live)


def look_after_or_give_up(job_id: str, live: set[str]) -> None:
    """Look after a job, and end it where that raises again and again; the others are looked after in any case."""
    ledger = get_ledger()
    try:
        look_after(job_id, live)
        ledger.forget_tries(job_id, "look")
    except UnknownJob as exc:
        logger.info("%s", exc)
    except AWAY:
        raise
    except Exception:
        logger.exception("job %s could not be looked after", job_id)
        if ledger.count_try(job_id, "look") >= MAX_LOOKS:
            give_up_job(job_id)


def find_forgotten_jobs() -> None:
    """Enter unfinished jobs again that are missing from the list of them."""
    ledger = get_ledger()
    for key in ledger.redis.scan_iter("pf:job:*", count=1000):
        ledger.enlist(key.rpartition(":")[2])


def conclude_ended_jobs() -> None:
    """Do what should have followed the end of jobs whose process died just then."""
    for job_id in get_ledger().unconcluded(older_s=get_settings().reconcile_s):
        try:
            conclude(job_id)
        except AWAY:
            raise
        except Exception as exc:
            logger.warning("job %s: its record cannot be written yet: %r", job_id, exc)


def look_after(job_id: str, live: set[str]) -> None:
    ledger = get_ledger()
    job = ledger.job(job_id)
    if job is None or job.has_ended:
        ledger.redis.srem("pf:active", job_id)
        return
    most_s = get_settings().job_stall_s
    if most_s and ledger.quiet_for(job_id) > most_s:
        logger.error("job %s: nothing has moved for %g s, it is given up", job_id, most_s)
        give_up_job(job_id, "stalled")
        return
    quiet = time.time() - job.changed_at > get_settings().reconcile_s
    if job.state in ("queued", "splitting"):
        if quiet and f"{job_id}-split" not in live and was_missing(job_id, f"{job_id}-split"):
            send_split_again(job_id)
        return
    if job.state == "running":
        for run in range(1, job.run + 1):
            look_after_run(job, run, live)
    joins = {f"{job_id}.{run}-{step}" for run in range(job.run + 1) for step in ("join", "answer")}
    left = sum((ledger.run_progress(job_id, run) or (0, 0, 1))[2] for run in range(1, job.run + 1))
    if (
        (job.state == "assembling" or left <= 0)
        and quiet
        and not joins & live
        and was_missing(job_id, f"{job_id}-join")
    ):
        logger.warning("job %s: its join was lost and is sent again", job_id)
        pages.send_join(job_id, job.run)


def send_split_again(job_id: str) -> None:
    if get_ledger().count_try(job_id, "split") > MAX_RESENDS:
        logger.error("job %s: its split was lost again and again, it is given up", job_id)
        give_up_job(job_id)
        return
    logger.warning("job %s: its split was lost and is sent again", job_id)
    send_split(job_id)


def look_after_run(job: Job, run: int, live: set[str]) -> None:
    ledger = get_ledger()
    progress = ledger.run_progress(job.id, run)
    if progress is None:
        selection = run_selection(job, run)
        logger.warning("job %s run %d: its record was lost and is made again", job.id, run)
        ledger.restore_run(job.id, run, selection=str(selection), size=len(selection))
        load_run.cache_clear()
        pages.feed(job.id, run)
        return
    size, following, left = progress
    context = load_run(job.id, run)
    fed = ledger.positions_fed(job.id, run, before=time.time() - get_settings().reconcile_s)
    lost = [position for position in fed if is_lost(context.page(position), live)]
    if not lost and left > 0 and following >= size and not ledger.positions_fed(job.id, run):
        lost = [position for position, page in unaccounted_pages(job, run) if was_missing(page.job_id, page.task_id)]
        ledger.mark_fed(job.id, run, lost[: get_settings().page_window])
    resend(job.id, run, lost[: get_settings().page_window])
    pages.feed(job.id, run)


def run_selection(job: Job, run: int) -> Selection:
    """The pages of a run whose record is lost: the job's own for the first, those with its number for a repair."""
    if run == 1:
        return Selection.parse(job.selection)
    return Selection.of(page.index for page in iter_pages(job) if page.run == run)


def is_lost(page: PageTask, live: set[str]) -> bool:
    waiting = page.task_id in live or f"{page.task_id}-prepare" in live
    return not waiting and was_missing(page.job_id, page.task_id)


def was_missing(job_id: str, task_id: str) -> bool:
    """Whether the last look missed this task too; a message on its way to a worker is nowhere for a moment."""
    ledger, key, now = get_ledger(), f"pf:missing:{job_id}", time.time()
    longest_s = get_settings().reconcile_s * 2.5 + 1
    before = ledger.redis.hget(key, task_id)
    if before and now - float(before) < longest_s:
        return True
    with ledger.redis.pipeline() as pipe:
        pipe.hset(key, task_id, now)
        pipe.expire(key, int(longest_s) + 1)
        pipe.execute()
    ledger.take_back(job_id, key)
    return False


def unaccounted_pages(job: Job, run: int) -> Iterator[tuple[int, PageTask]]:
    """Pages of a fully fed run, with their positions, that have not ended though no task of theirs is on its way."""
    context = load_run(job.id, run)
    ended = {page.index for page in iter_pages(job) if page.has_ended or page.run != run}
    for position, index in enumerate(context.selection):
        if index not in ended:
            yield position, context.page(position)


def resend(job_id: str, run: int, positions: list[int]) -> None:
    """Send the tasks of these positions again; a page whose task is lost again and again is given up.

    A page that has ended needs its task for no more than the room it leaves.
    """
    if not positions:
        return
    ledger, context, again = get_ledger(), load_run(job_id, run), []
    for position in positions:
        page = context.page(position)
        if ledger.count_resend(job_id, page.index) > MAX_RESENDS:
            give_up_page(page, "task_lost")
        if ledger.look(page) is None:
            pages.return_early(page)
        else:
            again.append(position)
    logger.warning("job %s run %d: %d lost page tasks are sent again", job_id, run, len(again))
    ledger.mark_fed(job_id, run, again)
    pages.send(job_id, run, again, urgent=len(context.selection))
