"""Attached documents: the PDFs and images within a PDF become jobs of its batch, each once however often this is tried.

An attached file's job has an id that comes from its document's and its place there, and the ledger takes an id once,
also that of a job that has been purged. So a worker may be lost at any moment, and the next try goes on.
"""

from __future__ import annotations

import logging
import tempfile
from dataclasses import replace
from pathlib import Path

import redis

from tasks import passwords
from tasks.access.quotas import OverQuota
from tasks.archive import write_job_record
from tasks.blobs import source_key
from tasks.entries import Entry, enter, fields_of, store, take_back
from tasks.ids import attachment_id
from tasks.ledger import IdTaken, QueueFull
from tasks.ledger.records import Job
from tasks.runs import password_of
from tasks.services import get_blobs, get_ledger, get_sandbox
from tasks.settings import get_settings
from workers.documents.attachments import Attachment, read_index
from workers.documents.kinds import DocumentError
from workers.documents.open import save_attached
from workers.sandbox.sandbox import SandboxDied, SandboxTimeout

logger = logging.getLogger(__name__)

MOST_FILES = 200  # of a document, as of an upload
SIZE_FACTOR = 5  # all files of a document together may have so many times the largest size of one
NAMED = 10  # files that are not read, in the warning
MIB = 1 << 20


def take_attachments(job_id: str) -> tuple[list[str], tuple[str, ...]]:
    """Make a job of each PDF and image within the job's document; the ids of those still to be sent, and warnings.

    Raises OSError where the store does not take a file; to try again makes nothing twice.
    """
    job = get_ledger().job(job_id)
    if job is None or not job.options.attachments or job.kind != "pdf":
        return [], ()
    with tempfile.TemporaryDirectory(prefix="pagefan-") as name:
        is_whole = unpack(job, Path(name))
        found = read_index(Path(name))
        unread = [(one.name, fault) for one in found if (fault := one.fault or take(job, one, Path(name)))]
    ids = (attachment_id(job.id, one.number) for one in found if one.kind)
    waiting = [one for one in map(get_ledger().job, ids) if one is not None and one.state == "queued"]
    return [one.id for one in waiting], warnings_of(unread, is_whole=is_whole)


def unpack(job: Job, folder: Path) -> bool:
    """Write the attached files to the folder, where they are read from; False where that came to no end."""
    settings = get_settings()
    max_bytes = settings.max_upload_mb * MIB
    try:
        get_sandbox().run(
            save_attached,
            get_blobs().local(source_key(job.id, job.kind)),
            folder,
            password=password_of(job, run=1),
            most=MOST_FILES,
            max_bytes=max_bytes,
            max_total=SIZE_FACTOR * max_bytes,
            timeout_s=settings.open_timeout_s,
        )
    except (SandboxTimeout, SandboxDied, DocumentError) as exc:
        logger.warning("job %s: its attached files could not all be unpacked: %s", job.id, exc)
        return False
    except (OSError, redis.RedisError):
        raise
    except Exception:  # whatever a reader raises at a hostile file
        logger.warning("job %s: its attached files could not be unpacked", job.id, exc_info=True)
        return False
    return True


def take(job: Job, attached: Attachment, folder: Path) -> str:
    """Enter the job of one attached file, if it has none yet; returns why that cannot be, or ""."""
    ledger, job_id = get_ledger(), attachment_id(job.id, attached.number)
    if ledger.job(job_id) is not None or ledger.is_purged(job_id):
        return ""
    if (now := ledger.job(job.id)) is None or now.has_ended:
        return "the job was cancelled"
    options = replace(job.options, attachments=False, pages="", password=password_of(job, run=1))
    with (folder / str(attached.number)).open("rb") as source:
        entry = Entry(
            id=job_id,
            name=attached.name,
            kind=attached.kind,
            options=options,
            source=source,
            parent=job.id,
            metadata=job.metadata,
            tags=job.tags,
        )
        fields = fields_of(entry, job.owner, job.batch_id, store(entry))
    try:
        enter({job_id: fields}, job.owner)
    except IdTaken:  # by another try, a moment ago
        if (taken := ledger.job(job_id)) is None or taken.has_ended:
            passwords.take_back(job_id, 1)
        return ""
    except (QueueFull, OverQuota):
        take_back([job_id])
        return "there were too many unfinished jobs"
    write_job_record(job_id)
    return ""


def warnings_of(unread: list[tuple[str, str]], *, is_whole: bool) -> tuple[str, ...]:
    """Warnings that name the attached files which are not read, and why."""
    found = []
    if unread:
        few = ", ".join(f"{name} ({fault})" for name, fault in unread[:NAMED]) + (", …" if len(unread) > NAMED else "")
        found.append(f"Attached to the PDF and not read: {few}. Save what you need from it, and send that.")
    if not is_whole:
        found.append("Not all files within the PDF could be unpacked. Save what you need from it, and send that.")
    return tuple(found)
