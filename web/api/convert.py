"""REST: one call that takes a document and gives its text, for curl and for tools that cannot follow a job."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from apiflask import APIBlueprint
from werkzeug.wrappers import Response as BaseResponse

from tasks.access.once import Submitted
from tasks.ledger.records import Job
from web.api.idempotency import fingerprint_of
from web.api.inputs import ConvertHeaders, JobForm, UrlFields
from web.api.jobs import TAG, answer_created, find_job, or_json, submit_or_recall, with_room
from web.api.outputs import Answers, JobsOut
from web.api.problems import Problem
from web.api.result_inputs import ConvertQuery
from web.api.results import CONTENT, accepted_format, respond_with_result
from web.api.shown import links_of, missing_pages
from web.api.uploads import submit_files, submit_link
from web.api.waiting import open_result_in_time, preferred_wait_s, wait_for_end

ANSWERS: Answers = {
    200: {"description": "The text of all pages, in page order", "content": CONTENT},
    406: {"description": "No such format"},
    409: {"description": "The job ended without a result, or its Idempotency-Key is in use"},
    413: {"description": "Too large"},
    415: {"description": "Not a document that can be read"},
    429: {"description": "Too many requests or jobs"},
    503: {"description": "The queue is full, or a store is away"},
}

bp = APIBlueprint("convert", __name__, url_prefix="/api/v1", tag=TAG)


@bp.input(UrlFields, location="json")
@bp.input(ConvertQuery, location="query")
@bp.input(ConvertHeaders, location="headers")
def convert_url(json_data: UrlFields, query_data: ConvertQuery, headers_data: ConvertHeaders) -> BaseResponse:
    """The same call with a JSON body."""
    key = headers_data.idempotency_key
    return convert_now(key, fingerprint_of([], json_data), partial(submit_link, json_data), query_data.format)


@bp.post("/convert")
@with_room
@or_json(convert_url)
@bp.input(JobForm, location="form_and_files")
@bp.input(ConvertQuery, location="query")
@bp.input(ConvertHeaders, location="headers")
@bp.output(JobsOut, status_code=202)
@bp.doc(operation_id="convert", responses=ANSWERS)
def convert(form_and_files_data: JobForm, query_data: ConvertQuery, headers_data: ConvertHeaders) -> BaseResponse:
    """Send a document and get its text

    One file in the field `file` of multipart/form-data, or a JSON body with `url`, and the options of a job. The
    answer is the result itself, in the format of `format` or else of `Accept`, Markdown where neither says. It comes
    when the job has ended. `Prefer: wait=300` is how many seconds you would wait, 600 at most and 60 if you do not say;
    a job that takes longer is answered by 202 with the job, as POST /jobs does, and `Location` is where to follow it.
    `Pagefan-Job` names the job, `Pagefan-State` is `partial` where pages have no text, and `Pagefan-Missing-Pages` has
    their numbers. A client that hangs up cancels its job.
    """
    form, key = form_and_files_data, headers_data.idempotency_key
    if len(form.file) > 1:
        errors = [{"option": "file", "message": "send one file; POST /jobs takes several"}]
        raise Problem("invalid-options", "file: this call takes one", extra={"errors": errors})
    fingerprint = fingerprint_of(form.file, form) if key else ""
    return convert_now(key, fingerprint, partial(submit_files, form.file, form), query_data.format)


def convert_now(key: str, fingerprint: str, submit: Callable[[], Submitted], format: str | None) -> BaseResponse:
    """Submit one document, wait for it, and answer with its text, or with the job where that takes too long."""
    format, wait_s = format or accepted_format(), preferred_wait_s()
    deadline = time.monotonic() + wait_s
    submitted, is_replay = submit_or_recall(key, fingerprint, submit)
    job = wait_for_end(submitted[1][0], wait_s, cancel_if_left=not is_replay)
    response = answer_with_text(job, format, deadline) if job.has_ended else answer_created(submitted, is_replay)
    response.headers["Pagefan-Job"] = job.id
    response.headers["Preference-Applied"] = f"wait={wait_s:.0f}"
    return response


def answer_with_text(job: Job, format: str, deadline: float) -> BaseResponse:
    content = open_result_in_time(job, format, deadline - time.monotonic())
    response = respond_with_result(find_job(job.id), format, content)
    response.headers["Content-Location"] = links_of(job).results[format]
    response.headers["Pagefan-State"] = job.state
    if missing := missing_pages(job):
        response.headers["Pagefan-Missing-Pages"] = ",".join(map(str, missing))
    return response
