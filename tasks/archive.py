"""The records of jobs that outlive Redis, job.json and pages.jsonl, and the pages' texts: written, and read again."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from itertools import islice
from typing import Any

from tasks.blobs import BlobMissing, job_key, patiently
from tasks.ids import is_job_id
from tasks.ledger.records import Job, Page
from tasks.messages import JobOptions, PageState
from tasks.services import get_blobs, get_ledger
from workers.documents.selection import Selection

logger = logging.getLogger(__name__)

CHUNK = 256  # pages read from the ledger at a time
FILES_AT_ONCE = 8  # records of jobs, which may lie far away
PAGES, NOTABLE = "pages.jsonl", "notable.jsonl"  # all pages of an ended job, in page order; those to name to people
LOST = {
    "reason": "job_lost",
    "detail": "The queue's memory was lost while this job ran; send the document again.",
}


@patiently
def write_job_file(job_id: str) -> None:
    """Write `job.json` as the ledger has the job now."""
    job = get_ledger().job(job_id)
    if job is not None:
        get_blobs().write_json(job_key(job_id, "job.json"), job_record(job))


@patiently
def write_job_record(job_id: str) -> None:
    """Write `job.json`, and once the job has ended its pages, so that both outlive Redis."""
    job = get_ledger().job(job_id)
    if job is None:
        return
    write_job_file(job_id)
    if job.has_ended and job.selection:
        pages = list(iter_pages(job))
        for name, chosen in ((PAGES, pages), (NOTABLE, [page for page in pages if page.is_notable])):
            with get_blobs().writer(job_key(job_id, name), "w") as out:
                out.writelines(page.to_line() for page in chosen)


def job_record(job: Job) -> dict[str, Any]:
    """The job as it is written to files."""
    record = asdict(job)
    record["options"].pop("password")
    return record


def load_job(job_id: str) -> Job | None:
    """The job from the ledger or, when that knows it no more, from its files; None for an unknown id.

    A job that the files show unfinished cannot go on without the ledger: it is reported failed.
    """
    job = get_ledger().job(job_id)
    if job is not None or not is_job_id(job_id) or get_ledger().is_purged(job_id):
        return job
    job = job_on_file(job_id)
    return replace(job, state="failed", error=LOST) if job and not job.has_ended else job


def load_jobs(job_ids: Sequence[str]) -> list[Job]:
    """These jobs, in this order, as far as they are known."""
    found = dict(zip(job_ids, get_ledger().jobs_at(job_ids), strict=True))
    put_away = [job_id for job_id, job in found.items() if job is None]
    if put_away:
        with ThreadPoolExecutor(FILES_AT_ONCE) as threads:
            found |= zip(put_away, threads.map(load_job, put_away), strict=True)
    return [job for job in found.values() if job is not None]


def newest_jobs(owner: str, *, before: float | None = None, limit: int = 50) -> list[Job]:
    """The owner's newest jobs first; `before` is the `created_at` to go on from."""
    return load_jobs(get_ledger().job_ids(owner=owner, before=before, limit=limit))


def load_batch(owner: str, batch_id: str) -> list[Job]:
    """The owner's jobs that were sent together, in the order they came; empty for an unknown batch."""
    return load_jobs(get_ledger().batch_ids(owner, batch_id))


def job_on_file(job_id: str) -> Job | None:
    """The job as its files have it; None where there is none."""
    try:
        record = get_blobs().read_json(job_key(job_id, "job.json"))
    except BlobMissing:
        return None
    return job_of(record)


def job_of(record: dict[str, Any]) -> Job:
    """The job of what `job_record` made."""
    options = JobOptions.from_json(record["options"])
    lists = {name: tuple(record.get(name, ())) for name in ("warnings", "tags", "deliveries")}
    return Job(**(record | lists | {"options": options}))


def iter_pages(job: Job) -> Iterator[Page]:
    """The pages of a job that the ledger has, in page order, those without a record too, read in chunks."""
    indexes = iter(Selection.parse(job.selection)) if job.selection else iter(())
    while chunk := list(islice(indexes, CHUNK)):
        records = get_ledger().pages_at(job.id, chunk)
        pairs = zip(chunk, records, strict=True)
        yield from (page or Page(index=index, state=unseen_state(job)) for index, page in pairs)


def unseen_state(job: Job) -> PageState:
    """The state of a page without a record."""
    return "cancelled" if job.was_cancelled else "queued"


def load_pages(job: Job) -> list[Page]:
    """All pages of a job, from the ledger or from its files, should it be put away even while they are read."""
    if get_ledger().has(job.id):
        pages = list(iter_pages(job))
        if not job.has_ended or get_ledger().has(job.id):
            return pages
    return pages_on_file(job)


def pages_since(job: Job, seq: int) -> list[Page]:
    """The pages of a job that have changed after `seq`, in page order; all of them for 0."""
    if not seq:
        return load_pages(job)
    pages = get_ledger().pages(job.id, seq)
    if not job.has_ended or get_ledger().has(job.id):
        return pages
    return [page for page in pages_on_file(job) if page.seq > seq]


def pages_at(job: Job, indexes: Sequence[int]) -> list[Page]:
    """These pages of a job, from the ledger or from its files, of which no others are read."""
    found = dict(zip(indexes, get_ledger().pages_at(job.id, indexes), strict=True))
    if job.has_ended and not all(found.values()):
        found |= {page.index: page for page in pages_on_file(job, indexes)}
    return [page or Page(index=index, state=unseen_state(job)) for index, page in found.items()]


def notable_pages(job: Job) -> list[Page]:
    """The pages of a job that has ended of which people should hear; most jobs have none, and large ones few."""
    found = None if get_ledger().has(job.id) else notable_on_file(job)
    return [page for page in load_pages(job) if page.is_notable] if found is None else found


def notable_on_file(job: Job) -> list[Page] | None:
    """The same as the job's files have it; None where there is no such file."""
    try:
        with get_blobs().reader(job_key(job.id, NOTABLE)) as lines:
            return [Page.from_line(line) for line in lines]
    except BlobMissing:
        return None


def pages_on_file(job: Job, indexes: Sequence[int] | None = None) -> list[Page]:
    """The pages of a job as its files have them, all or these; none where there is no such file."""
    places = None if indexes is None else set(map(Selection.parse(job.selection).position_of, indexes))
    try:
        with get_blobs().reader(job_key(job.id, PAGES)) as lines:
            return [Page.from_line(line) for place, line in enumerate(lines) if places is None or place in places]
    except BlobMissing:
        return []


def failed_pages(job: Job) -> Selection:
    """The pages of a job that have no text: failed or cancelled."""
    return Selection.of(page.index for page in load_pages(job) if page.state in ("failed", "cancelled"))


def read_content(page: Page) -> dict[str, Any]:
    """A page's text and lines; empty for a page that has none."""
    if not page.blob:
        return {}
    try:
        return dict(get_blobs().read_json(page.blob))
    except BlobMissing:
        logger.error("%s is gone from the store", page.blob)
        return {}
