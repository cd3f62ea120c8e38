"""What a client of docling-serve asks for, in the fields of a form or in JSON; what is not known is left out."""

from __future__ import annotations

from typing import Any, Literal, cast

from flask import request
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from werkzeug.datastructures import FileStorage

from tasks.settings import get_settings
from web.api.inputs import UrlFields
from web.api.problems import Problem
from web.api.uploads import Submitted, submit_link
from web.compat.documents import problem_of, read_fields, submit_file
from web.compat.payloads import Payload, read_payload
from workers.results.chunks import MAX_CHARS

Chunker = Literal["hybrid", "hierarchical"]

TOKEN_CHARS = 3  # fewer than tokens of English, German or French have on average, so that chunks fit
LEAST_CHARS, MOST_CHARS = 100, 100_000
GIVEN = ("md", "json", "text", "html")
# Its clients know these words, and ask again for `inbody`.
NO_STORAGE = "Presigned URL target requires artifact storage to be configured and enabled on the server."


class ChunkOrder(BaseModel):
    """What is asked of the chunks of a document, where these are wanted."""

    model_config = ConfigDict(extra="ignore")

    chunker: Chunker = "hybrid"
    max_tokens: int | None = Field(None, ge=1, description="Of `hybrid`: 3 characters are taken for a token.")
    include_raw_text: bool = Field(False, description="Also the text without the headings that it stands below.")
    include_converted_doc: bool = Field(False, description="Also the DoclingDocument.")

    @property
    def max_chars(self) -> int:
        """Of a chunk; 0 makes one of each block."""
        if self.chunker == "hierarchical":
            return 0
        return min(max(LEAST_CHARS, self.max_tokens * TOKEN_CHARS), MOST_CHARS) if self.max_tokens else MAX_CHARS


class Order(BaseModel):
    """The options of a conversion that mean something here."""

    model_config = ConfigDict(extra="ignore")

    to_formats: list[str] = Field(["md"], description="`md`, `json`, `text`, `html`.")
    target: Literal["inbody", "zip"] = Field("inbody", description="JSON, or a ZIP of one file a format.")
    page_range: tuple[int, int] = Field((1, 2**63 - 1), description="First and last page, from 1.")
    md_page_break_placeholder: str = Field("", max_length=1000, description="Stands between pages in `md_content`.")
    do_ocr: bool = Field(True, description="False takes a PDF's own text where it is sound.")
    force_ocr: bool = Field(False, description="True takes none of a PDF's own text.")
    chunks: ChunkOrder | None = None

    @field_validator("to_formats", mode="before")
    @classmethod
    def formats_by_comma_too(cls, value: Any) -> Any:
        names = [value] if isinstance(value, str) else value
        return [part.strip() for name in names for part in str(name).split(",")] if isinstance(names, list) else value

    @field_validator("page_range")
    @classmethod
    def range_runs_forwards(cls, value: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= value[0] <= value[1]:
            raise ValueError("two page numbers, the first from 1 on and not above the second")
        return value

    @property
    def formats(self) -> list[str]:
        """What is asked for and can be given, each once."""
        return [name for name in GIVEN if name in self.to_formats]

    def job_options(self) -> dict[str, str]:
        first, last = self.page_range
        has_end = last <= get_settings().max_pages
        pages = "" if first == 1 and not has_end else f"{first}-{last if has_end else ''}"
        return {"pages": pages, "text_layer": "prefer" if not self.do_ocr else "ignore" if self.force_ocr else ""}


def read_order(values: dict[str, Any], target: str, chunks: dict[str, Any] | None = None) -> Order:
    """The order that these options make; raises Problem where nothing of it can be given."""
    if target == "presigned_url":
        raise Problem("invalid-options", NO_STORAGE)
    asked: dict[str, Any] = {"target": target, "chunks": chunks} | ({"to_formats": ["json"]} if chunks else {})
    try:
        order = Order(**values | asked)
    except ValidationError as exc:
        raise problem_of(exc) from exc
    if not order.formats:
        raise Problem("invalid-options", f"to_formats: none of {', '.join(GIVEN)} is asked for.")
    return order


def submit_form(chunker: Chunker | None = None) -> tuple[Submitted, Order]:
    """Make a job of the one file in the request's form, whose chunks are wanted with `chunker`. Raises Problem."""
    values = form_values()
    refuse_callbacks(values.get("callbacks"))
    target = str(values.get("target_type", "inbody"))
    if chunker:
        chunks = of_prefix(values, "chunking_") | converted(values) | {"chunker": chunker}
        order = read_order(of_prefix(values, "convert_"), target, chunks)
    else:
        order = read_order(values, target)
    files = [file for file in request.files.getlist("files") if file.filename]
    if len(files) != 1:
        raise Problem("invalid-options", "files: send one file in each request.")
    return submit_file(files[0], **order.job_options()), order


def form_values() -> dict[str, Any]:
    """The fields of the form that are not empty; those that may come several times as lists."""
    lists = ("to_formats", "page_range", "convert_page_range")
    sent = request.form.to_dict(flat=False)
    return {name: values if name in lists else values[-1] for name, values in sent.items() if values[-1]}


def of_prefix(values: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}


def converted(values: dict[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in ("include_converted_doc",) if name in values}


def submit_source(chunker: Chunker | None = None) -> tuple[Submitted, Order]:
    """Make a job of the one source in the request's JSON, a file as base64 or a URL. Raises Problem."""
    payload = read_payload()
    data = payload.data
    refuse_callbacks(data.get("callbacks"))
    target = str(member(data, "target").get("kind", "inbody"))
    if chunker:
        chunks = member(data, "chunking_options") | converted(data) | {"chunker": chunker}
        order = read_order(member(data, "convert_options"), target, chunks)
    else:
        order = read_order(member(data, "options"), target)
    return submit_the_source(payload, order), order


def submit_the_source(payload: Payload, order: Order) -> Submitted:
    sources = payload.data.get("sources")
    if not isinstance(sources, list) or len(sources) != 1 or not isinstance(sources[0], dict):
        raise Problem("invalid-options", "sources: name one source in each request.")
    source = cast("dict[str, Any]", sources[0])
    if isinstance(content := source.get("base64_string"), str):
        file: FileStorage = payload.document(content, str(source.get("filename", "")))
        return submit_file(file, **order.job_options())
    if source.get("headers"):
        raise Problem("invalid-options", "sources.headers: a URL is fetched without headers of yours.")
    return submit_link(read_fields(UrlFields, url=str(source.get("url", "")), **order.job_options()))


def member(data: dict[str, Any], name: str) -> dict[str, Any]:
    """An object in the object; empty where it is left out. Raises Problem where it is something else."""
    value = data.get(name) or {}
    if not isinstance(value, dict):
        raise Problem("invalid-options", f"{name}: this has to be an object.")
    return value


def refuse_callbacks(callbacks: Any) -> None:
    if callbacks:
        raise Problem("invalid-options", "callbacks: none are called; poll the task, or use /api/v1 with webhook_url.")
