"""From the ledger's records to what the API shows."""

from __future__ import annotations

import time
from typing import Any

from flask import url_for

from tasks.archive import load_pages, notable_pages, pages_at, read_content
from tasks.assemble.content import blocks_of, content_of
from tasks.assemble.result_job import PRIORITIES, iso_time
from tasks.layout import awaits_layout
from tasks.ledger.records import Job, Page
from tasks.reasons import describe, explain
from tasks.services import get_ledger
from web.api.inputs import JobFields
from web.api.outputs import (
    BlockOut,
    DeliveryOut,
    Fault,
    JobOut,
    JobSummary,
    Links,
    PageCounts,
    PageOut,
    PageTextOut,
    Timings,
)
from web.api.partials import text_so_far
from web.api.problems import Problem
from workers.documents.selection import Selection
from workers.documents.text_layer import LOW_RECALL
from workers.net.targets import without_secret
from workers.results.formats import FORMATS

MIMETYPES = {name: format.mimetype for name, format in FORMATS.items()}
WITHOUT_TEXT = ("failed", "cancelled")


def find_page(job: Job, number: int) -> Page:
    """The page with this 1-based number; raises Problem when the job does not read it."""
    index = number - 1
    if not job.selection or index not in Selection.parse(job.selection):
        raise Problem("unknown-page", f"Job {job.id} has no page {number}.")
    [page] = pages_at(job, [index])
    return page


def job_summary(job: Job) -> JobSummary:
    return JobSummary(**summary_values(job))


def summary_values(job: Job) -> dict[str, Any]:
    names = ("id", "state", "name", "kind", "size", "batch_id", "parent", "metadata", "run", "num_pages", "seq")
    return {name: getattr(job, name) for name in names} | {
        "tags": list(job.tags),
        "pages": count_pages(job),
        "progress": round(job.progress, 4),
        "error": job_fault(job),
        "timings": timings_of(job),
        "links": links_of(job),
    }


def job_out(job: Job) -> JobOut:
    """The job with everything a follower needs."""
    pages = pages_to_name(job)
    return JobOut(
        **summary_values(job),
        options=shown_options(job),
        source_url=job.source_url,
        selection=job.selection,
        queue_position=queue_position(job),
        eta_s=eta_s(job),
        missing_pages=[page.page_number for page in pages if page.state in WITHOUT_TEXT],
        fallback_pages=[page.page_number for page in pages if page.state == "fallback"],
        pages_to_look_at=[page.page_number for page in pages if page_notice(page)],
        warnings=list(job.warnings),
        deliveries=[DeliveryOut(**attempt | {"at": iso_time(attempt["at"])}) for attempt in job.deliveries],
    )


def pages_to_name(job: Job) -> list[Page]:
    """The job's notable pages at its end, or all when one has no good text; else none, and no records are read."""
    if job.has_ended:
        return notable_pages(job)
    return load_pages(job) if any(job.counts.get(state) for state in (*WITHOUT_TEXT, "fallback")) else []


def missing_pages(job: Job) -> list[int]:
    """Numbers of the pages that ended without text."""
    return [page.page_number for page in pages_to_name(job) if page.state in WITHOUT_TEXT]


def shown_options(job: Job) -> dict[str, Any]:
    """The options as they were sent; the password and the signature of a URL are nobody's business."""
    options = job.options.to_json()
    shown = {name: options[name] for name in JobFields.model_fields if name in options and name != "password"}
    shown["target_url"] = without_secret(job.options.target_url)
    return shown | {"priority": PRIORITIES.get(job.options.priority, "normal")}


def count_pages(job: Job) -> PageCounts:
    counts = job.counts
    running = sum(counts.get(state, 0) for state in ("preparing", "ready", "generating"))
    ended = {state: counts.get(state, 0) for state in ("ok", "blank", "fallback", "failed", "cancelled")}
    return PageCounts(total=job.num_selected, running=running, queued=counts.get("queued", 0), **ended)


def job_fault(job: Job) -> Fault | None:
    if job.error is None:
        return None
    reason = job.error.get("reason", "internal")
    return Fault(reason=reason, detail=explain(reason, job.error.get("detail", "")))


def queue_position(job: Job) -> int | None:
    """Unfinished jobs sent before this one; None once one of its pages is being read, or the job has ended."""
    if job.has_ended or job.num_ended or job.counts.get("generating"):
        return None
    return get_ledger().num_ahead(job.id)


def eta_s(job: Job) -> float | None:
    """Seconds left at the average pace of the job's last run; None before its first page has ended."""
    if job.has_ended or not job.run:
        return None
    num_ended, opened_at = get_ledger().run_pace(job.id, job.run)
    if num_ended <= 0:
        return None
    return round((job.num_selected - job.num_ended) * max(0.0, time.time() - opened_at) / num_ended, 1)


def timings_of(job: Job) -> Timings:
    now = time.time()
    started_at, ended_at = job.started_at, job.ended_at
    return Timings(
        created_at=iso_time(job.created_at),
        started_at=iso_time(started_at) if started_at else None,
        ended_at=iso_time(ended_at) if ended_at else None,
        waited_s=round(max(0.0, (started_at or ended_at or now) - job.created_at), 3),
        running_s=round(max(0.0, (ended_at or now) - started_at), 3) if started_at else None,
    )


def links_of(job: Job) -> Links:
    results = {name: url_for("results.get_result", job_id=job.id, format=name) for name in MIMETYPES}
    return Links(
        self=url_for("jobs.get_job", job_id=job.id),
        pages=url_for("results.list_pages", job_id=job.id),
        events=url_for("events.listen", job_id=job.id),
        html=url_for("pages.show_job", job_id=job.id),
        results=results,
    )


def page_values(job: Job, page: Page) -> dict[str, Any]:
    links = {"self": url_for("results.get_page", job_id=job.id, number=page.page_number)}
    if page.has_image:
        links["image"] = url_for("results.get_image", job_id=job.id, number=page.page_number)
    names = (
        "engine", "stop_reason", "tokens", "seconds", "width", "height", "rotation", "cached", "text_layer_recall",
        "confidence", "notices",
    )  # fmt: skip
    return {name: getattr(page, name) for name in (*names, "seq")} | {
        "page_number": page.page_number,
        "state": page.state,
        "fault": page_fault(page),
        "corrected_at": iso_time(page.corrected_at) if page.corrected_at else None,
        "notice": page_notice(page),
        "attempts": list(page.attempts),
        "links": links,
    }


def page_fault(page: Page) -> Fault | None:
    reason = page.reason or ("cancelled" if page.state == "cancelled" else "")
    return Fault(reason=reason, detail=explain(reason, page.detail)) if reason else None


def page_notice(page: Page) -> str:
    """Words about a page that was read but may lack something, or have something that is not there."""
    if page.corrected_at:
        return ""  # somebody has looked at it
    words = describe(notice for notice in page.notices if notice != page.reason)
    if page.text_layer_recall is None or page.text_layer_recall >= LOW_RECALL:
        return words
    share = round(100 * page.text_layer_recall)
    found = f"Only {share}% of the words in the PDF's own text are in this reading. Compare it with the page."
    return f"{words} {found}".strip()


def page_out(job: Job, page: Page) -> PageOut:
    return PageOut(**page_values(job, page))


def page_text_out(job: Job, page: Page, *, as_read: bool = False) -> PageTextOut:
    """The page with its text: what has been read so far, if it is being read, else what it had or has.

    What a person corrected stands for what was read, unless the page is wanted as it was read.
    """
    so_far = text_so_far(job, page)
    content = read_content(page) if as_read else content_of(job.id, page)
    content = {"text": so_far} if so_far else content
    is_early = bool(so_far) or awaits_layout(page, content)
    blocks = [] if is_early else [BlockOut(**block.to_json()) for block in blocks_of(page, content)]
    text, lines = content.get("text", ""), content.get("lines", [])
    return PageTextOut(**page_values(job, page), text=text, lines=lines, blocks=blocks)
