"""Open WebUI's external document loader: `PUT /process` with the file as the body, a list with an item a page."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify, request
from pydantic import BaseModel, Field, RootModel

from web.api.jobs import with_room
from web.compat.answers import REFUSALS, Part, markdown_parts, wait_for_job
from web.compat.documents import FILE_BODY, file_in_body, submit_file

TAG = {"name": "Open WebUI", "description": "What Open WebUI's external document loader asks of a server."}
BODIES: dict[tuple[str, str], dict[str, Any]] = {("/process", "put"): FILE_BODY}

bp = APIBlueprint("openwebui", __name__, tag=TAG)


class PageMetadata(BaseModel):
    page: int = Field(description="Counts from 0.")
    state: str = Field(description="`ok`, `blank`, `fallback`, `failed` or `cancelled`.")


class LoadedPage(BaseModel):
    page_content: str = Field(description="Markdown.")
    metadata: PageMetadata


class LoadedPages(RootModel[list[LoadedPage]]):
    """A document, an item a page."""


@bp.put("/process")
@with_room
@bp.output(LoadedPages)
@bp.doc(operation_id="openWebUiProcess", responses=REFUSALS)
def process() -> Response:
    """Load a document

    The body is the file, `X-Filename` its name, quoted as in a URL. The answer comes when all pages have been read; a
    client that hangs up cancels its job. A page that could not be read says so in its place.
    """
    job = wait_for_job(submit_file(file_in_body(request.headers.get("X-Filename", ""))))
    return jsonify([as_item(part) for part in markdown_parts(job)])


def as_item(part: Part) -> dict[str, Any]:
    return {"page_content": part.text, "metadata": {"page": part.page_number - 1, "state": part.state}}
