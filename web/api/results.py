"""REST: a job's pages, their images, and the result files."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from functools import partial as bind
from typing import Any

from apiflask import APIBlueprint
from flask import Response, request, send_file
from werkzeug.wrappers import Response as BaseResponse

from tasks.archive import pages_since
from tasks.assemble.result_job import with_job
from tasks.assemble.results import WRITTEN_FORMATS, write_format
from tasks.assemble.word import write_word
from tasks.blobs import BlobMissing, job_key, page_key
from tasks.ledger.records import Job
from tasks.services import get_blobs
from web.api.document_html import policy, write_html
from web.api.downloads import CHUNK_BYTES, open_pdf, open_zip, read_blob
from web.api.guests import refuse_guest
from web.api.inputs import PagesQuery
from web.api.jobs import find_job
from web.api.names import attachment
from web.api.outputs import Answers, PageListOut, PageTextOut
from web.api.problems import Problem
from web.api.result_inputs import ResultQuery
from web.api.shown import MIMETYPES, find_page, page_out, page_text_out
from workers.documents.names import file_stem
from workers.results.formats import FORMATS
from workers.results.options import DEFAULTS, ResultOptions

TAG = {"name": "Results", "description": "Pages, their images, and the text."}

IMAGE_ANSWERS: Answers = {
    200: {
        "description": "The page image",
        "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
    },
    404: {"description": "Unknown job or page, or no image of it"},
    503: {"description": "Job store away"},
}
FILES = ("pdf", "zip")  # of whole documents only
BINARY = (*FILES, "docx")
DOCLING = {"type": "object", "description": "A DoclingDocument, version 1.1.0 of its schema."}
SCHEMAS: dict[str, dict[str, Any]] = {
    "json": {"$ref": "#/components/schemas/DocumentResult"},
    "docling": DOCLING,
} | {name: {"type": "string", "format": "binary"} for name in BINARY}
CONTENT = {mimetype: {"schema": SCHEMAS.get(name, {"type": "string"})} for name, mimetype in MIMETYPES.items()}
RESULT_ANSWERS: Answers = {
    200: {"description": "All pages, in page order", "content": CONTENT},
    404: {"description": "Unknown job"},
    406: {"description": "No such format"},
    409: {"description": "Not finished, ended without a result, or a PDF that is being made"},
    503: {"description": "Job store away"},
}

bp = APIBlueprint("results", __name__, url_prefix="/api/v1/jobs/<job_id>", tag=TAG)


@bp.get("/pages")
@bp.input(PagesQuery, location="query")
@bp.output(PageListOut)
@bp.doc(responses={404: "Unknown job", 503: "Job store away"}, operation_id="listPages")
def list_pages(job_id: str, query_data: PagesQuery) -> PageListOut:
    """The page ledger

    Every page with its state and reason, in page order. With `since`, only the pages that changed after that `seq`.
    """
    job = find_job(job_id)  # before the pages, so that its seq misses no change
    pages = [page_out(job, page) for page in pages_since(job, query_data.since)]
    return PageListOut(state=job.state, seq=job.seq, pages=pages)


@bp.get("/pages/<int:number>")
@bp.output(PageTextOut)
@bp.doc(responses={404: "Unknown job or page", 503: "Job store away"}, operation_id="getPage")
def get_page(job_id: str, number: int) -> PageTextOut:
    """One page with its text

    `lines` have boxes where the engine gives them.
    """
    job = find_job(job_id)
    return page_text_out(job, find_page(job, number))


@bp.get("/pages/<int:number>/image")
@bp.doc(responses=IMAGE_ANSWERS, operation_id="getPageImage")
def get_image(job_id: str, number: int) -> BaseResponse:
    """The image the engine read, as PNG"""
    job = find_job(job_id)
    page = find_page(job, number)
    try:
        data = get_blobs().read(page_key(job.id, page.index, "png"))
    except BlobMissing as exc:
        raise Problem("no-image") from exc
    response = send_file(io.BytesIO(data), "image/png")
    response.set_etag(f"{page.run}-{len(data)}")
    response.headers["Cache-Control"] = "private, no-cache"
    return response.make_conditional(request)


@bp.get("/result")
@bp.input(ResultQuery, location="query")
@bp.doc(responses=RESULT_ANSWERS, operation_id="getResult")
def get_result(job_id: str, query_data: ResultQuery) -> BaseResponse:
    """The result

    `format`, or else `Accept`, chooses between Markdown, JSON, plain text, HTML, `docling`, a DoclingDocument,
    `chunks`, an object a line for retrieval, `hocr` and `alto`, lines and words with boxes, `docx`, a Word file, `pdf`,
    the document with what was read as invisible text, and `zip`, which has Markdown, JSON, text, HTML and PDF with the
    page images, figures, and tables as CSV. Pages that failed are marked in their place. `page_marks`, `furniture` and
    `tables` say how Markdown is written, `max_chars` how long a chunk may be.

    While the job runs this is 409, unless `partial=1` asks for the pages read so far; `pdf` and `zip` wait for the
    end. The PDF is made at the first request, which may be answered by 409 with `Retry-After` meanwhile.
    """
    job = find_job(job_id)
    format = query_data.format or accepted_format()
    refuse_guest(format)
    options = query_data.to_options()
    content = open_result(job, format, partial=query_data.partial, options=options)
    response = respond_with_result(job, format, content)
    if options != DEFAULTS:
        response.set_etag(f"{job.seq}-{format}-{options}")
    if query_data.download:
        response.headers["Content-Disposition"] = attachment(job.name, FORMATS[format].suffix, job.id)
    return response.make_conditional(request)


def respond_with_result(job: Job, format: str, content: Iterator[bytes]) -> Response:
    response = Response(content)
    is_text = MIMETYPES[format].startswith("text/")
    response.headers["Content-Type"] = MIMETYPES[format] + ("; charset=utf-8" if is_text else "")
    response.headers["Cache-Control"] = "private, no-cache"
    if format == "html":
        response.headers["Content-Security-Policy"] = policy()
    response.vary.add("Accept")
    response.set_etag(f"{job.seq}-{format}")
    return response


def accepted_format() -> str:
    if not request.accept_mimetypes:
        return "md"
    best = request.accept_mimetypes.best_match(list(MIMETYPES.values()))
    if best is None:
        raise Problem("not-acceptable", f"The formats are {', '.join(MIMETYPES.values())}.")
    return next(name for name, mimetype in MIMETYPES.items() if mimetype == best)


def open_result(job: Job, format: str, *, partial: bool, options: ResultOptions = DEFAULTS) -> Iterator[bytes]:
    """The result, piece by piece; if `partial`, as it would be now. Raises Problem when there is none."""
    partial = partial and format not in FILES
    has_files = job.has_ended and get_blobs().exists(job_key(job.id, "result.md"))
    if not partial and not job.has_ended:
        raise Problem("not-finished", f"The job is {job.state}.", {"Retry-After": "1"}, {"state": job.state})
    if not partial and not has_files:
        words = f"The job is {job.state}; `partial=1` gives what was read."
        raise Problem("no-result", job.error["detail"] if job.error else words, extra={"state": job.state})
    if format == "pdf":
        return open_pdf(job)
    if format == "zip":
        return open_zip(job, file_stem(job.name, job.id), bind(open_text, job, has_files=has_files))
    return open_text(job, format, has_files=has_files, options=options)


def open_text(job: Job, format: str, *, has_files: bool, options: ResultOptions = DEFAULTS) -> Iterator[bytes]:
    if format == "docx":
        return assemble_word(job)
    if format == "html":
        return (piece.encode() for piece in write_html(job))
    is_written = has_files and not job.num_corrected
    if is_written and format in WRITTEN_FORMATS and (format != "md" or options.markdown == DEFAULTS.markdown):
        written = read_blob(job_key(job.id, f"result.{format}"))
        return with_job(written, job) if format == "json" else written
    return assemble_now(job, format, options)


def assemble_now(job: Job, format: str, options: ResultOptions) -> Iterator[bytes]:
    with tempfile.SpooledTemporaryFile(CHUNK_BYTES, "w+", encoding="utf-8", newline="") as out:
        write_format(job, format, out, options=options)
        out.seek(0)
        while chunk := out.read(CHUNK_BYTES):
            yield chunk.encode()


def assemble_word(job: Job) -> Iterator[bytes]:
    with tempfile.SpooledTemporaryFile(CHUNK_BYTES) as out:
        write_word(job, out)
        out.seek(0)
        while chunk := out.read(CHUNK_BYTES):
            yield chunk
