"""What a job was asked for in another service's words, kept with the job for who asks later."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel

from tasks.blobs import BlobMissing, job_key
from tasks.ledger.records import Job
from tasks.repair import cancel_job
from tasks.services import get_blobs
from web.api.problems import Problem

Order = TypeVar("Order", bound=BaseModel)


def keep_order(job_id: str, name: str, order: BaseModel) -> None:
    """Keep it with the job; raises Problem where the store does not take it, and the job comes to nothing."""
    try:
        get_blobs().write_json(job_key(job_id, name), order.model_dump())
    except OSError as exc:
        cancel_job(job_id)
        raise Problem("storage", "The server could not store what was asked for.") from exc


def kept_order(job: Job, name: str, model: type[Order]) -> Order:
    """What was kept; as if nothing had been said where the job came in otherwise."""
    try:
        return model.model_validate(get_blobs().read_json(job_key(job.id, name)))
    except BlobMissing:
        return model.model_validate({})
