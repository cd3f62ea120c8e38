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
from web.compat.payloads import read_payload

GIVEN = ("md", "json", "text", "html")
# Its clients know these words, and ask again for `inbody`.
NO_STORAGE = "Presigned URL target requires artifact storage to be configured and enabled on the server."


class Order(BaseModel):
    """The options of a conversion that mean something here."""

    model_config = ConfigDict(extra="ignore")

    to_formats: list[str] = Field(["md"], description="`md`, `json`, `text`, `html`.")
    target: Literal["inbody", "zip"] = Field("inbody", description="JSON, or a ZIP of one file a format.")
    page_range: tuple[int, int] = Field((1, 2**63 - 1), description="First and last page, from 1.")
    md_page_break_placeholder: str = Field("", max_length=1000, description="Stands between pages in `md_content`.")
    do_ocr: bool = Field(True, description="False takes a PDF's own text where it is sound.")
    force_ocr: bool = Field(False, description="True takes none of a PDF's own text.")

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


def read_order(values: dict[str, Any], target: str) -> Order:
    """The order that these options make; raises Problem where nothing of it can be given."""
    if target == "presigned_url":
        raise Problem("invalid-options", NO_STORAGE)
    try:
        order = Order(**values | {"target": target})
    except ValidationError as exc:
        raise problem_of(exc) from exc
    if not order.formats:
        raise Problem("invalid-options", f"to_formats: none of {', '.join(GIVEN)} is asked for.")
    return order


def submit_form() -> tuple[Submitted, Order]:
    """Make a job of the one file in the request's form. Raises Problem."""
    lists = ("to_formats", "page_range")
    values = {
        name: sent if name in lists else sent[-1] for name, sent in request.form.to_dict(flat=False).items() if sent[-1]
    }
    refuse_callbacks(values.get("callbacks"))
    order = read_order(values, str(values.get("target_type", "inbody")))
    files = [file for file in request.files.getlist("files") if file.filename]
    if len(files) != 1:
        raise Problem("invalid-options", "files: send one file in each request.")
    return submit_file(files[0], **order.job_options()), order


def submit_source() -> tuple[Submitted, Order]:
    """Make a job of the one source in the request's JSON: a file as base64, or a URL. Raises Problem."""
    payload = read_payload()
    data, sources = payload.data, payload.data.get("sources")
    refuse_callbacks(data.get("callbacks"))
    target = member(data, "target").get("kind", "inbody")
    order = read_order(member(data, "options"), str(target))
    if not isinstance(sources, list) or len(sources) != 1 or not isinstance(sources[0], dict):
        raise Problem("invalid-options", "sources: name one source in each request.")
    source = cast("dict[str, Any]", sources[0])
    if isinstance(content := source.get("base64_string"), str):
        file: FileStorage = payload.document(content, str(source.get("filename", "")))
        return submit_file(file, **order.job_options()), order
    if source.get("headers"):
        raise Problem("invalid-options", "sources.headers: a URL is fetched without headers of yours.")
    fields = read_fields(UrlFields, url=str(source.get("url", "")), **order.job_options())
    return submit_link(fields), order


def member(data: dict[str, Any], name: str) -> dict[str, Any]:
    """An object in the object; empty where it is left out. Raises Problem where it is something else."""
    value = data.get(name) or {}
    if not isinstance(value, dict):
        raise Problem("invalid-options", f"{name}: this has to be an object.")
    return value


def refuse_callbacks(callbacks: Any) -> None:
    if callbacks:
        raise Problem("invalid-options", "callbacks: none are called; poll the task, or use /api/v1 with webhook_url.")
