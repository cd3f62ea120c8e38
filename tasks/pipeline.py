"""The whole flow of a job, in the order it runs. Read this file first.

    submit_jobs       web    store the files, enter the jobs (tasks/submit)   -> split_document
    split_document    cpu    fetch it by its URL, open it, choose pages        -> a window of pages
    prepare_page      cpu    render, orient, resize, blank? known?             \\ one chain a page,
    generate_page     gpu    batch with other pages, engine, text              / the chord's header
    assemble_document cpu    the chord's body: page order -> result files
    fail_job          cpu    the chord's errback: a page task itself failed

Only ids and numbers travel in messages. Every function may run twice for the same message: what a page or a job has
become is decided by the ledger, where the first end wins. A page that fails is a value, recorded in the ledger, so
that the chord always completes; what is lost on the way, `tasks.reconcile` sends again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any

import redis
from celery import Signature, chain
from celery.app.task import Context
from celery.exceptions import Reject
from celery.states import SUCCESS

from tasks.access.quotas import OverQuota, charge_pages
from tasks.app import FIRST, LOW, NORMAL, URGENT, app
from tasks.assemble import results
from tasks.assemble.webhooks import notify
from tasks.blobs import BlobMissing, job_key, page_key
from tasks.cache import cache_key, forget
from tasks.ids import check_job_id
from tasks.ledger import UnknownJob
from tasks.ledger.records import Page
from tasks.messages import PageTask
from tasks.page_end import IMAGE, LAYER, PACKED, attempt_record, fail_page, patiently, save_text
from tasks.prepare import end_without_engine
from tasks.runs import document_limits, load_run, source_key
from tasks.services import engine_name, get_blobs, get_ledger, get_sandbox
from tasks.settings import get_settings
from tasks.split import fetch_source
from tasks.worker import get_batcher
from workers.documents.open import DocumentError, inspect_document, read_text_layer
from workers.documents.pages import PreparedPage
from workers.documents.pages import prepare_page as render_and_prepare
from workers.documents.selection import Selection, select_pages
from workers.net.addresses import FetchError
from workers.sandbox.sandbox import SandboxDied, SandboxStopped, SandboxTimeout

logger = logging.getLogger(__name__)

CHORD_KEYS = (".j", ".t", ".s", ".d", ".c")  # celery.backends.redis.RedisBackend.on_chord_part_return
FETCH_AGAIN_S = 1  # until a split looks again whether there is room to fetch its document
SETTLE_S = 5  # longer than a page takes to notice that its job is cancelled


# submit -------------------------------------------------------------------------------------------------------


def send_split(job_id: str, *, countdown_s: float = 0.0) -> None:
    common = {"priority": FIRST, "argsrepr": f"job {job_id}"}
    split_document.apply_async((job_id,), task_id=f"{job_id}-split", countdown=countdown_s or None, **common)


# split --------------------------------------------------------------------------------------------------------


@app.task(name="split_document")
def split_document(job_id: str) -> None:
    """Fetch the document if a URL names it, open it, choose its pages, and send the first window of them."""
    ledger = get_ledger()
    if ledger.begin_split(job_id):
        try:
            if not fetch_source(job_id):
                send_split(job_id, countdown_s=FETCH_AGAIN_S)
                return
            num_pages, selection, warnings = open_document(job_id)
        except (DocumentError, FetchError, OverQuota) as exc:
            end_unopened(job_id, exc.reason, exc.detail)
            return
        app.backend.set_chord_size(group_id(job_id, 1), len(selection))
        ledger.open_first_run(
            job_id, num_pages=num_pages, selection=str(selection), size=len(selection), warnings=warnings
        )
    feed_pages(job_id, 1)


def open_document(job_id: str) -> tuple[int, Selection, tuple[str, ...]]:
    """Number of pages, the pages chosen and warnings. Raises DocumentError for a file that is no use, OverQuota."""
    ledger, settings = get_ledger(), get_settings()
    job = ledger.job(job_id)
    if job is None:
        raise UnknownJob(f"no job has the id {job_id}")
    try:
        path = get_blobs().local(source_key(job_id, job.kind))
        info = get_sandbox().run(
            inspect_document,
            path,
            password=job.options.password,
            limits=document_limits(),
            timeout_s=settings.open_timeout_s,
        )
        selection = select_pages(job.options.pages, info.num_pages)
        charge_pages(job.owner, f"{job_id}.1", len(selection))
        return info.num_pages, selection, tuple(info.warnings)
    except BlobMissing as exc:
        raise DocumentError("lost", "The uploaded file is gone from the store; send it again.") from exc
    except SandboxTimeout as exc:
        raise DocumentError("timeout", f"Opening took over {settings.open_timeout_s:g} s; save it anew.") from exc
    except SandboxDied as exc:
        raise DocumentError("corrupt", "The file crashes the reader that opens it; save or print it anew.") from exc
    except ValueError as exc:
        raise DocumentError("bad_pages", str(exc)) from exc


def end_unopened(job_id: str, reason: str, detail: str) -> None:
    logger.info("job %s failed: %s", job_id, reason, extra={"job": job_id})
    get_ledger().end_job(job_id, "failed", only_from="splitting", error={"reason": reason, "detail": detail})
    conclude(job_id)


def conclude(job_id: str) -> None:
    """The job has ended: write its record, which outlives Redis, and tell its webhook. Harmless to repeat."""
    results.write_job_record(job_id)
    notify(job_id)
    get_ledger().concluded(job_id)


# the chord, a window at a time ------------------------------------------------------------------------------------


def group_id(job_id: str, run: int) -> str:
    return f"g-{check_job_id(job_id)}.{run}"


def feed_pages(job_id: str, run: int, *, finished: int | None = None) -> None:
    """Send as many pages of the run as its window has room for; each page that finishes makes room for one."""
    settings = get_settings()
    positions, few_jobs = get_ledger().feed(job_id, run, window=settings.page_window, finished=finished)
    if positions:
        urgent = settings.urgent_pages if few_jobs else 0
        send_pages(job_id, run, positions, urgent=urgent)


def send_pages(job_id: str, run: int, positions: Iterable[int], *, urgent: int = 0) -> None:
    """Publish the chains of these pages as members of the run's chord, whose size was set before the first."""
    context = load_run(job_id, run)
    later = LOW if context.options.priority < 2 else NORMAL
    body = chord_body(job_id, run)
    with app.producer_pool.acquire(block=True) as producer:
        for position in positions:
            page = context.page(position)
            common = {
                "priority": URGENT if position < urgent else later,
                "argsrepr": f"job {job_id} page {page.page_number}/{len(context.selection)}",
            }
            chain(
                prepare_page.si(page.to_json()).set(task_id=f"{page.task_id}-prepare", **common),
                generate_page.si(page.to_json()).set(task_id=page.task_id, **common),
            ).apply_async(
                group_id=group_id(job_id, run),
                chord=body,
                group_index=position,
                task_id=page.task_id,
                producer=producer,
            )


def chord_body(job_id: str, run: int) -> Signature:
    body = assemble_document.si(job_id, run).set(task_id=f"{job_id}.{run}-join", priority=FIRST, queue="cpu")
    return body.set(link_error=[fail_job.s(job_id, run).set(queue="cpu", priority=FIRST)])


def return_early(page: PageTask) -> None:
    """Do now what an ended page's task does when its turn comes, which may be behind one that waits for its page.

    That the task does it again changes nothing: the chord knows which tasks have returned.
    """
    position = load_run(page.job_id, page.run).selection.position_of(page.index)  # a claim does not know it
    feed_pages(page.job_id, page.run, finished=position)
    request = Context(
        id=page.task_id,
        group=group_id(page.job_id, page.run),
        group_index=position,
        chord=chord_body(page.job_id, page.run),
    )
    app.backend.on_chord_part_return(request, SUCCESS, position)


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
        keep_prepared(page, render(page))
    except DocumentError as exc:
        keep_text_layer(page)
        fail_page(page, exc.reason, exc.detail, attempts=[attempt_record("render", 0.0, exc.reason)])
    except (UnknownJob, SandboxStopped):
        logger.info("job %s is gone, page %d is dropped", page.job_id, page.page_number)
    except redis.RedisError as exc:
        raise Reject(exc, requeue=True) from exc
    except Exception as exc:
        logger.exception("job %s page %d could not be prepared", page.job_id, page.page_number)
        fail_page(page, "internal", f"{type(exc).__name__} while preparing the page; retry it.")


def is_unwanted(page: PageTask) -> bool:
    """Whether the page has ended or its job is cancelled; no while Redis is away."""
    try:
        return get_ledger().look(page) is None
    except redis.RedisError:
        return False


def is_prepared(page: PageTask, seen: Page) -> bool:
    """Whether an earlier run of this message got as far as the image."""
    return seen.state in ("ready", "generating") and get_blobs().exists(page_key(page.job_id, page.index, IMAGE))


def render(page: PageTask) -> PreparedPage:
    """The page, rendered in a process that can be killed. Raises DocumentError with the reason when it cannot be."""
    context, settings = load_run(page.job_id, page.run), get_settings()
    for death in range(1, settings.poison_limit + 1):
        try:
            return get_sandbox().run(
                render_and_prepare,
                get_blobs().local(context.source_key),
                page.index,
                engine=engine_name(),
                options=settings.engine_options(),
                request=context.request(page.index),
                dpi=context.options.dpi,
                password=context.options.password,
                limits=document_limits(),
                timeout_s=settings.render_timeout_s,
                should_stop=lambda: is_unwanted(page),
            )
        except SandboxTimeout as exc:
            limit = settings.render_timeout_s
            raise DocumentError("timeout", f"Rendering took over {limit:g} s and was stopped.") from exc
        except SandboxDied as exc:
            logger.warning("job %s page %d: render process died (%d): %s", page.job_id, page.page_number, death, exc)
    raise DocumentError("poison", f"The process that rendered this page died {settings.poison_limit} times.")


@patiently
def keep_prepared(page: PageTask, prepared: PreparedPage) -> None:
    """Write what the engine needs, then say that the page is ready; one that is blank or known already ends here."""
    ledger, blobs = get_ledger(), get_blobs()
    about: dict[str, Any] = {"width": prepared.width, "height": prepared.height, "has_image": True}
    key = cache_key(page, prepared)
    blobs.write(page_key(page.job_id, page.index, IMAGE), prepared.png)
    if prepared.is_blank:
        save_text(page, "", state="blank", engine="", seconds=0.0, **about)
        return
    if end_without_engine(page, prepared, key, **about):
        return
    if prepared.packed is not None:
        blobs.write(page_key(page.job_id, page.index, PACKED), prepared.packed)
    if prepared.text_layer.strip():
        blobs.write(page_key(page.job_id, page.index, LAYER), prepared.text_layer.encode())
    bucket = load_run(page.job_id, page.run).bucket(prepared.num_tokens)
    ledger.move(page, "ready", num_tokens=prepared.num_tokens, bucket=bucket, cache_key=key, **about)
    ledger.offer(page)


def keep_text_layer(page: PageTask) -> None:
    """For a page that cannot be rendered: keep its text layer, if the job falls back to that and it can be read."""
    try:
        context = load_run(page.job_id, page.run)
        if context.options.text_layer == "ignore" or context.kind != "pdf":
            return
        text = get_sandbox().run(
            read_text_layer,
            get_blobs().local(context.source_key),
            page.index,
            password=context.options.password,
            timeout_s=get_settings().render_timeout_s,
        )
        get_blobs().write(page_key(page.job_id, page.index, LAYER), text.encode())
    except (DocumentError, SandboxDied, SandboxTimeout, UnknownJob, BlobMissing) as exc:
        logger.info("job %s page %d has no text layer either: %s", page.job_id, page.page_number, exc)


# generate -----------------------------------------------------------------------------------------------------


@app.task(name="generate_page")
def generate_page(message: list[Any]) -> int:
    """Wait until the page has its text, then make room for the next. Returns the page's position, always the same."""
    page = PageTask.from_json(message)
    try:
        while not get_batcher().wait_for(page):
            wait_for_image(page)
        get_batcher().collect(page)
        feed_pages(page.job_id, page.run, finished=page.position)
    except redis.RedisError as exc:
        raise Reject(exc, requeue=True) from exc
    return page.position


def wait_for_image(page: PageTask) -> None:
    """The page's image or its record is lost: have a CPU worker make it again, and wait for that for a while."""
    logger.warning("job %s page %d is prepared again", page.job_id, page.page_number)
    prepare_page.apply_async((page.to_json(),), task_id=f"{page.task_id}-prepare", priority=URGENT)
    deadline = time.monotonic() + get_settings().render_timeout_s
    while time.monotonic() < deadline:
        seen = get_ledger().look(page)
        if seen is None or seen.state not in ("queued", "preparing"):
            return
        time.sleep(0.1)


# assemble -----------------------------------------------------------------------------------------------------


@app.task(name="assemble_document", bind=True, max_retries=8)
def assemble_document(self: Any, job_id: str, run: int) -> None:
    """Gather the pages, in page order, into the result files, and give the job its last state."""
    ledger = get_ledger()
    step = ledger.begin_assembly(job_id)
    if step != "assemble":
        logger.info("job %s run %d: nothing to assemble (%s)", job_id, run, step, extra={"job": job_id})
        return
    try:
        results.write_results(job_id)
    except OSError as exc:
        logger.exception("job %s: the result could not be written", job_id)
        if self.request.retries < self.max_retries:
            raise self.retry(countdown=min(60, 2**self.request.retries)) from exc
        error = {
            "reason": "storage",
            "detail": "The result could not be stored; free space and retry a page.",
        }
        if ledger.end_job(job_id, "failed", only_from="assembling", error=error):
            notify(job_id)
        return
    if ledger.end_job(job_id, results.final_state(job_id), only_from="assembling"):
        conclude(job_id)
        job = ledger.job(job_id)
        logger.info("job %s %s", job_id, job.state if job else "gone", extra={"job": job_id})


@app.task(name="fail_job")
def fail_job(task_id: str, job_id: str, run: int) -> None:
    """A page task itself failed, so the chord will not call its body: assemble if all pages have ended."""
    logger.error("job %s run %d: the chord broke at %s; what is left, the reconciler sends again", job_id, run, task_id)
    assemble_document.apply_async((job_id, run), task_id=f"{job_id}.{run}-join", priority=FIRST)


# cancel, repair -----------------------------------------------------------------------------------------------


def cancel_job(job_id: str, *, purge: bool = False) -> bool:
    """Stop a job: queued pages are dropped, running ones stop at their next check. False for an unknown id."""
    outcome = get_ledger().cancel(job_id)
    if outcome == "assemble":
        assemble_document.apply_async((job_id, 0), priority=FIRST)
    elif outcome == "cancelled":
        conclude(job_id)
        clear_cancelled.apply_async((job_id, purge), countdown=SETTLE_S)
    if purge:
        for page in get_ledger().pages(job_id):
            forget(page.cache_key)
        purge_job(job_id)
    return outcome is not None or purge


@app.task(name="clear_cancelled")
def clear_cancelled(job_id: str, purge: bool) -> None:
    """Remove what Celery keeps of a cancelled job's chord, which cannot complete, and what its last pages wrote."""
    backend = app.backend
    keys = [backend.get_key_for_group(group_id(job_id, 1), suffix) for suffix in CHORD_KEYS]
    backend.client.delete(*keys)
    if purge:
        get_blobs().delete(job_key(job_id))


def purge_job(job_id: str) -> None:
    """Remove a job and its files for good."""
    get_ledger().forget(job_id)
    get_blobs().delete(job_key(job_id))


def retry_job(job_id: str, *, pages: str, options: dict[str, Any]) -> int:
    """Run these pages again, "failed" or as "3,9", with other options if given. Returns the number of the new run.

    Raises UnknownJob, PageBusy, LedgerError, OverQuota, or ValueError for pages the job does not have.
    """
    ledger = get_ledger()
    job = ledger.job(job_id)
    if job is None:
        raise UnknownJob(f"no job has the id {job_id}")
    selection = results.failed_pages(job) if pages == "failed" else select_pages(pages, job.num_pages)
    if not len(selection):
        raise ValueError("no page of this job has failed; name the pages to repair, as in 3,9")
    charge_pages(job.owner, f"{job_id}.{job.run + 1}", len(selection))
    run = ledger.open_repair(job_id, indexes=list(selection), selection=str(selection), options=options)
    app.backend.set_chord_size(group_id(job_id, run), len(selection))
    feed_pages(job_id, run)
    return run
