"""What a client of docling-serve is given: a document in the formats it asked for, or why there is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from flask import Response, jsonify

from tasks.archive import load_pages
from tasks.ledger.records import Job
from web.api.downloads import pack
from web.api.results import open_result
from web.api.shown import WITHOUT_TEXT, page_fault, timings_of
from web.compat.answers import markdown_parts, read_result, whole_markdown
from web.compat.docling_orders import Order
from workers.documents.names import file_stem

STATUS_OF = {"succeeded": "success", "partial": "partial_success", "failed": "failure", "cancelled": "failure"}
SUFFIX_OF = {"md": "md", "json": "json", "text": "txt", "html": "html"}
RESULT_OF = SUFFIX_OF | {"json": "docling"}


def answer_with_document(job: Job, order: Order) -> Response:
    """The document of a job that has ended. Raises Problem where it ended without a result."""
    if order.target == "zip":
        return zip_response(pack(zip_entries(job, order)))
    return jsonify(body_of(job, contents_of(job, order), errors_of(job)))


def zip_response(content: Iterator[bytes]) -> Response:
    archive = Response(content, mimetype="application/zip")
    archive.headers.set("Content-Disposition", "attachment", filename="converted_docs.zip")
    return archive


def answer_with_failure(job: Job, detail: str) -> Response:
    """What a poller is told of a job without a result, in the body where its client looks for it."""
    return jsonify(body_of(job, {}, [error_item("pipeline", detail)]))


def body_of(job: Job, contents: dict[str, Any], errors: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("md_content", "json_content", "html_content", "text_content", "doctags_content")
    return {
        "document": {"filename": job.name} | {name: contents.get(name) for name in names},
        "status": STATUS_OF[job.state],
        "errors": errors,
        "processing_time": timings_of(job).running_s or 0.0,
        "timings": {},
    }


def contents_of(job: Job, order: Order) -> dict[str, Any]:
    return {f"{name}_content": content_of(job, name, order) for name in order.formats}


def content_of(job: Job, format: str, order: Order) -> Any:
    """The document as text, or as the object that JSON has."""
    if format == "json":
        return json.loads(read_result(job, "docling"))
    if format == "html":
        return read_result(job, "html")
    if format == "text":
        return read_result(job, "txt").replace("\f", "\n").strip()
    if mark := order.md_page_break_placeholder:
        return f"\n\n{mark}\n\n".join(part.text for part in markdown_parts(job))
    return whole_markdown(job)


def zip_entries(job: Job, order: Order) -> Iterator[tuple[str, Iterator[bytes]]]:
    """One file a format; a result that is not there is found out before the answer begins."""
    contents = {name: open_result(job, RESULT_OF[name], partial=False) for name in order.formats if name != "md"}
    markdown = str(content_of(job, "md", order)).encode() if "md" in order.formats else b""
    return iter(
        (f"{file_stem(job.name, job.id)}.{SUFFIX_OF[name]}", iter([markdown]) if name == "md" else contents[name])
        for name in order.formats
    )


def errors_of(job: Job) -> list[dict[str, Any]]:
    """One for each page without text."""
    missing = [page for page in load_pages(job) if page.state in WITHOUT_TEXT]
    faults = [(page.page_number, page_fault(page)) for page in missing]
    return [error_item("model", fault.detail if fault else "It has no text.", number) for number, fault in faults]


def error_item(component: str, message: str, page_number: int | None = None) -> dict[str, Any]:
    words = f"Page {page_number}: {message}" if page_number else message
    item = {"component_type": component, "module_name": "pagefan", "error_message": words}
    return item | ({"page_no": page_number} if page_number else {})
