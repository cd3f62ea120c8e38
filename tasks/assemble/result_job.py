"""The job as results in JSON have it: in the words of the REST API, and as it is when the result is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from tasks.archive import job_record
from tasks.ledger.records import Job
from workers.net.targets import without_secret
from workers.results.json_file import job_line

PRIORITIES = {1: "low", 2: "normal", 4: "high"}  # by their weights
TIMES = ("created_at", "started_at", "changed_at", "ended_at")


def result_job(job: Job) -> dict[str, Any]:
    """The record with times in ISO 8601, UTC, and the priority by its name."""
    record = job_record(job)
    record |= {name: iso_time(record[name]) if record[name] else None for name in TIMES}
    record["options"]["priority"] = PRIORITIES.get(job.options.priority, "normal")
    del record["pages_told"]
    record["options"]["target_url"] = without_secret(job.options.target_url)
    record["deliveries"] = [attempt | {"at": iso_time(attempt["at"])} for attempt in job.deliveries]
    return record


def iso_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def with_job(pieces: Iterator[bytes], job: Job) -> Iterator[bytes]:
    """A result as it was written before the job had ended, with the job as it is now: its second line."""
    head = b""
    for piece in pieces:
        head += piece
        if head.count(b"\n") >= 2:
            break
    first, _, rest = head.partition(b"\n")
    yield first + b"\n" + job_line(result_job(job)).encode() + rest.partition(b"\n")[2]
    yield from pieces
