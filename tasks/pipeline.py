"""The whole flow of a job, in the order it runs. Read this file first.

    submit_jobs       web    store the files, enter the jobs (tasks/submit)   -> split_document
    split_document    cpu    fetch it by its URL, open it, choose pages        -> a window of pages
    prepare_page      cpu    render, orient, resize, blank? known?             \\ one chain a page,
    generate_page     gpu    batch with other pages, engine, text              / the chord's header
    lay_out_page      cpu    beside the engine: from the page's lines to its blocks
    assemble_document cpu    the chord's body: page order -> result files
    answer_document   gpu    where the document as a whole is asked about: once it is read; assembly follows again
    fail_job          cpu    the chord's errback: a page task itself failed

Only ids and numbers travel in messages. Every function may run twice for the same message: what a page or a job has
become is decided by the ledger, where the first end wins. A page that fails is a value, recorded in the ledger, so
that the chord always completes; what is lost on the way, `tasks.reconcile` sends again.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from celery.exceptions import Reject

from tasks.access.quotas import OverQuota
from tasks.app import app
from tasks.assemble.answer import unanswered
from tasks.assemble.job_end import end_assembled, end_unassembled, end_unopened, final_state
from tasks.assemble.question import has_open_question
from tasks.assemble.results import write_results
from tasks.attachments import take_attachments
from tasks.beside import with_places
from tasks.broker import AWAY, FIRST, URGENT
from tasks.chord import Chord, ordinary, position_of
from tasks.generate.asking import answer_or_give_up
from tasks.generate.batcher import Batcher
from tasks.layout import lay_out, lay_out_rest, left_to_assembly
from tasks.ledger import UnknownJob
from tasks.messages import PageTask
from tasks.page_end import attempt_record, give_up_page
from tasks.prepare import is_prepared, keep_prepared, keep_text_layer, render
from tasks.runs import load_run
from tasks.services import get_blobs, get_ledger, make_engine
from tasks.settings import get_settings
from tasks.split import fetch_source, open_document, unexpected
from workers.documents.kinds import DocumentError
from workers.net.addresses import FetchError
from workers.sandbox.sandbox import SandboxStopped

logger = logging.getLogger(__name__)

GONE = -1  # the position of a page whose run nobody knows any more
SPLIT_AGAIN_S = 1  # until a split looks again whether there is room to fetch its document, or is tried again
UNEXPECTED_TRIES = 2  # of a split or an assembly that raises something unexpected
MAX_BEGINS = 10  # of a split or an assembly, where its process dies each time or the store is away


# submit -------------------------------------------------------------------------------------------------------


def send_split(job_id: str, *, countdown_s: float = 0.0) -> None:
    split_document.apply_async((job_id,), task_id=f"{job_id}-split", countdown=countdown_s or None, priority=FIRST)


# split --------------------------------------------------------------------------------------------------------


@app.task(name="split_document")
def split_document(job_id: str) -> None:
    """Fetch the document if a URL names it, open it, choose its pages, and send the first window of them."""
    try:
        tries = get_ledger().begin_split(job_id)
        if not tries or choose_pages(job_id, tries):
            pages.feed(job_id, 1)
    except AWAY as exc:
        raise Reject(exc, requeue=True) from exc


def choose_pages(job_id: str, tries: int) -> bool:
    """Open the job's first run; False where the job has ended instead, or is split again a little later."""
    try:
        if tries > MAX_BEGINS:
            raise DocumentError("task_lost", f"Opening the document was begun {MAX_BEGINS} times. Send it again.")
        if not fetch_source(job_id):
            get_ledger().put_off_split(job_id)
            send_split(job_id, countdown_s=SPLIT_AGAIN_S)
            return False
        num_pages, selection, warnings = open_document(job_id)
        warnings += send_attachments(job_id)
        pages.begin(job_id, 1, len(selection))
        get_ledger().open_first_run(
            job_id, num_pages=num_pages, selection=str(selection), size=len(selection), warnings=warnings
        )
    except (DocumentError, FetchError, OverQuota) as exc:
        end_unopened(job_id, exc.reason, exc.detail)
        return False
    except UnknownJob:
        logger.info("job %s is gone, it is not split", job_id)
        return False
    except AWAY:
        raise
    except Exception as exc:
        logger.exception("job %s could not be split, try %d", job_id, tries)
        if tries < UNEXPECTED_TRIES:
            send_split(job_id, countdown_s=SPLIT_AGAIN_S)
        else:
            end_unopened(job_id, *unexpected(exc))
        return False
    return True


def send_attachments(job_id: str) -> tuple[str, ...]:
    """Make jobs of what is attached to the document, if that is wanted, and send them to be split; returns warnings."""
    entered, warnings = take_attachments(job_id)
    for attached in entered:
        send_split(attached)
    return warnings


# prepare ------------------------------------------------------------------------------------------------------


@app.task(name="prepare_page")
def prepare_page(message: list[Any]) -> None:
    """Make the page image, and the tensors if the engine wants some; or end the page here."""
    page = PageTask.from_json(message)
    try:
        seen = get_ledger().look(page)
        if seen is None or is_prepared(page, seen):
            return
        get_ledger().move(page, "preparing")
        keep_prepared(page, with_places(page, render(page)))
    except DocumentError as exc:
        keep_text_layer(page)
        give_up_page(page, exc.reason, exc.detail, attempts=[attempt_record("render", 0.0, exc.reason)])
    except (UnknownJob, SandboxStopped):
        logger.info("job %s is gone, page %d is dropped", page.job_id, page.page_number)
    except AWAY as exc:
        raise Reject(exc, requeue=True) from exc
    except Exception as exc:
        logger.exception("job %s page %d could not be prepared", page.job_id, page.page_number)
        give_up_page(page, "internal", f"{type(exc).__name__} while preparing the page; retry it.")


# generate -----------------------------------------------------------------------------------------------------


@cache
def get_batcher() -> Batcher:
    """The owner of the engine in this process; the first call loads the model."""
    batcher = Batcher(make_engine(), get_ledger(), get_blobs(), get_settings(), pages.return_early, send_layout)
    batcher.start()
    return batcher


@app.task(name="generate_page")
def generate_page(message: list[Any]) -> int:
    """Wait until the page has its text, then make room for the next. Returns the page's position, always the same."""
    page = PageTask.from_json(message)
    try:
        while not get_batcher().wait_for(page):
            pages.prepare_again(page)
        get_batcher().collect(page)
        position = position_of(page)
        pages.feed(page.job_id, page.run, finished=position)
    except UnknownJob:
        logger.info("job %s is gone, page %d returns without it", page.job_id, page.page_number)
        return GONE
    except AWAY as exc:
        raise Reject(exc, requeue=True) from exc
    return position


# lay out ------------------------------------------------------------------------------------------------------


def send_layout(page: PageTask) -> None:
    """Have the blocks of a page found that the engine has read; where this is lost, assembly finds them."""
    with left_to_assembly(page):
        common = {"priority": ordinary(page), "argsrepr": f"job {page.job_id} page {page.page_number}"}
        lay_out_page.apply_async((page.to_json(),), task_id=f"{page.task_id}-layout", **common)


@app.task(name="lay_out_page")
def lay_out_page(message: list[Any]) -> None:
    """Find the blocks of a page that has its text, in a process that can be killed."""
    page = PageTask.from_json(message)
    with left_to_assembly(page):
        lay_out(page)


# assemble -----------------------------------------------------------------------------------------------------


@app.task(name="assemble_document", bind=True, max_retries=8)
def assemble_document(self: Any, job_id: str, run: int) -> None:
    """Gather the pages, in page order, into the result files, and give the job its last state."""
    ledger = get_ledger()
    step = ledger.begin_assembly(job_id)
    if step != "assemble":
        logger.info("job %s run %d: nothing to assemble (%s)", job_id, run, step, extra={"job": job_id})
        return
    tries = ledger.count_try(job_id, "assembly")
    try:
        if tries > MAX_BEGINS:
            end_unassembled(job_id, "internal")
            return
        lay_out_rest(job_id)
        if has_open_question(job_id):
            ledger.forget_tries(job_id, "assembly")
            common = {"priority": URGENT, "queue": load_run(job_id, run or 1).queue}
            answer_document.apply_async((job_id, run), task_id=f"{job_id}.{run}-answer", **common)
            return
        write_results(job_id)
        state, error = final_state(job_id), unanswered(job_id)
    except OSError as exc:
        logger.exception("job %s: the result could not be written", job_id)
        if self.request.retries < self.max_retries:
            raise self.retry(countdown=min(60, 2**self.request.retries)) from exc
        end_unassembled(job_id, "storage")
    except AWAY as exc:
        raise Reject(exc, requeue=True) from exc
    except Exception as exc:
        logger.exception("job %s could not be assembled, try %d", job_id, tries)
        if tries < UNEXPECTED_TRIES:
            raise self.retry(countdown=1) from exc
        end_unassembled(job_id, "internal")
    else:
        end_assembled(job_id, state, error)


@app.task(name="answer_document")
def answer_document(job_id: str, run: int) -> None:
    """Ask a model about a document whose pages are read, and have it assembled with the answer."""
    try:
        answer_or_give_up(job_id, get_batcher())
        pages.send_join(job_id, run)
    except AWAY as exc:
        raise Reject(exc, requeue=True) from exc


@app.task(name="fail_job")
def fail_job(task_id: str, job_id: str, run: int) -> None:
    """A page task itself failed, so the chord will not call its body: assemble if all pages have ended."""
    logger.error("job %s run %d: the chord broke at %s; what is left, the reconciler sends again", job_id, run, task_id)
    pages.send_join(job_id, run)


# the chord: a chain for each page, then the body; `tasks.chord` sends a window of pages at a time
pages = Chord(prepare_page, generate_page, body=assemble_document, errback=fail_job)
