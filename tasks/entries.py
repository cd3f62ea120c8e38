"""What becomes a job: its file is stored, and it is entered together with its like or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

from tasks import passwords
from tasks.access.keys import LOCAL
from tasks.access.quotas import over_jobs
from tasks.blobs import job_key, source_key
from tasks.ids import new_job_id
from tasks.ledger import QueueFull, new_fields
from tasks.messages import JobOptions
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
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    parent: str = ""  # the job of the document that this one was attached to
    id: str = field(default_factory=new_job_id)


def store(entry: Entry) -> int:
    """Store the entry's file, if it has one, and its password; the file's size in bytes."""
    passwords.keep(entry.id, 1, entry.options.password)
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
        options=replace(entry.options, password="", has_password=bool(entry.options.password)),
        batch_id=batch_id,
        source_url=entry.source_url,
        parent=entry.parent,
        metadata=entry.metadata,
        tags=entry.tags,
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
