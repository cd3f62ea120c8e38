"""Apache Tika's server: a file is put, its text comes back, as plain text, HTML or in JSON with what is known of it."""

from __future__ import annotations

import re
from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify, request
from werkzeug.datastructures import FileStorage
from werkzeug.http import parse_options_header

from tasks.ledger.records import Job
from web.api.document_html import policy
from web.api.jobs import with_room
from web.api.outputs import Answers
from web.api.problems import Problem
from web.api.shown import missing_pages
from web.api.uploads import recognise
from web.compat.answers import REFUSALS, read_result, wait_for_job, whole_markdown
from web.compat.documents import FILE_BODY, file_in_body, submit_file

LAYER_OF = {"no_ocr": "prefer", "ocr_only": "ignore"}  # of Tika's strategies for PDFs
SHOWN_BYTES = re.compile(r"filename=b'([^']*)'$")
TAG = {"name": "Tika", "description": "The calls of Apache Tika's server, for its clients."}
FORMS = ("text/plain", "text/html", "application/json")  # the first where a client has no wish
HANDLERS = ("text", "md", "html", "xml")  # what Tika calls the forms of a text; its `xml` is HTML
PLAIN = {"text/plain": {"schema": {"type": "string"}}}
OBJECT = {"application/json": {"schema": {"type": "object"}}}
OBJECTS = {"application/json": {"schema": {"type": "array", "items": {"type": "object"}}}}
ANY = PLAIN | {"text/html": {"schema": {"type": "string"}}} | OBJECT
NO_FORM: Answers = {404: {"description": "No such form of a text"}}
TEXT_ANSWERS: Answers = {
    **REFUSALS,
    200: {"description": "The text", "content": ANY},
    406: {"description": "No such form of a text"},
}
JSON_ANSWERS: Answers = {**REFUSALS, **NO_FORM, 200: {"description": "The text", "content": OBJECT}}
LIST_ANSWERS: Answers = {**REFUSALS, **NO_FORM, 200: {"description": "The text", "content": OBJECTS}}
META_ANSWERS: Answers = {**REFUSALS, 200: {"description": "What the file is", "content": OBJECT}}
KIND_ANSWERS: Answers = {**REFUSALS, 200: {"description": "The file's media type", "content": PLAIN}}
HELLO_ANSWERS: Answers = {200: {"description": "That this is the right address", "content": PLAIN}}
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    (path, "put"): FILE_BODY
    for path in ("/tika", "/tika/{handler}", "/tika/json/{handler}", "/rmeta", "/rmeta/{handler}", "/meta")
} | {("/detect/stream", "put"): FILE_BODY}

bp = APIBlueprint("tika", __name__, tag=TAG)


@bp.get("/tika")
@bp.doc(operation_id="tikaHello", responses=HELLO_ANSWERS)
def hello() -> Response:
    """Whether this is Tika's address"""
    return Response("This is Pagefan, in place of a Tika server. Please PUT\n", mimetype="text/plain")


@bp.put("/tika")
@with_room
@bp.doc(operation_id="tikaText", responses=TEXT_ANSWERS)
def put_text() -> Response:
    """The text of a file

    The body is the file. `Accept` chooses between text/plain, text/html and application/json. The answer comes when
    all pages have been read; a client that hangs up cancels its job.
    """
    wanted = request.accept_mimetypes.best_match(FORMS) if request.accept_mimetypes else FORMS[0]
    if wanted is None:
        raise Problem("not-acceptable", f"The forms are {', '.join(FORMS)}.")
    job = read_file()
    if wanted == "application/json":
        return jsonify(metadata_of(job) | {"X-TIKA:content": text_of(job, "html")})
    if wanted == "text/html":
        return Response(text_of(job, "html"), headers={"Content-Security-Policy": policy()}, mimetype="text/html")
    return Response(text_of(job, "text"), mimetype="text/plain")


@bp.put("/tika/<handler>")
@with_room
@bp.doc(operation_id="tikaJson", responses=JSON_ANSWERS)
def put_json(handler: str) -> Response:
    """The text of a file in JSON, as `text`, `md`, `html` or `xml`"""
    return text_in_json(handler, "X-TIKA:content")


@bp.put("/tika/json/<handler>")
@with_room
@bp.doc(operation_id="tika4Json", responses=JSON_ANSWERS)
def put_json_4(handler: str) -> Response:
    """The text of a file in JSON, as Tika 4 gives it"""
    return text_in_json(handler, "tk:content")


def text_in_json(handler: str, member: str) -> Response:
    check_handler(handler)
    job = read_file()
    return jsonify(metadata_of(job) | {member: text_of(job, handler)})


@bp.put("/rmeta", defaults={"handler": "xml"})
@bp.put("/rmeta/<handler>")
@with_room
@bp.doc(operation_id="tikaRecursive", responses=LIST_ANSWERS)
def put_recursive(handler: str) -> Response:
    """The text of a file and what is known of it, as a list with one item"""
    check_handler(handler)
    job = read_file()
    return jsonify([metadata_of(job) | {"X-TIKA:content": text_of(job, handler)}])


@bp.put("/meta")
@bp.doc(operation_id="tikaMetadata", responses=META_ANSWERS)
def put_metadata() -> Response:
    """What a file is; no page of it is read"""
    file = file_in_body(sent_name())
    return jsonify(basics_of(recognise(file), file.filename or ""))


@bp.put("/detect/stream")
@bp.doc(operation_id="tikaDetect", responses=KIND_ANSWERS)
def put_detect() -> Response:
    """The media type of a file, by its content"""
    return Response(media_type(recognise(file_in_body(sent_name()))), mimetype="text/plain")


def check_handler(handler: str) -> None:
    if handler not in HANDLERS:
        raise Problem("not-found", f"The forms of a text are {', '.join(HANDLERS)}.")


def read_file() -> Job:
    """The job of the file in the body, once it has ended, with the options that clients of Tika name in headers."""
    headers = request.headers
    file: FileStorage = file_in_body(sent_name())
    options = {
        "text_layer": LAYER_OF.get(headers.get("X-Tika-PDFOcrStrategy", "").lower(), ""),
        "language": headers.get("X-Tika-OCRLanguage", ""),
        "password": headers.get("Password", ""),
    }
    return wait_for_job(submit_file(file, **options))


def sent_name() -> str:
    """The file's name, also as the `tika` package sends it: bytes in the way Python shows them."""
    header = request.headers.get("Content-Disposition", "")
    if shown := SHOWN_BYTES.search(header):
        return shown[1]
    return parse_options_header(header)[1].get("filename", "")


def text_of(job: Job, handler: str) -> str:
    if handler == "md":
        return whole_markdown(job)
    if handler == "text":
        return read_result(job, "txt").replace("\f", "\n")
    return read_result(job, "html")


def metadata_of(job: Job) -> dict[str, str]:
    """What is known of the document; pages without text are named, as in no other place of the answer."""
    missing = ",".join(map(str, missing_pages(job)))
    known = basics_of(job.kind, job.name) | {"xmpTPg:NPages": str(job.num_pages)}
    return known | ({"pagefan:missing-pages": missing} if missing else {})


def basics_of(kind: str, name: str) -> dict[str, str]:
    return {"Content-Type": media_type(kind)} | ({"resourceName": name} if name else {})


def media_type(kind: str) -> str:
    return "application/pdf" if kind == "pdf" else f"image/{kind}"
