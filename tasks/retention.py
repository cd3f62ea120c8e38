"""How long things are kept: what a cancelled job leaves, jobs that are purged, jobs and folders past their time."""

from __future__ import annotations

import time

from tasks import chord
from tasks.app import app
from tasks.blobs import BlobMissing, job_key
from tasks.cache import trim
from tasks.ids import is_job_id
from tasks.services import get_blobs, get_ledger
from tasks.settings import get_settings


@app.task(name="clear_cancelled")
def clear_cancelled(job_id: str, purge: bool) -> None:
    """Remove what Celery keeps of a cancelled job's chord, and what its last pages wrote."""
    job = get_ledger().job(job_id)
    chord.forget(job_id, job.run if job else 1)
    if purge:
        get_blobs().delete(job_key(job_id))


def purge_job(job_id: str) -> None:
    """Remove a job and its files for good."""
    get_ledger().forget(job_id)
    get_blobs().delete(job_key(job_id))


@app.task(name="expire_jobs", send_events=False)
def expire_jobs() -> None:
    """Remove jobs, and folders nobody knows, that are older than JOB_TTL_S, and what the page cache has no room for."""
    oldest = time.time() - get_settings().job_ttl_s
    for job_id in get_ledger().jobs_ended_before(oldest):
        purge_job(job_id)
    trim()
    blobs = get_blobs()
    for job_id in filter(is_job_id, blobs.names("jobs")):
        if get_ledger().job(job_id) is None and folder_is_older(job_id, oldest):
            blobs.delete(job_key(job_id))


def folder_is_older(job_id: str, time_s: float) -> bool:
    try:
        record = get_blobs().read_json(job_key(job_id, "job.json"))
    except (BlobMissing, ValueError):
        return False
    return float(record["created_at"]) < time_s
