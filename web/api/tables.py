"""REST: a job's tables and figures, each by itself."""

from __future__ import annotations

import io
import json
import re
from typing import Any, Literal

from apiflask import APIBlueprint
from flask import Response, send_file, url_for
from pydantic import BaseModel, Field
from werkzeug.wrappers import Response as BaseResponse

from tasks.assemble.tables import Table, iter_tables
from tasks.blobs import BlobMissing
from tasks.ledger.records import Job
from tasks.services import get_blobs
from web.api.block_html import plain_cell
from web.api.document_html import figure_key
from web.api.inputs import Input
from web.api.jobs import find_job
from web.api.outputs import Answers, CellOut
from web.api.problems import Problem
from workers.results.grid import size_of, write_csv, write_html

TableFormat = Literal["csv", "html", "json"]
MIMETYPES = {"csv": "text/csv; charset=utf-8", "html": "text/html; charset=utf-8", "json": "application/json"}
FIGURE = re.compile(r"p\d{3,6}-\d{1,3}\.png")
TAG = {"name": "Results", "description": "Pages, their images, and the text."}
FIGURE_ANSWERS: Answers = {
    200: {"description": "The figure", "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}},
    404: {"description": "Unknown job, or no such figure"},
    503: {"description": "Job store away"},
}
TABLE_ANSWERS: Answers = {
    200: {
        "description": "The table",
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "text/html": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "object"}},
        },
    },
    404: {"description": "Unknown job, or no such table"},
    503: {"description": "Job store away"},
}

bp = APIBlueprint("tables", __name__, url_prefix="/api/v1/jobs/<job_id>", tag=TAG)


class TableQuery(Input):
    format: TableFormat = Field("csv", description="CSV by RFC 4180, HTML with spans, or JSON with all cells.")


class TableOut(BaseModel):
    """A table of the document; one that goes on over pages is one table."""

    number: int = Field(description="From 1, in the order of the document.")
    page_number: int = Field(description="The page it begins on.")
    rows: int
    columns: int
    cells: list[CellOut]
    links: dict[str, str]


class TableListOut(BaseModel):
    tables: list[TableOut]


@bp.get("/tables")
@bp.output(TableListOut)
@bp.doc(responses={404: "Unknown job", 503: "Job store away"}, operation_id="listTables")
def list_tables(job_id: str) -> TableListOut:
    """The tables of the document

    Those read so far, while the job runs.
    """
    job = find_job(job_id)
    return TableListOut(tables=[table_out(job, table) for table in iter_tables(job)])


@bp.get("/tables/<int:number>")
@bp.input(TableQuery, location="query")
@bp.doc(responses=TABLE_ANSWERS, operation_id="getTable")
def get_table(job_id: str, number: int, query_data: TableQuery) -> Response:
    """One table"""
    job = find_job(job_id)
    table = next((table for table in iter_tables(job) if table.number == number), None)
    if table is None:
        raise Problem("unknown-table", f"Job {job.id} has no table {number}.")
    response = Response(write_table(job, table, query_data.format))
    response.headers["Content-Type"] = MIMETYPES[query_data.format]
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers.set("Content-Disposition", "inline", filename=f"table-{number:03d}.{query_data.format}")
    return response


@bp.get("/figures/<name>")
@bp.doc(responses=FIGURE_ANSWERS, operation_id="getFigure")
def get_figure(job_id: str, name: str) -> BaseResponse:
    """A figure, cut from its page, as PNG"""
    job = find_job(job_id)
    if not FIGURE.fullmatch(name):
        raise Problem("no-figure")
    try:
        data = get_blobs().read(figure_key(job, name))
    except BlobMissing as exc:
        raise Problem("no-figure") from exc
    response = send_file(io.BytesIO(data), "image/png")
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def table_out(job: Job, table: Table) -> TableOut:
    rows, columns = size_of(table.block.cells)
    return TableOut(
        number=table.number,
        page_number=table.page_number,
        rows=rows,
        columns=columns,
        cells=[CellOut(**cell.to_json()) for cell in table.block.cells],
        links={"self": url_for("tables.get_table", job_id=job.id, number=table.number)},
    )


def write_table(job: Job, table: Table, format: TableFormat) -> str:
    if format == "csv":
        return write_csv(table.block.cells)
    if format == "html":
        return write_html(table.block.cells, lambda text: str(plain_cell(text)))
    values: dict[str, Any] = table_out(job, table).model_dump(mode="json")
    return json.dumps(values, ensure_ascii=False)
