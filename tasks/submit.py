"""How jobs come in: their files are stored, all of them are entered in one step, and they are sent on their way."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import redis

from tasks.access.keys import LOCAL
from tasks.access.quotas import OverQuota, over_jobs
from tasks.archive import write_job_record
from tasks.blobs import job_key, source_key
from tasks.ids import new_job_id
from tasks.ledger import QueueFull, new_fields
from tasks.messages import JobOptions
from tasks.pipeline import send_split
from tasks.services import get_blobs, get_ledger
from tasks.settings import get_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A job to be: its document as an open file of a known kind, or the URL it will be fetched from."""

    name: str
    options: JobOptions
    source: BinaryIO | None = None
    kind: str = ""
    source_url: str = ""
    id: str = field(default_factory=new_job_id)


def submit_jobs(entries: Sequence[Entry], *, owner: str = LOCAL, batch_id: str = "") -> list[str]:
    """Make a job of each entry, or of none; called by the web. Returns the jobs' ids.

    Raises OSError where the store does not take a file, QueueFull or OverQuota where there are too many jobs, IdTaken
    where a new random id is that of another job; what is stored under it is that job's and stays.
    """
    ids = [entry.id for entry in entries]
    try:
        jobs = {entry.id: fields_of(entry, owner, batch_id, store(entry)) for entry in entries}
        enter(jobs, owner)
    except (OSError, QueueFull, OverQuota, redis.RedisError):
        take_back(ids)
        raise
    try:
        for job_id in ids:
            write_job_record(job_id)
    except OSError:
        for job_id in ids:
            get_ledger().forget(job_id)
        take_back(ids)
        raise
    for job_id in ids:
        send_split(job_id)
    return ids


def store(entry: Entry) -> int:
    """Store the entry's file, if it has one; its size in bytes."""
    if entry.source is None:
        return 0
    with get_blobs().writer(source_key(entry.id, entry.kind)) as out:
        shutil.copyfileobj(entry.source, out)
        return int(out.tell())


def fields_of(entry: Entry, owner: str, batch_id: str, size: int) -> dict[str, Any]:
    return new_fields(
        owner=owner,
        name=entry.name,
        kind=entry.kind,
        size=size,
        options=entry.options,
        batch_id=batch_id,
        source_url=entry.source_url,
    )


def enter(jobs: dict[str, dict[str, Any]], owner: str) -> None:
    settings = get_settings()
    most_of_owner = 0 if owner == LOCAL else settings.key_active_jobs
    try:
        get_ledger().create_all(jobs, most=settings.max_jobs_queued, most_of_owner=most_of_owner)
    except QueueFull as exc:
        if exc.is_owners:
            raise over_jobs(most_of_owner) from exc
        raise


def take_back(job_ids: Sequence[str]) -> None:
    """Remove what was stored of jobs that come to nothing."""
    for job_id in job_ids:
        get_blobs().delete(job_key(job_id))
