"""The first step on a document: fetch it where a URL names it, so that no web request waits for that; then open it."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from tenacity import retry, retry_if_exception, stop_after_attempt, wait_random_exponential

from tasks.access.quotas import charge_pages
from tasks.blobs import BlobMissing, source_key
from tasks.ledger import UnknownJob
from tasks.ledger.records import Job
from tasks.runs import password_of
from tasks.services import engine_name, engine_options, get_blobs, get_ledger, get_sandbox, lane_of
from tasks.settings import document_limits, get_settings
from tasks.storage import read_document
from workers.documents.kinds import HEAD_BYTES, DocumentError, sniff
from workers.documents.open import DocumentInfo, inspect_document
from workers.documents.selection import Selection, select_pages
from workers.net.fetch import Fetched, fetch
from workers.net.places import is_storage
from workers.sandbox.sandbox import SandboxDied, SandboxTimeout

logger = logging.getLogger(__name__)

ATTEMPTS = 3
OPEN_TRIES = 2
NAMED = 5  # attached files, in a warning
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
    with tempfile.NamedTemporaryFile() as file:
        fetched = fetch_patiently(job, Path(file.name))
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
def fetch_patiently(job: Job, path: Path) -> Fetched:
    """Fetch to a file, again where the other side had a passing trouble. Raises FetchError."""
    if is_storage(job.source_url):
        return read_document(job.source_url, job.owner, path)
    settings = get_settings()
    max_bytes = settings.max_upload_mb * 2**20
    with path.open("wb") as file:
        return fetch(
            job.source_url,
            file,
            rules=settings.address_rules(),
            max_bytes=max_bytes,
            timeout_s=settings.fetch_timeout_s,
        )


def open_document(job_id: str) -> tuple[int, Selection, tuple[str, ...]]:
    """Number of pages, the pages chosen and warnings. Raises DocumentError for a file that is no use, OverQuota."""
    job = get_ledger().job(job_id)
    if job is None:
        raise UnknownJob(f"no job has the id {job_id}")
    try:
        path = get_blobs().local(source_key(job_id, job.kind))
    except BlobMissing as exc:
        raise DocumentError("source_lost", "The uploaded file is gone from the store; send it again.") from exc
    info = inspect_patiently(path, password_of(job, run=1))
    try:
        selection = select_pages(job.options.pages, info.num_pages)
    except ValueError as exc:
        raise DocumentError("bad_pages", str(exc)) from exc
    charge_pages(job.owner, f"{job_id}.1", len(selection))
    attached = () if job.options.attachments else attached_warning(info.attached)
    return (
        info.num_pages,
        selection,
        (*info.warnings, *attached, *language_warning(job.options.language, job.options.engine)),
    )


def attached_warning(names: Sequence[str]) -> tuple[str, ...]:
    """A warning where files are attached to the document that are not read."""
    if not names:
        return ()
    few = ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
    files = "A file is" if len(names) == 1 else f"{len(names)} files are"
    return (f"{files} attached to the PDF and not read: {few}. The option `attachments` reads PDFs and images.",)


def language_warning(language: str, engine: str) -> tuple[str, ...]:
    """A warning where a language is asked of an engine that knows none."""
    lane = lane_of(engine)
    if not language or engine_options(lane).knows_languages:
        return ()
    return (f"`language={language}` changed nothing: the engine `{engine_name(lane)}` is not told languages.",)


def inspect_patiently(path: Path, password: str) -> DocumentInfo:
    """What is known of the document, at a second try where the first one crashed. Raises DocumentError."""
    timeout_s, failure = get_settings().open_timeout_s, ""
    for attempt in range(1, OPEN_TRIES + 1):
        try:
            return get_sandbox().run(
                inspect_document, path, password=password, limits=document_limits(), timeout_s=timeout_s
            )
        except DocumentError:
            raise
        except SandboxTimeout as exc:
            raise DocumentError("timeout", f"Opening took over {timeout_s:g} s; save it anew.") from exc
        except SandboxDied as exc:
            logger.warning("%s: the process that opened it died (%d): %s", path.name, attempt, exc)
            failure = "crashes"
        except Exception:  # whatever a reader raises at a hostile file
            logger.warning("%s could not be opened (%d)", path.name, attempt, exc_info=True)
            failure = "confuses"
    detail = f"The file {failure} the reader that opens it; save or print it anew."
    raise DocumentError("corrupt", detail)


def unexpected(exc: Exception) -> tuple[str, str]:
    """The reason and the sentence of a job whose split has raised what nobody expected."""
    if isinstance(exc, OSError):
        return "storage", "The document could not be read from the store, or written to it. Send it again later."
    name = type(exc).__name__
    return "corrupt", f"The document could not be opened ({name}). Open it in a viewer, save it anew, and send that."
