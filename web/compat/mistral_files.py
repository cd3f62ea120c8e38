"""Mistral's files: what is uploaded becomes a job at once, by the same id, so that OCR finds it read."""

from __future__ import annotations

import re
from typing import Any

from apiflask import APIBlueprint
from flask import Response, request
from pydantic import BaseModel, Field

from tasks.blobs import source_key
from tasks.ledger.records import Job
from tasks.retention import purge_job
from tasks.services import get_blobs
from web.api.downloads import read_blob
from web.api.jobs import find_job, with_room
from web.api.outputs import Answers
from web.api.problems import Problem
from web.compat.addresses import own_address, own_path
from web.compat.answers import REFUSALS
from web.compat.documents import MULTIPART_FILE, submit_file

TAG = {"name": "Mistral OCR", "description": "The calls of Mistral's OCR and its files, for clients of these."}
BODIES: dict[tuple[str, str], dict[str, Any]] = {("/v1/files", "post"): MULTIPART_FILE}
CONTENT_PATH = re.compile(r"/v1/files/([^/]+)/content")
UNKNOWN: Answers = {404: {"description": "No such file"}, 503: {"description": "A store is away"}}
CONTENT = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
CONTENT_ANSWERS: Answers = {**UNKNOWN, 200: {"description": "The file", "content": CONTENT}}

bp = APIBlueprint("mistral_files", __name__, tag=TAG, url_prefix="/v1/files")


class FileOut(BaseModel):
    """A file that was uploaded. Its id is that of its job."""

    id: str
    object: str = Field(description="`file`.")
    bytes: int
    created_at: int = Field(description="Unix seconds.")
    filename: str
    purpose: str = Field(description="`ocr`.")
    sample_type: str = Field(description="`ocr_input`.")
    source: str = Field(description="`upload`.")
    deleted: bool = Field(description="False.")


class UrlOut(BaseModel):
    url: str = Field(description="To be named in /v1/ocr; whoever opens it has to show the key.")


class DeletedOut(BaseModel):
    id: str
    object: str
    deleted: bool


@bp.post("")
@with_room
@bp.output(FileOut)
@bp.doc(operation_id="mistralUpload", responses=REFUSALS)
def upload() -> FileOut:
    """Upload a file

    Its pages are read from now on, whether OCR is asked for or not, until it is deleted.
    """
    files = [file for file in request.files.getlist("file") if file.filename]
    if len(files) != 1:
        raise Problem("invalid-options", "file: send one file.")
    return file_out(find_job(submit_file(files[0])[1][0]))


@bp.get("/<file_id>")
@bp.output(FileOut)
@bp.doc(operation_id="mistralFile", responses=UNKNOWN)
def get_file(file_id: str) -> FileOut:
    """What is known of a file"""
    return file_out(find_job(file_id))


@bp.get("/<file_id>/url")
@bp.output(UrlOut)
@bp.doc(operation_id="mistralFileUrl", responses=UNKNOWN)
def get_url(file_id: str) -> UrlOut:
    """The address of a file, to be named in /v1/ocr"""
    return UrlOut(url=f"{own_address()}/v1/files/{find_job(file_id).id}/content")


@bp.get("/<file_id>/content")
@bp.doc(operation_id="mistralFileContent", responses=CONTENT_ANSWERS)
def get_content(file_id: str) -> Response:
    """The file itself"""
    job = find_job(file_id)
    key = source_key(job.id, job.kind)
    if not job.kind or not get_blobs().exists(key):
        raise Problem("unknown-job", "The file is gone.")
    return Response(read_blob(key), mimetype="application/octet-stream")


@bp.delete("/<file_id>")
@bp.output(DeletedOut)
@bp.doc(operation_id="mistralDelete", responses=UNKNOWN)
def delete(file_id: str) -> DeletedOut:
    """Delete a file with its job and all that was read"""
    job = find_job(file_id)
    purge_job(job.id, texts_too=True)
    return DeletedOut(id=job.id, object="file", deleted=True)


def file_out(job: Job) -> FileOut:
    return FileOut(
        id=job.id,
        object="file",
        bytes=job.size,
        created_at=int(job.created_at),
        filename=job.name,
        purpose="ocr",
        sample_type="ocr_input",
        source="upload",
        deleted=False,
    )


def file_id_in(url: str) -> str:
    """The id of the file that this address of ours is of; "" for any other."""
    match = CONTENT_PATH.fullmatch(own_path(url))
    return match[1] if match else ""
