"""Mistral OCR: one call that takes a document, or names one, and gives the Markdown of each page."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import request
from pydantic import BaseModel, Field

from tasks.ledger.records import Job
from web.api.inputs import UrlFields
from web.api.jobs import find_job
from web.api.outputs import Answers
from web.api.problems import Problem
from web.api.uploads import refuse_when_full, submit_link
from web.compat.answers import REFUSALS, markdown_parts, wait_for_job, wait_for_other_job
from web.compat.documents import read_fields, submit_file
from web.compat.mistral_files import TAG, file_id_in
from web.compat.payloads import LONG, Payload, read_payload
from workers.documents.selection import Selection

TEXT = {"type": "string"}
OF_IMAGE = {"anyOf": [TEXT, {"type": "object", "properties": {"url": TEXT}, "required": ["url"]}]}
DOCUMENT_FIELDS = {
    "type": TEXT,
    "document_url": TEXT,
    "document_name": TEXT,
    "file_id": TEXT,
    "image_url": OF_IMAGE,
}
DOCUMENT = {
    "type": "object",
    "description": "One of `document_url`, `image_url` and `file_id`. A URL may be a data URI with base64.",
    "properties": DOCUMENT_FIELDS,
}
PAGES = {
    "description": "Pages to read, which count from 0: a list of numbers, or text such as `0,2-4`.",
    "anyOf": [{"type": "array", "items": {"type": "integer", "minimum": 0}}, {"type": "string"}, {"type": "null"}],
}
FIELDS = {"model": {"type": "string"}, "document": DOCUMENT, "pages": PAGES}
JSON = {"application/json": {"schema": {"type": "object", "required": ["document"], "properties": FIELDS}}}
BODIES: dict[tuple[str, str], dict[str, Any]] = {("/v1/ocr", "post"): JSON}
ANSWERS: Answers = {**REFUSALS, 404: {"description": "No such file"}}

bp = APIBlueprint("mistral", __name__, tag=TAG)


class OcrPage(BaseModel):
    index: int = Field(description="Counts from 0.")
    markdown: str
    images: list[str] = Field(description="Always empty.")
    dimensions: None = Field(description="Always null: the size on paper is not told.")


class OcrUsage(BaseModel):
    pages_processed: int
    doc_size_bytes: int


class OcrOut(BaseModel):
    """The pages of a document, blank ones too."""

    pages: list[OcrPage]
    model: str = Field(description="`pagefan`, whatever was asked for.")
    usage_info: OcrUsage


@bp.post("/v1/ocr")
@bp.output(OcrOut)
@bp.doc(operation_id="mistralOcr", responses=ANSWERS)
def ocr() -> OcrOut:
    """Read a document

    The answer comes when all pages have been read. A client that hangs up cancels its job, unless the document is an
    uploaded file, which is read to its end or until it is deleted. A page that could not be read says so in its place.
    """
    if (request.content_length or 0) > LONG:  # it brings a file
        refuse_when_full()
    payload = read_payload()
    pages = read_pages(payload.data.get("pages"))
    job = read_document(payload, pages)
    parts = [part for part in markdown_parts(job) if pages is None or part.page_number - 1 in pages]
    return OcrOut(
        pages=[OcrPage(index=part.page_number - 1, markdown=part.text, images=[], dimensions=None) for part in parts],
        model="pagefan",
        usage_info=OcrUsage(pages_processed=len(parts), doc_size_bytes=job.size),
    )


def read_document(payload: Payload, pages: Selection | None) -> Job:
    """The job of the document that the request brings or names, once it has ended. Raises Problem."""
    document = payload.data.get("document")
    if not isinstance(document, dict):
        raise Problem("invalid-options", "document: this has to be an object.")
    url = address_in(document)
    if file_id := str(document.get("file_id") or "") or file_id_in(url):
        return wait_for_other_job(find_job(file_id).id)
    options = {"pages": str(pages) if pages else ""}
    if url in payload.files or url.startswith("data:"):
        return wait_for_job(submit_file(payload.document(url, str(document.get("document_name") or "")), **options))
    return wait_for_job(submit_link(read_fields(UrlFields, url=url, **options)))


def address_in(document: dict[str, Any]) -> str:
    """The URL of a document, however it is named; "" where there is none."""
    url = document.get("document_url") or document.get("image_url") or ""
    return str((url.get("url") if isinstance(url, dict) else url) or "")


def read_pages(value: Any) -> Selection | None:
    """The pages that are wanted, None for all of them. Raises Problem for what cannot be read."""
    numbers = value if isinstance(value, list) else [value]
    if value is None or value in ("", []):
        return None
    return Selection.merge(read_range(part.strip()) for number in numbers for part in str(number).split(","))


def read_range(part: str) -> tuple[int, int]:
    """The pages of "3" or "0-5", which count from 0, as (first, one past the last)."""
    first, dash, last = part.partition("-")
    last = last if dash else first
    if not all(number.isascii() and number.isdecimal() and len(number) < 9 for number in (first, last)):
        raise Problem("invalid-options", "pages: they count from 0; send a list of numbers, or text such as 0,2-4.")
    if int(last) < int(first):
        raise Problem("invalid-options", f"pages: {part} runs backwards.")
    return int(first), int(last) + 1
