"""Documents by URL: the split fetches them first, so that no web request waits for somebody else's server."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
from typing import BinaryIO, cast

from tenacity import retry, retry_if_exception, stop_after_attempt, wait_random_exponential

from tasks.ledger.records import Job
from tasks.runs import source_key
from tasks.services import get_blobs, get_ledger
from tasks.settings import get_settings
from workers.documents.open import HEAD_BYTES, sniff
from workers.net.fetch import Fetched, fetch

logger = logging.getLogger(__name__)

SPOOL_BYTES = 1 << 20
ATTEMPTS = 3
FETCHES_AT_ONCE = 2  # of the threads of a CPU worker; slow servers must not take them all from the pages

_room = threading.BoundedSemaphore(FETCHES_AT_ONCE)


def fetch_source(job_id: str) -> bool:
    """Have the job's document in the store, fetching it if it is named by a URL; False when others are fetched now.

    Raises FetchError, or DocumentError for a file that is none of ours.
    """
    job = get_ledger().job(job_id)
    if job is None or not job.source_url or job.kind:
        return True
    if not _room.acquire(blocking=False):
        return False
    try:
        store_document(job)
    finally:
        _room.release()
    return True


def store_document(job: Job) -> None:
    ledger, blobs = get_ledger(), get_blobs()
    with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as file:
        fetched = fetch_patiently(job.source_url, file)
        file.seek(0)
        kind = sniff(file.read(HEAD_BYTES), fetched.name or job.name)
        file.seek(0)
        with blobs.writer(source_key(job.id, kind)) as out:
            shutil.copyfileobj(file, out)
    if not ledger.set_source(job.id, kind=kind, size=fetched.size):
        blobs.delete(source_key(job.id, kind))  # cancelled meanwhile
    logger.info("job %s: fetched %d bytes", job.id, fetched.size, extra={"job": job.id})


@retry(
    retry=retry_if_exception(lambda exc: getattr(exc, "is_transient", False)),
    wait=wait_random_exponential(multiplier=0.5, max=5),
    stop=stop_after_attempt(ATTEMPTS),
    reraise=True,
)
def fetch_patiently(url: str, file: tempfile.SpooledTemporaryFile[bytes]) -> Fetched:
    """Fetch to an empty file, again where the other side had a passing trouble. Raises FetchError."""
    settings = get_settings()
    file.seek(0)
    file.truncate()
    max_bytes = settings.max_upload_mb * 2**20
    rules = settings.address_rules()
    return fetch(url, cast("BinaryIO", file), rules=rules, max_bytes=max_bytes, timeout_s=settings.fetch_timeout_s)
