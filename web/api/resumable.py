"""REST: large files in parts, which go on after a break: the protocol tus 1.0.0, and a call that makes the job."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from io import BufferedReader
from typing import BinaryIO, cast

from apiflask import APIBlueprint
from flask import Response, g, request, url_for
from pydantic import BaseModel, Field
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response as BaseResponse

from tasks.settings import get_settings
from tasks.uploads import (
    KEPT_S,
    Joined,
    TooManyUploads,
    UnknownUpload,
    Upload,
    add_bytes,
    begin_upload,
    drop_upload,
    find_upload,
    offset_of,
)
from web.api.bodies import MIB, REQUEST_FACTOR
from web.api.idempotency import fingerprint_of
from web.api.inputs import JobFields, KeyHeader
from web.api.jobs import answer_created, submit_or_recall, with_room
from web.api.outputs import Answers, JobsOut
from web.api.problems import Problem
from web.api.uploads import Submitted, recognise, submit_files
from workers.documents.kinds import HEAD_BYTES
from workers.documents.names import clean_name

TAG = {"name": "Uploads", "description": "Large files in parts, by tus 1.0.0: after a break, an upload goes on."}

bp = APIBlueprint("resumable", __name__, url_prefix="/api/v1/uploads", tag=TAG)

VERSION = "1.0.0"
EXTENSIONS = "creation,expiration,termination"
PART_TYPE = "application/offset+octet-stream"
LEAST_PART = 64 * 1024  # bytes, but for the last part: each is a file of its own
NAMELESS = "document"


class BeginHeaders(BaseModel):
    upload_length: str = Field("", description="Bytes of the file.")
    upload_metadata: str = Field("", description="`filename` and, after a space, the file's name in base64.")


class PartHeaders(BaseModel):
    upload_offset: str = Field("", description="Bytes that are there already; HEAD tells them.")


COMMON: Answers = {
    400: {"description": "A header or the body cannot be used"},
    404: {"description": "Unknown upload"},
    412: {"description": "Another version of tus"},
    503: {"description": "Job store away, or the queue is full"},
}
ANNOUNCED: Answers = COMMON | {
    201: {"description": "Announced"},
    413: {"description": "Too large"},
    422: {"description": "Empty"},
}
KEPT: Answers = COMMON | {
    204: {"description": "Kept"},
    409: {"description": "The part does not follow"},
    413: {"description": "More than was announced"},
    415: {"description": "No part, or no document"},
    422: {"description": "A damaged file"},
}
REMOVED: Answers = COMMON | {204: {"description": "Removed"}}


@bp.post("", provide_automatic_options=False)
@with_room
@bp.input(BeginHeaders, location="headers")
@bp.doc(
    responses=ANNOUNCED,
    operation_id="beginUpload",
)
def begin(headers_data: BeginHeaders) -> Response:
    """Announce a large file

    The file follows in parts, by PATCH to the address in `Location`, and `POST` to `{Location}/job` makes a job of it.
    Clients of tus do the first two. What nobody goes on with is removed a day after its last part.
    """
    check_version()
    length, most = number_in("Upload-Length", headers_data.upload_length), get_settings().max_upload_mb * MIB
    if length > most:
        raise Problem("too-large", f"A file may have at most {get_settings().max_upload_mb} MiB.")
    if not length:
        raise Problem("empty-file", "The file is empty.")
    name = clean_name(metadata_in(headers_data.upload_metadata).get("filename", NAMELESS))
    try:
        upload = begin_upload(g.owner, name=name, length=length, most_bytes=REQUEST_FACTOR * most)
    except TooManyUploads as exc:
        words = "Too many files are half sent: finish or delete some, or wait a day until they are removed."
        raise Problem("quota-exceeded", words, {"Retry-After": "60"}) from exc
    except OSError as exc:
        raise Problem("storage", "The server could not store the file.") from exc
    return answer(201, Location=url_for("resumable.look", upload_id=upload.id, _external=True), **expiry(upload))


@bp.route("/<upload_id>", methods=["HEAD"], provide_automatic_options=False)
def look(upload_id: str) -> Response:
    """How far an upload is."""
    check_version()
    upload = own_upload(upload_id)
    headers = {"Upload-Offset": str(offset_of(upload)), "Upload-Length": str(upload.length)}
    return answer(200, **headers, **expiry(upload))


@bp.patch("/<upload_id>")
@bp.input(PartHeaders, location="headers")
@bp.doc(
    responses=KEPT,
    operation_id="sendPart",
)
def add(upload_id: str, headers_data: PartHeaders) -> Response:
    """Send a part of a file

    The body is a part, of type application/offset+octet-stream and of any length, but not under 64 KiB unless it is the
    last. After a break, HEAD says in `Upload-Offset` where to go on.
    """
    check_version()
    upload, start = own_upload(upload_id), number_in("Upload-Offset", headers_data.upload_offset)
    if request.mimetype != PART_TYPE:
        raise Problem("unsupported-media-type", f"A part is {PART_TYPE}.")
    if start != offset_of(upload):
        raise Problem("wrong-offset", f"{offset_of(upload)} bytes are there.")
    if (request.content_length or LEAST_PART) < min(LEAST_PART, upload.length - start):
        raise Problem("bad-request", f"A part has {LEAST_PART // 1024} KiB at least, but for the last one.")
    try:
        end = add_bytes(upload, start, cast("BinaryIO", request.stream))
    except ValueError as exc:
        raise Problem("too-large", f"The body has {exc}.") from exc
    except OSError as exc:
        raise Problem("storage", "The server could not store the part.") from exc
    if not start and end >= min(HEAD_BYTES, upload.length):
        refuse_other_kinds(upload)
    return answer(204, **{"Upload-Offset": str(end)}, **expiry(upload))


@bp.delete("/<upload_id>")
@bp.doc(responses=REMOVED, operation_id="dropUpload")
def drop(upload_id: str) -> Response:
    """Give up an upload"""
    check_version()
    drop_upload(own_upload(upload_id))
    return answer(204)


@bp.post("/<upload_id>/job")
@with_room
@bp.input(JobFields, location="json")
@bp.input(KeyHeader, location="headers")
@bp.output(JobsOut, status_code=202)
@bp.doc(
    responses={404: "Unknown upload", 409: "Parts are missing", 415: "No document", 429: "Over quota", 503: "Full"},
    operation_id="createJobFromUpload",
)
def create_job(upload_id: str, json_data: JobFields, headers_data: KeyHeader) -> BaseResponse:
    """Make a job of an upload

    Once all of the file is there; with the same options as for a file that is sent whole. The parts are gone then.
    """
    key = headers_data.idempotency_key
    fingerprint = fingerprint_of([], json_data) + upload_id if key else ""
    return answer_created(*submit_or_recall(key, fingerprint, partial(submit_upload, upload_id, json_data)))


def submit_upload(upload_id: str, fields: JobFields) -> Submitted:
    upload = own_upload(upload_id)
    if (offset := offset_of(upload)) != upload.length:
        raise Problem("wrong-offset", f"{offset} of {upload.length} bytes are there.")
    submitted = submit_files([as_file(upload)], fields)
    drop_upload(upload)
    return submitted


def refuse_other_kinds(upload: Upload) -> None:
    """Raise Problem, and let the upload go, as soon as its beginning shows that it is no document."""
    try:
        recognise(as_file(upload))
    except Problem:
        drop_upload(upload)
        raise


def as_file(upload: Upload) -> FileStorage:
    return FileStorage(stream=BufferedReader(Joined(upload)), filename=upload.name)


@bp.route("", methods=["OPTIONS"], provide_automatic_options=False)
def tell() -> Response:
    """What of tus is served."""
    most = str(get_settings().max_upload_mb * MIB)
    return answer(204, **{"Tus-Version": VERSION, "Tus-Extension": EXTENSIONS, "Tus-Max-Size": most})


def answer(status: int, **headers: str) -> Response:
    return Response(status=status, headers={"Tus-Resumable": VERSION, "Cache-Control": "no-store", **headers})


def expiry(upload: Upload) -> dict[str, str]:
    """When an upload that is not gone on with is removed at the earliest."""
    until = datetime.fromtimestamp(upload.created_at + KEPT_S, UTC)
    return {"Upload-Expires": format_datetime(until, usegmt=True)}


def own_upload(upload_id: str) -> Upload:
    try:
        return find_upload(g.owner, upload_id)
    except UnknownUpload as exc:
        raise Problem("unknown-upload") from exc


def check_version() -> None:
    """Raise Problem for another version of tus; one that is not named is taken as this one."""
    if (version := request.headers.get("Tus-Resumable", VERSION)) != VERSION:
        raise Problem("other-version", f"{version:.20} is not {VERSION}.", {"Tus-Version": VERSION})


def number_in(name: str, text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise Problem("bad-request", f"The header {name} has to be a number of bytes.")
    return int(text)


def metadata_in(text: str) -> dict[str, str]:
    """The pairs of Upload-Metadata; what is no base64 of UTF-8 is let go."""
    found = {}
    for pair in text.split(","):
        name, _, value = pair.strip().partition(" ")
        try:
            found[name] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            continue
    return found
