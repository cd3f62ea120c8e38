"""How long things are kept: what a cancelled job leaves, jobs that are purged, jobs and folders past their time."""

from __future__ import annotations

import logging
import time

from tasks import chord, passwords
from tasks.app import app
from tasks.archive import load_job, load_pages, pages_at
from tasks.blobs import BlobMissing, job_key
from tasks.cache import forget, trim
from tasks.ids import is_job_id
from tasks.indexing import forget_traces, unindex_job
from tasks.messages import PageTask
from tasks.page_end import remove_intermediates
from tasks.services import get_blobs, get_ledger
from tasks.settings import get_settings
from tasks.uploads import expire_uploads

logger = logging.getLogger(__name__)

ORPHAN_S = 86_400  # after the last write to a job's folder that no record came to; an upload may take hours


@app.task(name="clear_cancelled")
def clear_cancelled(job_id: str) -> None:
    """Remove what Celery keeps of a cancelled job's chord, and what only the engine wanted of its unread pages."""
    job = get_ledger().job(job_id)
    chord.forget(job_id, job.run if job else 1)
    if job is None or job.state != "cancelled":
        return
    found = {int(name[:6]) - 1 for name in get_blobs().names(job_key(job_id, "pages"))}
    for page in pages_at(job, sorted(found)):
        if page.state == "cancelled":
            remove_intermediates(PageTask(job_id=job_id, run=job.run, index=page.index))


def purge_job(job_id: str, *, texts_too: bool = False) -> None:
    """Remove a job and its files for good, whatever is at work on it; with its texts in the page cache if asked.

    The ledger remembers for a day that the job was purged. Whoever writes of a job looks there after each write, and
    takes back what came too late; the reconciler looks again for what a process left that was killed in between.
    """
    job = load_job(job_id)
    kept = load_pages(job) if job and texts_too else []
    about = (job.run, job.owner, job.batch_id) if job else (0, "", "")
    num_runs, cached = get_ledger().purge(job_id, *about)
    remove_remains(job_id, num_runs)
    if texts_too:
        for key in (*cached, *(key for page in kept for key in (page.cache_key, *page.earlier_cache_keys))):
            forget(key)


def remove_remains(job_id: str, num_runs: int) -> None:
    """Remove what a purged job has outside the ledger."""
    chord.forget(job_id, num_runs)
    get_blobs().delete(job_key(job_id))
    unindex_job(job_id)


def sweep_purged() -> None:
    """Look again after purged jobs, each time after twice as long, for a day."""
    for job_id, num_runs in get_ledger().purges_due():
        try:
            remove_remains(job_id, num_runs)
        except OSError as exc:
            logger.warning("job %s was purged and cannot be swept yet: %s", job_id, exc)


@app.task(name="expire_jobs", send_events=False)
def expire_jobs() -> None:
    """Remove jobs, and folders nobody knows, that are older than JOB_TTL_S, and what the page cache has no room for."""
    oldest = time.time() - get_settings().job_ttl_s
    for job_id in get_ledger().jobs_ended_before(oldest):
        purge_job(job_id)
    for job_id in passwords.overdue():
        job = load_job(job_id)
        if job is None or job.has_ended:
            passwords.forget(job_id, job.run if job else 0)
    get_ledger().forget_traces()
    forget_traces()
    expire_uploads()
    trim()
    blobs, ledger = get_blobs(), get_ledger()
    for job_id in ledger.unlisted(list(filter(is_job_id, blobs.names("jobs")))):
        if not ledger.has(job_id) and is_past_its_time(job_id, oldest):
            blobs.delete(job_key(job_id))
            unindex_job(job_id)


def is_past_its_time(job_id: str, oldest: float) -> bool:
    """Whether a folder that the ledger does not know is of a job from before that time, or of none and left alone."""
    try:
        record = get_blobs().read_json(job_key(job_id, "job.json"))
        return float(record["created_at"]) < oldest
    except (BlobMissing, ValueError, TypeError, KeyError):
        return 0 < get_blobs().last_change(job_key(job_id)) < time.time() - ORPHAN_S
