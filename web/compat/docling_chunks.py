"""docling-serve's chunkers: a document is sent, and its text comes in pieces for retrieval."""

from __future__ import annotations

from typing import Any, cast, get_args

from apiflask import APIBlueprint
from flask import Response

from web.api.jobs import with_room
from web.api.outputs import Answers
from web.api.problems import Problem
from web.compat.answers import REFUSALS, wait_for_job
from web.compat.docling import OPTIONS, SOURCE, TAG, TaskOut, answer, begin
from web.compat.docling_orders import Chunker, ChunkOrder, submit_form, submit_source

FORMATS = "to_formats"  # an option that means nothing here
CONVERT = {name: schema for name, schema in OPTIONS.items() if name != FORMATS}
CONVERTED = "include_converted_doc"
FIELDS = ChunkOrder.model_json_schema()["properties"]
CHUNKING = {name: schema for name, schema in FIELDS.items() if name not in ("chunker", CONVERTED)}
FORM_FIELDS = (
    {"files": {"type": "string", "format": "binary"}, CONVERTED: FIELDS[CONVERTED]}
    | {"target_type": {"enum": ["inbody", "zip"]}}
    | {f"convert_{name}": schema for name, schema in CONVERT.items()}
    | {f"chunking_{name}": schema for name, schema in CHUNKING.items()}
)
FORM = {"multipart/form-data": {"schema": {"type": "object", "required": ["files"], "properties": FORM_FIELDS}}}
JSON_FIELDS = {
    "convert_options": {"type": "object", "properties": CONVERT},
    "chunking_options": {"type": "object", "properties": CHUNKING},
    "sources": {"type": "array", "minItems": 1, "maxItems": 1, "items": SOURCE},
    CONVERTED: FIELDS[CONVERTED],
    "target": {"type": "object", "properties": {"kind": {"enum": ["inbody", "zip"]}}},
}
JSON = {"application/json": {"schema": {"type": "object", "required": ["sources"], "properties": JSON_FIELDS}}}
SHOWN_ROOT = "/v1/chunk/{chunker}"
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    (f"{SHOWN_ROOT}/file", "post"): FORM,
    (f"{SHOWN_ROOT}/file/async", "post"): FORM,
    (f"{SHOWN_ROOT}/source", "post"): JSON,
    (f"{SHOWN_ROOT}/source/async", "post"): JSON,
}
CHUNKS: dict[str, dict[str, Any]] = {
    "application/json": {"schema": {"type": "object", "required": ["chunks", "documents", "processing_time"]}},
    "application/zip": {"schema": {"type": "string", "format": "binary"}},
}
BEGUN: Answers = {**REFUSALS, 404: {"description": "No such chunker"}}
ANSWERS: Answers = {**BEGUN, 200: {"description": "The chunks", "content": CHUNKS}}

bp = APIBlueprint("docling_chunks", __name__, tag=TAG, url_prefix="/v1/chunk/<string:chunker>")


@bp.post("/file")
@with_room
@bp.doc(operation_id="doclingChunkFile", responses=ANSWERS)
def chunk_file(chunker: str) -> Response:
    """Cut a file into chunks

    `hybrid` fills chunks as far as `max_tokens`, within a section; `hierarchical` makes one of each block. The answer
    comes when all pages have been read; a client that hangs up cancels its job.
    """
    submitted, order = submit_form(known(chunker))
    return answer(wait_for_job(submitted), order)


@bp.post("/source")
@with_room
@bp.doc(operation_id="doclingChunkSource", responses=ANSWERS)
def chunk_source(chunker: str) -> Response:
    """Cut a file in JSON, or the document at a URL, into chunks"""
    submitted, order = submit_source(known(chunker))
    return answer(wait_for_job(submitted), order)


@bp.post("/file/async")
@with_room
@bp.output(TaskOut)
@bp.doc(operation_id="doclingChunkFileAsync", responses=BEGUN)
def chunk_file_async(chunker: str) -> TaskOut:
    """Begin to cut a file into chunks"""
    return begin(*submit_form(known(chunker)))


@bp.post("/source/async")
@with_room
@bp.output(TaskOut)
@bp.doc(operation_id="doclingChunkSourceAsync", responses=BEGUN)
def chunk_source_async(chunker: str) -> TaskOut:
    """Begin to cut a file in JSON, or the document at a URL, into chunks"""
    return begin(*submit_source(known(chunker)))


def known(chunker: str) -> Chunker:
    if chunker not in get_args(Chunker):
        raise Problem("not-found", f"The chunkers are {' and '.join(get_args(Chunker))}.")
    return cast("Chunker", chunker)
