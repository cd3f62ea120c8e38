"""Files that arrive: written to disk as they come, refused once too large, known by their content."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import BinaryIO, cast
from urllib.parse import unquote

from flask import g
from werkzeug.datastructures import FileStorage

from tasks.access.quotas import check_room
from tasks.ledger import QueueFull
from tasks.services import get_ledger
from tasks.settings import get_settings
from tasks.storage import list_documents
from tasks.submit import Entry, submit_jobs
from web.api.inputs import JobFields, UrlFields
from web.api.languages import refuse_unknown
from web.api.problems import Problem
from workers.documents.kinds import EXTENSIONS, HEAD_BYTES, DocumentError, sniff
from workers.documents.names import clean_name
from workers.net.addresses import FetchError, parse_url
from workers.net.places import is_many, is_storage

Submitted = tuple[str, list[str]]  # batch id, job ids
OF_REASON = {"empty_file": "empty-file", "corrupt": "damaged-file"}


def refuse_when_full() -> None:
    """Admission control, before the body is read; what counts is asked again when the jobs are entered."""
    if get_ledger().num_active() >= get_settings().max_jobs_queued:
        raise queue_full()
    check_room(g.owner, 1)


def queue_full() -> Problem:
    detail = "The server has as many unfinished jobs as it takes."
    return Problem("queue-full", detail, {"Retry-After": "30"})


def submit_files(files: Sequence[FileStorage], fields: JobFields) -> Submitted:
    """Make a job of each file, once all can be read; returns the batch's id and the jobs' ids."""
    return submit(entries_of(files, fields), fields.batch_id)


def submit_link(fields: UrlFields) -> Submitted:
    """Make a job of a URL, whose document a worker fetches; returns the batch's id and the job's."""
    if is_many(fields.url):
        errors = [{"option": "url", "message": "name one document; POST /jobs takes folders and patterns"}]
        raise Problem("invalid-options", "url: this call takes one document", extra={"errors": errors})
    return submit_links(fields)


def submit_links(fields: UrlFields) -> Submitted:
    """Make a job of a URL, or of each document that a folder or a pattern of a storage names."""
    return submit(entries_of_link(fields), fields.batch_id)


def submit(entries: Sequence[Entry], batch_id: str) -> Submitted:
    """Make a job of each entry, or of none of them."""
    check_room(g.owner, len(entries))
    refuse_shared_target(entries)
    for language, engine in {(entry.options.language, entry.options.engine) for entry in entries}:
        refuse_unknown(language, engine)
    batch_id = batch_id or secrets.token_hex(8)
    try:
        return batch_id, submit_jobs(entries, owner=g.owner, batch_id=batch_id)
    except QueueFull as exc:
        raise queue_full() from exc
    except OSError as exc:
        raise Problem("storage", "The server could not store the file.") from exc


def refuse_shared_target(entries: Sequence[Entry]) -> None:
    """A signed URL takes one file, and of several the last would be left."""
    if len(entries) > 1 and any((url := entry.options.target_url) and not is_storage(url) for entry in entries):
        errors = [{"option": "target_url", "message": "a signed URL takes the result of one document"}]
        raise Problem("invalid-options", "target_url: send one document with a signed URL", extra={"errors": errors})


def entries_of(files: Sequence[FileStorage], fields: JobFields) -> list[Entry]:
    options = fields.to_options()
    return [
        Entry(
            source=cast("BinaryIO", file.stream),
            name=clean_name(file.filename),
            kind=recognise(file),
            options=options,
            metadata=fields.metadata,
            tags=tuple(fields.tags),
        )
        for file in files
    ]


def entries_of_link(fields: UrlFields) -> list[Entry]:
    """Raises Problem where the documents of a storage cannot be listed."""
    options = fields.to_options()
    return [
        Entry(
            source_url=url,
            name=clean_name(url if is_storage(url) else unquote(parse_url(url).path.partition("?")[0])),
            options=options,
            metadata=fields.metadata,
            tags=tuple(fields.tags),
        )
        for url in (list_patiently(fields.url) if is_many(fields.url) else [fields.url])
    ]


def list_patiently(url: str) -> list[str]:
    try:
        return list_documents(url, g.owner)
    except FetchError as exc:
        if exc.is_transient:
            raise Problem("busy", exc.detail, {"Retry-After": "5"}) from exc
        raise Problem("no-documents", exc.detail) from exc


def recognise(file: FileStorage) -> str:
    """The file's kind by its content; raises Problem for one that cannot be read."""
    head, name = file.stream.read(HEAD_BYTES), clean_name(file.filename)
    file.stream.seek(0)
    try:
        return sniff(head, name)
    except DocumentError as exc:
        kind = OF_REASON.get(exc.reason, "unsupported-format")
        extra = {"reason": exc.reason, "formats": list(EXTENSIONS)}
        raise Problem(kind, f"{name}: {exc.detail}", extra=extra) from exc
