"""Azure Document Intelligence: a document is sent, its operation is polled, and a searchable PDF may be fetched."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify

from tasks.assemble.searchable import MAKING, ask_for_pdf
from tasks.ledger.records import Job
from tasks.retention import purge_job
from web.api.downloads import open_pdf
from web.api.jobs import find_job, with_room
from web.api.outputs import Answers
from web.api.problems import Problem
from web.api.shown import missing_pages, timings_of
from web.compat.addresses import own_address
from web.compat.answers import REFUSALS, Part, markdown_parts, text_parts
from web.compat.azure_orders import AnalyzeQuery, check_model, submit_document
from web.compat.documents import FILE_BODY
from web.compat.orders import keep_order, kept_order

TAG = {
    "name": "Azure Document Intelligence",
    "description": "The calls of its read and layout models.",
}
ROOT = "/documentintelligence/documentModels/<string:model>"  # without `string:` APIFlask takes the name for it
SHOWN_ROOT = "/documentintelligence/documentModels/{model}"
SOURCE = {
    "type": "object",
    "description": "One of both.",
    "properties": {"base64Source": {"type": "string"}, "urlSource": {"type": "string"}},
}
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    (f"{SHOWN_ROOT}:analyze", "post"): {"application/json": {"schema": SOURCE}} | FILE_BODY
}
UNKNOWN: Answers = {404: {"description": "No such model or operation"}, 503: {"description": "A store is away"}}
ACCEPTED: Answers = {**REFUSALS, 404: UNKNOWN[404], 202: {"description": "Operation-Location is where to ask"}}
STATUS = {"application/json": {"schema": {"type": "object", "required": ["status"]}}}
STATUS_ANSWERS: Answers = {**UNKNOWN, 200: {"description": "How far it is, and the text at the end", "content": STATUS}}
PDF = {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}
PDF_ANSWERS: Answers = {
    **UNKNOWN,
    200: {"description": "The document with what was read as invisible text", "content": PDF},
    409: {"description": "It is not finished, being made, or cannot be made"},
}
DELETED: Answers = {**UNKNOWN, 204: {"description": "Deleted"}}
ORDER = "azure.json"  # what an operation was asked for, among its job's files
POLL_AGAIN_S = 1
PAGE_BREAK = {"text": "\n", "markdown": "\n\n<!-- PageBreak -->\n\n"}

bp = APIBlueprint("azure", __name__, tag=TAG)


@bp.post(f"{ROOT}:analyze")
@with_room
@bp.input(AnalyzeQuery, location="query")
@bp.doc(operation_id="azureAnalyze", responses=ACCEPTED)
def analyze(model: str, query_data: AnalyzeQuery) -> Response:
    """Send a document to be read"""
    check_model(model)
    job_id = submit_document(query_data)[1][0]
    keep_order(job_id, ORDER, query_data)
    path = f"{SHOWN_ROOT.format(model=model)}/analyzeResults/{job_id}"
    location = f"{own_address()}{path}?api-version={query_data.api_version}"
    return Response(status=202, headers={"Operation-Location": location, "Retry-After": str(POLL_AGAIN_S)})


@bp.get(f"{ROOT}/analyzeResults/<result_id>")
@bp.doc(operation_id="azureResult", responses=STATUS_ANSWERS)
def get_result(model: str, result_id: str) -> Response:
    """How far an operation is, and what was read at its end"""
    check_model(model)
    job = find_job(result_id)
    order = kept_order(job, ORDER, AnalyzeQuery)
    body = operation_of(job, order)
    if body["status"] == "succeeded":
        body["analyzeResult"] = analysis_of(job, model, order)
    response = jsonify(body)
    if body["status"] in ("notStarted", "running"):
        response.headers["Retry-After"] = str(POLL_AGAIN_S)
    return response


@bp.get(f"{ROOT}/analyzeResults/<result_id>/pdf")
@bp.doc(operation_id="azurePdf", responses=PDF_ANSWERS)
def get_pdf(model: str, result_id: str) -> Response:
    """The searchable PDF of an operation that has succeeded"""
    check_model(model)
    job = find_job(result_id)
    if not job.has_ended:
        raise Problem("not-finished", f"The job is {job.state}.", {"Retry-After": "1"})
    return Response(open_pdf(job), mimetype="application/pdf")


@bp.delete(f"{ROOT}/analyzeResults/<result_id>")
@bp.doc(operation_id="azureDelete", responses=DELETED)
def delete(model: str, result_id: str) -> Response:
    """Delete an operation with its job and all that was read"""
    check_model(model)
    purge_job(find_job(result_id).id, texts_too=True)
    return Response(status=204)


def operation_of(job: Job, order: AnalyzeQuery) -> dict[str, Any]:
    """The operation as its client polls it; with a PDF it is over when that is there."""
    timings = timings_of(job)
    body: dict[str, Any] = {"createdDateTime": timings.created_at}
    body["lastUpdatedDateTime"] = timings.ended_at or timings.started_at or timings.created_at
    if not job.has_ended:
        return body | {"status": "notStarted" if job.state == "queued" else "running"}
    if job.state not in ("succeeded", "partial"):
        return body | failure(job.error["detail"] if job.error else f"The job is {job.state}.")
    pdf = ask_for_pdf(job) if order.wants_pdf else "ready"
    if pdf == MAKING:
        return body | {"status": "running"}
    return body | ({"status": "succeeded"} if pdf == "ready" else failure(pdf))


def failure(words: str) -> dict[str, Any]:
    return {"status": "failed", "error": {"code": "InvalidContent", "message": words}}


def analysis_of(job: Job, model: str, order: AnalyzeQuery) -> dict[str, Any]:
    """The text of all pages with where each page's stands in it, and a warning for each page without text."""
    parts = (markdown_parts if order.content_format == "markdown" else text_parts)(job)
    page_break = PAGE_BREAK[order.content_format]
    warnings = [
        {"code": "PageNotRead", "message": f"Page {number} could not be read.", "target": f"pages/{number}"}
        for number in missing_pages(job)
    ]
    return {
        "apiVersion": order.api_version,
        "modelId": model,
        "stringIndexType": order.index_type,
        "contentFormat": order.content_format,
        "content": page_break.join(part.text for part in parts),
        "pages": pages_of(parts, page_break, order.index_type),
        "warnings": warnings,
    }


def pages_of(parts: list[Part], page_break: str, index_type: str) -> list[dict[str, Any]]:
    pages, offset = [], 0
    for part in parts:
        length = length_of(part.text, index_type)
        pages.append({"pageNumber": part.page_number, "spans": [{"offset": offset, "length": length}]})
        offset += length + length_of(page_break, index_type)
    return pages


def length_of(text: str, index_type: str) -> int:
    return len(text.encode("utf-16-le")) // 2 if index_type == "utf16CodeUnit" else len(text)
