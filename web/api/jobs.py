"""REST: jobs are submitted, followed, repaired and cancelled here; `results` has their pages and texts."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from apiflask import APIBlueprint
from flask import Response, g, jsonify, make_response, request
from werkzeug.wrappers import Response as BaseResponse

from tasks.access.once import Submitted
from tasks.archive import load_job
from tasks.ids import is_job_id
from tasks.ledger.records import Job
from tasks.repair import cancel_job, rename_job
from tasks.retention import purge_job
from web.api.changes import get_changes
from web.api.idempotency import fingerprint_of, submit_once
from web.api.inputs import CancelQuery, JobForm, KeyHeader, NameFields, UrlFields, WaitQuery
from web.api.outputs import JobOut, JobsOut
from web.api.problems import Problem
from web.api.repairs import RetryFields, retry_pages
from web.api.shown import job_out
from web.api.uploads import refuse_when_full, submit_files, submit_links
from workers.documents.names import clean_name

TAG = {"name": "Jobs", "description": "Send documents, follow, repair and cancel them."}

bp = APIBlueprint("jobs", __name__, url_prefix="/api/v1", tag=TAG)

POLL_AGAIN_S = 1
PAUSE_S = 0.1  # least time between two looks at a job that is waited for, unless its state has changed


def find_job(job_id: str) -> Job:
    """The asker's job; raises Problem for any other, as if it had never been."""
    job = load_job(job_id) if is_job_id(job_id) else None
    if job is None or job.owner != g.owner:
        raise Problem("unknown-job")
    return job


def with_room(view: Any) -> Any:
    """Refuse the request before its body is read while the queue is full."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        refuse_when_full()
        return view(*args, **kwargs)

    return guarded


@bp.input(UrlFields, location="json")
@bp.input(KeyHeader, location="headers")
def create_from_url(json_data: UrlFields, headers_data: KeyHeader) -> BaseResponse:
    """The same call with a JSON body."""
    key = headers_data.idempotency_key
    return answer_created(*submit_or_recall(key, fingerprint_of([], json_data), partial(submit_links, json_data)))


def or_json(json_view: Any) -> Callable[[Any], Any]:
    """Let another view answer the requests whose body is JSON."""

    def decorate(view: Any) -> Any:
        @wraps(view)
        def dispatched(*args: Any, **kwargs: Any) -> Any:
            return json_view() if request.mimetype == "application/json" else view(*args, **kwargs)

        return dispatched

    return decorate


@bp.post("/jobs")
@with_room
@or_json(create_from_url)
@bp.input(JobForm, location="form_and_files")
@bp.input(KeyHeader, location="headers")
@bp.output(JobsOut, status_code=202)
@bp.doc(responses=[409, 413, 415, 429, 503], operation_id="createJobs")
def create_jobs(form_and_files_data: JobForm, headers_data: KeyHeader) -> BaseResponse:
    """Send documents

    Send one file or more as multipart/form-data in the field `file`; each becomes a job, and the jobs of one
    request share a `batch_id`. The answer comes as soon as the files are stored. `Location` is the address of the
    first job. A request that may be sent twice carries an `Idempotency-Key` of its own.

    Or name one document by its `url`, with the same options, in a body of application/json. A worker fetches it; an
    address that cannot be fetched fails the job, and its `error` says why. A folder or a pattern of a storage that the
    server knows, such as `s3://bucket/folder/`, makes a job of each document in it.
    """
    form, key = form_and_files_data, headers_data.idempotency_key
    fingerprint = fingerprint_of(form.file, form) if key else ""
    return answer_created(*submit_or_recall(key, fingerprint, partial(submit_files, form.file, form)))


def submit_or_recall(key: str, fingerprint: str, submit: Callable[[], Submitted]) -> tuple[Submitted, bool]:
    """What `submit` makes, and whether an earlier request with this Idempotency-Key made it."""
    return submit_once(key, fingerprint, submit) if key else (submit(), False)


def answer_created(submitted: Submitted, is_replay: bool) -> BaseResponse:
    batch_id, job_ids = submitted
    jobs = [job_out(find_job(job_id)) for job_id in job_ids]
    response = make_response(jsonify(JobsOut(batch_id=batch_id, jobs=jobs).model_dump(mode="json")), 202)
    response.headers["Location"] = jobs[0].links.self
    if is_replay:
        response.headers["Idempotency-Replayed"] = "true"
    return response


@bp.get("/jobs/<job_id>")
@bp.input(WaitQuery, location="query")
@bp.output(JobOut)
@bp.doc(responses={304: "Not changed since the ETag", 404: "Unknown job", 503: "Job store away"}, operation_id="getJob")
def get_job(job_id: str, query_data: WaitQuery) -> BaseResponse:
    """Follow a job

    With `wait`, the answer comes when the job's state changes or the time is over, whichever is first. While the
    job runs, `Retry-After` says when to ask again. `ETag` changes with every page.
    """
    job = find_job(job_id)
    if query_data.wait and not job.has_ended:
        job = wait_for_change(job, query_data.wait)
    return respond_with_job(job)


def respond_with_job(job: Job) -> BaseResponse:
    body = job_out(job)
    response = make_response(jsonify(body.model_dump(mode="json")))
    response.set_etag(f"{job.seq}-{job.state}-{body.queue_position}-{body.eta_s}", weak=True)
    response.headers["Cache-Control"] = "no-cache"
    if not job.has_ended:
        response.headers["Retry-After"] = str(POLL_AGAIN_S)
    return response.make_conditional(request)


def wait_for_change(job: Job, wait_s: float) -> Job:
    """The job once its state differs or `wait_s` is over; at once when too many wait already."""
    deadline, state = time.monotonic() + wait_s, job.state
    with get_changes().listen(job.id) as topic:
        if topic is None:
            return job
        job = find_job(job.id)
        while job.state == state and (left_s := deadline - time.monotonic()) > 0:
            topic.wait(job.seq, left_s)
            topic.rest(job.seq, min(PAUSE_S, left_s))
            job = topic.latest(partial(find_job, job.id)) or job
    return job


@bp.post("/jobs/<job_id>/retry")
@bp.input(RetryFields, location="json")
@bp.output(JobOut, status_code=202)
@bp.doc(
    responses={404: "Unknown job", 409: "A page is still at work", 429: "Too many pages today", 503: "Job store away"},
    operation_id="retryPages",
)
def retry(job_id: str, json_data: RetryFields) -> JobOut:
    """Read some pages again

    Only these pages are read anew and the result is put together again; the others stay as they are. A page whose
    new reading fails keeps the text it had. Earlier attempts stay on record in `attempts`.

    A job that failed because its PDF is locked is opened with the `password` sent here. Passwords are forgotten at a
    job's end, so pages of a document that came with one are read again with the `password` alone.
    """
    retry_pages(find_job(job_id), json_data)
    return job_out(find_job(job_id))


@bp.patch("/jobs/<job_id>")
@bp.input(NameFields, location="json")
@bp.output(JobOut)
@bp.doc(responses={404: "Unknown job", 503: "Job store away"}, operation_id="renameJob")
def rename(job_id: str, json_data: NameFields) -> JobOut:
    """Rename a job

    Downloads have the new name; the document stays as it is.
    """
    rename_job(find_job(job_id).id, clean_name(json_data.name))
    return job_out(find_job(job_id))


@bp.delete("/jobs/<job_id>")
@bp.input(CancelQuery, location="query")
@bp.output(JobOut)
@bp.doc(responses={204: "Deleted (`purge=1`)", 404: "Unknown job", 503: "Job store away"}, operation_id="cancelJob")
def cancel(job_id: str, query_data: CancelQuery) -> BaseResponse:
    """Cancel a job

    Pages that wait are dropped, pages at work stop at their next check; what has been read is kept. A job that
    has ended stays as it is. `purge=1` deletes the job, its file and its results for good.
    """
    find_job(job_id)
    if query_data.purge:
        purge_job(job_id, texts_too=True)
        return Response(status=204)
    cancel_job(job_id)
    return respond_with_job(find_job(job_id))
