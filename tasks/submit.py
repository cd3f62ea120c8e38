"""How jobs come in: their files are stored, all of them are entered in one step, and they are sent on their way."""

from __future__ import annotations

from collections.abc import Sequence

import redis

from tasks.access.keys import LOCAL
from tasks.access.quotas import OverQuota
from tasks.archive import write_job_record
from tasks.entries import Entry, enter, fields_of, store, take_back
from tasks.ledger import QueueFull
from tasks.pipeline import send_split
from tasks.services import get_ledger

__all__ = ["Entry", "submit_jobs"]


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
