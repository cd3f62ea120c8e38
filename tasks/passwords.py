"""The password of an encrypted PDF: a file in its job's folder, gone as soon as nothing needs it any more.

It never passes through Redis, whose log on disk keeps what was deleted. Encrypting it instead would need a key that
lies beside it, or one more secret that every process has to be given. A repair names the password again; each run has
a file of its own, so that the end of one run takes nothing from the next.
"""

from __future__ import annotations

import time

from tasks.blobs import BlobMissing, job_key
from tasks.services import get_blobs, get_ledger

ENDED = "pf:passwords"  # jobs that have ended and whose searchable PDF is being made, by the time of their end
LONGEST_S = 3600  # for making it; a process may have died at that
PREFIX = "password."


def keep(job_id: str, run: int, password: str) -> None:
    """Keep what opens the job's document for this run and those after it; nothing for an empty one."""
    if password:
        get_blobs().write(job_key(job_id, f"{PREFIX}{run}"), password.encode())


def read(job_id: str, run: int) -> str:
    """What was kept for this run, or for the last one before it; empty where there is nothing."""
    for number in range(run, 0, -1):
        try:
            return get_blobs().read(job_key(job_id, f"{PREFIX}{number}")).decode()
        except BlobMissing:
            continue
    return ""


def forget(job_id: str, run: int) -> None:
    """Remove what was kept for this run and those before it; a job that was never opened has run 0."""
    blobs = get_blobs()
    for name in blobs.names(job_key(job_id)):
        if name.startswith(PREFIX) and int(name.removeprefix(PREFIX)) <= max(run, 1):
            blobs.delete(job_key(job_id, name))
    get_ledger().redis.zrem(ENDED, job_id)


def take_back(job_id: str, run: int) -> None:
    """Remove what was kept for a run that comes to nothing."""
    get_blobs().delete(job_key(job_id, f"{PREFIX}{run}"))


def forget_later(job_id: str) -> None:
    """The job has ended and its searchable PDF is on its way: whoever makes it forgets, or else `overdue` tells."""
    get_ledger().redis.zadd(ENDED, {job_id: time.time()})
    if get_ledger().is_purged(job_id):
        get_ledger().redis.zrem(ENDED, job_id)


def overdue() -> list[str]:
    """Jobs whose password outlived its need, because a process died or a message was lost."""
    return [str(job_id) for job_id in get_ledger().redis.zrangebyscore(ENDED, "-inf", time.time() - LONGEST_S)]
