"""What the full-text index has of a job, put there whenever the record of a job that has ended is written."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator
from typing import Any

from tasks.archive import job_record, load_job, load_pages
from tasks.assemble.content import content_of
from tasks.ids import BadKey, is_job_id
from tasks.index import Entry, get_index
from tasks.ledger.records import Job, Page
from tasks.services import get_blobs, get_ledger

logger = logging.getLogger(__name__)


def index_job(job_id: str) -> bool:
    """Let a job that has ended be found by what was read; whether that was done. What keeps it from it is logged."""
    index, job = get_index(), load_job(job_id)
    if index is None or job is None or not job.has_ended:
        return False
    pages = load_pages(job)
    entry = Entry(id=job.id, owner=job.owner, name=job.name, record=json.dumps(record_of(job, pages)))
    try:
        index.enter(entry, texts_of(job, pages))
    except (sqlite3.Error, OSError) as exc:
        logger.warning("job %s is not in the full-text index, `pagefan reindex` enters it: %s", job_id, exc)
        return False
    if get_ledger().is_purged(job_id):
        unindex_job(job_id)
    return True


def record_of(job: Job, pages: list[Page]) -> dict[str, Any]:
    """What a job is chosen by: its record, and what read its pages."""
    return {"job": job_record(job), "engines": sorted({page.engine for page in pages if page.engine})}


def texts_of(job: Job, pages: list[Page]) -> Iterator[tuple[int, str]]:
    for page in pages:
        if text := content_of(job.id, page).get("text", ""):
            yield page.page_number, text


def unindex_job(job_id: str) -> None:
    """Let nothing of a job be found; called again for a day after a purge, so that a busy file is no error."""
    if index := get_index():
        try:
            index.remove(job_id)
        except (sqlite3.Error, OSError) as exc:
            logger.warning("job %s is still in the full-text index: %s", job_id, exc)


def reindex() -> tuple[int, int]:
    """Make the index anew from the files of all jobs; returns how many are in it, and how many could not be entered.

    Jobs that end meanwhile enter themselves. Raises ValueError where there is no index.
    """
    index = get_index()
    if index is None:
        raise ValueError("BLOB_URL is no local folder, and only there is a full-text index")
    index.clear()
    done = failed = 0
    for job_id in filter(is_job_id, get_blobs().names("jobs")):
        try:
            done += index_job(job_id)
        except (ValueError, KeyError, TypeError, BadKey) as exc:
            failed += 1
            logger.warning("job %s cannot be read and is left out of the index: %s", job_id, exc)
    return done, failed


def forget_traces() -> None:
    """Write the index anew without the words of jobs that are gone."""
    if index := get_index():
        try:
            index.forget_traces()
        except sqlite3.Error as exc:
            logger.warning("the full-text index keeps words of jobs that are gone for now: %s", exc)
