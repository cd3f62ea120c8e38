"""Links that let anybody read one document for a while: signed with a key of the job, which goes with it.

A link is good until the time it names, until sharing is stopped, which removes the key, and only as long as the owner's
own key is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time

from tasks.access.keys import get_keyring
from tasks.blobs import BlobMissing, job_key
from tasks.ledger.records import Job
from tasks.services import get_blobs

FORM = re.compile(r"([0-9]{10})\.([A-Za-z0-9_-]{43})")
DAY_S = 86_400


def make_share(job: Job, days: int) -> tuple[str, float]:
    """A token for the job, and the Unix time until which it is good."""
    key = read_key(job.id)
    if key is None:
        key = secrets.token_bytes(32)
        get_blobs().write(key_path(job.id), key)
    until = int(time.time()) + days * DAY_S
    return f"{until}.{signature(key, job.id, until)}", float(until)


def stop_sharing(job_id: str) -> None:
    """No link made until now is good any more."""
    get_blobs().delete(key_path(job_id))


def is_shared(job: Job, token: str) -> bool:
    """Whether the token lets its holder read this job now."""
    form, key = FORM.fullmatch(token), read_key(job.id)
    if form is None or key is None or int(form[1]) < time.time() or not get_keyring().knows(job.owner):
        return False
    return hmac.compare_digest(form[2], signature(key, job.id, int(form[1])))


def read_key(job_id: str) -> bytes | None:
    try:
        return get_blobs().read(key_path(job_id))
    except BlobMissing:
        return None


def key_path(job_id: str) -> str:
    return job_key(job_id, "share.key")


def signature(key: bytes, job_id: str, until: int) -> str:
    digest = hmac.digest(key, f"{job_id}.{until}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
