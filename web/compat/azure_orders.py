"""What a client of Azure Document Intelligence asks for: options in the query, the document in JSON or as the body."""

from __future__ import annotations

from typing import Literal

from flask import request
from pydantic import BaseModel, ConfigDict, Field

from web.api.inputs import UrlFields
from web.api.problems import Problem
from web.api.uploads import Submitted, submit_link
from web.compat.documents import file_in_body, read_fields, submit_file
from web.compat.payloads import read_payload

MODELS = ("prebuilt-read", "prebuilt-layout")


class AnalyzeQuery(BaseModel):
    """The options that mean something here; others are left out of account."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    api_version: str = Field("2024-11-30", alias="api-version", pattern=r"^[0-9A-Za-z.\-]{1,40}$")
    content_format: Literal["text", "markdown"] = Field("text", alias="outputContentFormat")
    index_type: Literal["textElements", "unicodeCodePoint", "utf16CodeUnit"] = Field(
        "textElements", alias="stringIndexType", description="What offsets count; textElements are code points too."
    )
    output: str = Field("", max_length=100, description="`pdf`: a searchable PDF is made too.")
    pages: str = Field("", max_length=2000, description="Pages to read, such as `1-3,7`.")  # a line of HTTP has 4,094

    @property
    def wants_pdf(self) -> bool:
        return "pdf" in self.output.split(",")


def check_model(model: str) -> None:
    if model not in MODELS:
        raise Problem("not-found", f"The models are {' and '.join(MODELS)}; there is no {model:.80}.")


def submit_document(query: AnalyzeQuery) -> Submitted:
    """Make a job of the document that the request brings or names. Raises Problem."""
    if request.mimetype != "application/json":
        return submit_file(file_in_body(), pages=query.pages)
    payload = read_payload()
    content, url = payload.data.get("base64Source"), payload.data.get("urlSource")
    if isinstance(content, str) and not url:
        return submit_file(payload.document(content), pages=query.pages)
    if isinstance(url, str) and not content:
        return submit_link(read_fields(UrlFields, url=url, pages=query.pages))
    raise Problem("invalid-options", "Send either base64Source or urlSource.")
