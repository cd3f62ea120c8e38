"""docling-serve v1: conversions that are waited for, and tasks that are polled. A task is a job, by the same id."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response
from pydantic import BaseModel, Field

from tasks.ledger.records import Job
from web.api.health import AliveOut
from web.api.jobs import find_job, with_room
from web.api.outputs import Answers
from web.api.problems import Problem
from web.api.shown import job_fault, queue_position
from web.api.uploads import Submitted
from web.api.waiting import MOST_WAIT_S, wait_for_end
from web.compat.answers import REFUSALS, wait_for_job
from web.compat.docling_answers import STATUS_OF, answer_with_document, answer_with_failure
from web.compat.docling_chunk_answers import answer_with_chunks, chunks_of_failure
from web.compat.docling_orders import Order, submit_form, submit_source
from web.compat.orders import keep_order, kept_order

TAG = {"name": "docling-serve", "description": "The calls of docling-serve v1, for its clients."}
HIDDEN = ("target", "chunks")  # which are not among the options
OPTIONS = {name: schema for name, schema in Order.model_json_schema()["properties"].items() if name not in HIDDEN}
FORM_FIELDS = {"files": {"type": "string", "format": "binary"}, "target_type": {"enum": ["inbody", "zip"]}} | OPTIONS
FORM = {"multipart/form-data": {"schema": {"type": "object", "required": ["files"], "properties": FORM_FIELDS}}}
SOURCE = {
    "type": "object",
    "description": "`kind` is `file`, with `base64_string` and `filename`, or `http`, with `url`.",
    "properties": {name: {"type": "string"} for name in ("kind", "base64_string", "filename", "url")},
}
JSON_FIELDS = {
    "options": {"type": "object", "properties": OPTIONS},
    "sources": {"type": "array", "minItems": 1, "maxItems": 1, "items": SOURCE},
    "target": {"type": "object", "properties": {"kind": {"enum": ["inbody", "zip"]}}},
}
JSON = {"application/json": {"schema": {"type": "object", "required": ["sources"], "properties": JSON_FIELDS}}}
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("/v1/convert/file", "post"): FORM,
    ("/v1/convert/file/async", "post"): FORM,
    ("/v1/convert/source", "post"): JSON,
    ("/v1/convert/source/async", "post"): JSON,
}
DOCUMENT: dict[str, dict[str, Any]] = {
    "application/json": {"schema": {"type": "object", "required": ["document", "status", "errors"]}},
    "application/zip": {"schema": {"type": "string", "format": "binary"}},
}
ANSWERS: Answers = {**REFUSALS, 200: {"description": "The document", "content": DOCUMENT}}
RESULT_ANSWERS: Answers = {
    200: {"description": "The document, or in `errors` why there is none", "content": DOCUMENT},
    404: {"description": "No such task, or it has not ended"},
    503: {"description": "A store is away"},
}
ORDER = "docling.json"  # what a task was asked for, among its job's files

bp = APIBlueprint("docling", __name__, tag=TAG)


class TaskOut(BaseModel):
    """A conversion that is under way, or has ended."""

    task_id: str
    task_type: str = Field(description="`convert` or `chunk`.")
    task_status: str = Field(description="`pending`, `started`, `success` or `failure`.")
    task_position: int | None
    error_message: str | None


class PollQuery(BaseModel):
    wait: float = Field(0, ge=0, description="Seconds to wait for the end.")


@bp.get("/health")
@bp.output(AliveOut)
@bp.doc(operation_id="doclingHealth")
def health() -> AliveOut:
    """Whether the web process answers"""
    return AliveOut(status="ok")


@bp.post("/v1/convert/file")
@with_room
@bp.doc(operation_id="doclingConvertFile", responses=ANSWERS)
def convert_file() -> Response:
    """Convert a file

    The answer comes when all pages have been read; a client that hangs up cancels its job. Options that mean nothing
    here are left out of account.
    """
    submitted, order = submit_form()
    return answer(wait_for_job(submitted), order)


@bp.post("/v1/convert/source")
@with_room
@bp.doc(operation_id="doclingConvertSource", responses=ANSWERS)
def convert_source() -> Response:
    """Convert a file in JSON, or the document at a URL"""
    submitted, order = submit_source()
    return answer(wait_for_job(submitted), order)


@bp.post("/v1/convert/file/async")
@with_room
@bp.output(TaskOut)
@bp.doc(operation_id="doclingConvertFileAsync", responses=REFUSALS)
def convert_file_async() -> TaskOut:
    """Begin to convert a file"""
    return begin(*submit_form())


@bp.post("/v1/convert/source/async")
@with_room
@bp.output(TaskOut)
@bp.doc(operation_id="doclingConvertSourceAsync", responses=REFUSALS)
def convert_source_async() -> TaskOut:
    """Begin to convert a file in JSON, or the document at a URL"""
    return begin(*submit_source())


def begin(submitted: Submitted, order: Order) -> TaskOut:
    job_id = submitted[1][0]
    keep_order(job_id, ORDER, order)
    return task_out(find_job(job_id), order)


@bp.get("/v1/status/poll/<task_id>")
@bp.input(PollQuery, location="query")
@bp.output(TaskOut)
@bp.doc(operation_id="doclingPoll", responses={404: "No such task", 503: "Job store away"})
def poll(task_id: str, query_data: PollQuery) -> TaskOut:
    """Follow a conversion

    With `wait`, the answer comes at the end of the job, or when the time is over.
    """
    order = kept_order(find_task(task_id), ORDER, Order)
    return task_out(wait_for_end(task_id, min(query_data.wait, MOST_WAIT_S), cancel_if_left=False), order)


@bp.get("/v1/result/<task_id>")
@bp.doc(operation_id="doclingResult", responses=RESULT_ANSWERS)
def get_result(task_id: str) -> Response:
    """The document of a conversion that has ended"""
    job = find_task(task_id)
    if not job.has_ended:
        raise Problem("unknown-job", "Task result not found. Please wait for a completion status.")
    order = kept_order(job, ORDER, Order)
    try:
        return answer(job, order)
    except Problem as exc:
        if exc.kind != "no-result":
            raise
        return chunks_of_failure(job, exc.detail) if order.chunks else answer_with_failure(job, exc.detail)


def answer(job: Job, order: Order) -> Response:
    """What was asked for of a job that has ended. Raises Problem where it ended without a result."""
    return answer_with_chunks(job, order, order.chunks) if order.chunks else answer_with_document(job, order)


def find_task(task_id: str) -> Job:
    """The asker's job; raises Problem in the words that docling's client knows."""
    try:
        return find_job(task_id)
    except Problem as exc:
        raise Problem("unknown-job", "Task not found.") from exc


def task_out(job: Job, order: Order) -> TaskOut:
    fault = job_fault(job)
    status = STATUS_OF.get(job.state, "pending" if job.state == "queued" else "started")
    return TaskOut(
        task_id=job.id,
        task_type="chunk" if order.chunks else "convert",
        task_status="success" if status == "partial_success" else status,
        task_position=queue_position(job),
        error_message=fault.detail if fault else None,
    )
