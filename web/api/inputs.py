"""What the REST API and the forms take, as pydantic models; what they give is in `schemas`."""

from __future__ import annotations

from typing import Any, Literal

from apiflask.fields import UploadFile
from flask import request
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tasks.assemble.formats import FORMATS_OF_TARGETS
from tasks.messages import JobOptions
from tasks.services import default_text_layer
from tasks.settings import get_settings
from web.api.checks import check_address, check_language, check_pages, check_source, check_target
from web.api.labels import Metadata, Tags
from web.api.needed import (
    NOT_OPTIONS,
    WEIGHTS,
    AskedScope,
    JsonSchema,
    Question,
    Task,
    UsedLayer,
    check_engine,
    check_needed,
)
from workers.documents.selection import MAX_LENGTH
from workers.languages import PATTERN
from workers.net.addresses import MAX_URL

LANGUAGES = rf"^(auto|{PATTERN}(\+{PATTERN})*)?$"
PART = "-?[1-9][0-9]{0,8}(-(-?[1-9][0-9]{0,8})?)?"  # for readers of the schema; workers.documents.selection decides
FORMAT = f"({'|'.join(FORMATS_OF_TARGETS)})"
SELECTION = f"{PART}(,{PART})*"


class Input(BaseModel):
    """Fields left empty in a form count as not given."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def drop_empty(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {key: value for key, value in values.items() if value != ""}


class JobFields(Input):
    """The options of a job."""

    task: Task = Field("transcribe", description="What to do with each page.")
    question: Question = ""
    scope: AskedScope = "page"
    json_schema: JsonSchema = Field("", alias="schema")
    prompt: str = Field("", max_length=8000, description="Instructions to the model instead of our own.")
    pages: str = Field(
        "",
        max_length=MAX_LENGTH,
        description="Pages to read, such as `1-3,7,-1`; empty is all.",
        json_schema_extra={"pattern": f"^({SELECTION})?$"},
    )
    language: str = Field(
        "",
        max_length=200,
        description="What the pages are written in, for engines that know languages: `eng`, `deu+fra`, `auto` by the "
        "script of each page; empty is what the server sets. One that no worker has is refused.",
        json_schema_extra={"pattern": LANGUAGES},
    )
    engine: str = Field(
        "",
        max_length=40,
        description="What reads the pages: one of the engines that /readyz names; empty is the first of them.",
    )
    dpi: int = Field(0, ge=0, le=1200, description="Resolution of the page images; 0 leaves it open.")
    max_new_tokens: int = Field(0, ge=0, le=65_536, description="Longest answer for a page; 0 leaves it open.")
    temperature: float = Field(0.0, ge=0, le=2, description="0 always takes the likeliest token.")
    text_layer: UsedLayer = Field(default_factory=default_text_layer)
    priority: Literal["low", "normal", "high"] = Field("normal", description="Weight against the owner's other jobs.")
    password: str = Field("", max_length=256, description="Opens an encrypted PDF; forgotten at the job's end.")
    webhook_url: str = Field(
        "",
        max_length=MAX_URL,
        description="Called with a signed POST when the job has ended; at a public address.",
        json_schema_extra={"format": "uri"},
    )
    webhook_events: str = Field(
        "job",
        pattern=r"^((job|page|batch)(,(job|page|batch)){0,2})?$",
        description="What it is called for, by comma: the end of the `job`, of each `page`, of the whole `batch`.",
    )
    webhook_format: Literal["standard", "cloudevents"] = Field("standard", description="Form of its calls.")
    attachments: bool = Field(
        False, description="Also read the PDFs and images within a PDF, each as a job of its own in the same batch."
    )
    target_url: str = Field(
        "",
        max_length=MAX_URL,
        description="Where the results are written when the job has ended: a folder or names in a storage that the "
        "server allows, `s3://results/{batch}/{stem}.{suffix}`, or a signed URL that takes a PUT.",
        json_schema_extra={"format": "uri"},
    )
    target_formats: str = Field(
        "md",
        pattern=rf"^({FORMAT}(,{FORMAT})*)?$",
        description="Formats of the results that are written there, by comma.",
    )
    batch_id: str = Field(
        "", pattern=r"^[A-Za-z0-9_-]{0,64}$", description="Puts the jobs of several requests into one batch."
    )
    metadata: Metadata = Field({}, description="Your own keys and short texts, given back with the job. JSON in forms.")
    tags: Tags = Field([], description="Your own words to find the job by, without spaces; commas part several.")

    @field_validator("pages")
    @classmethod
    def pages_can_be_read(cls, value: str) -> str:
        return check_pages(value) if value else ""

    @field_validator("language")
    @classmethod
    def language_is_one(cls, value: str) -> str:
        return check_language(value) or ""

    @field_validator("engine")
    @classmethod
    def engine_is_here(cls, value: str) -> str:
        return check_engine(value) or ""

    @field_validator("webhook_url")
    @classmethod
    def webhook_can_be_called(cls, value: str) -> str:
        if value and not get_settings().webhook_secret:
            raise ValueError("this server calls no webhooks; its operator has to set WEBHOOK_SECRET")
        return check_address(value) if value else ""

    @model_validator(mode="after")
    def needed_is_there(self) -> JobFields:
        check_needed(self.task, self.question, self.json_schema, self.scope, self.engine)
        self.target_url = check_target(self.target_url, self.target_formats, attachments=self.attachments)
        if "text_layer" not in self.model_fields_set:
            self.text_layer = default_text_layer(self.scope, self.engine)
        return self

    def to_options(self) -> JobOptions:
        values = self.model_dump(include=set(JobFields.model_fields) - NOT_OPTIONS)
        return JobOptions(**values, schema=self.json_schema, priority=WEIGHTS[self.priority])


class JobForm(JobFields):
    """A multipart upload: one job a file."""

    file: list[UploadFile] = Field(min_length=1, description="One file or more: PDF, PNG, JPEG, TIFF, WebP and others.")

    @field_validator("tags", mode="before")
    @classmethod
    def tags_are_all_there(cls, value: Any) -> Any:
        return request.form.getlist("tags") or value

    @field_validator("file", mode="before")
    @classmethod
    def file_is_there(cls, value: Any) -> Any:
        files = [file for file in value or [] if not isinstance(file, str) and file.filename]
        if not files:
            raise ValueError("send at least one file in the field `file`")
        return files


class UrlFields(JobFields):
    """A document that the server fetches: one job."""

    url: str = Field(
        max_length=MAX_URL,
        description="Where the document is: http or https, at a public address; or in a storage that the server's "
        "operator allows, as `s3://bucket/name.pdf`, with `gs`, `az` and `sftp` too. In POST /jobs such a URL may be a "
        "folder, with `/` at its end, or a pattern, `s3://bucket/*/2026-??.pdf`: each document becomes a job of the "
        "batch.",
        json_schema_extra={"format": "uri"},
    )

    @field_validator("url")
    @classmethod
    def url_can_be_used(cls, value: str) -> str:
        return check_source(value)


class KeyHeader(BaseModel):
    idempotency_key: str = Field("", max_length=255, description="Any text that no other request of yours has.")


class ConvertHeaders(KeyHeader):
    prefer: str = Field("", max_length=255, description="`wait=300`: seconds to wait for the text, 600 at most.")


class NameFields(Input):
    """What may be changed of a job."""

    name: str = Field(min_length=1, max_length=255, description="What the document is called, also as a download.")


class WaitQuery(BaseModel):
    wait: float = Field(0, ge=0, le=60, description="Seconds to wait for the job's state to change.")


class EventsQuery(Input):
    since: str = Field("", max_length=40, description="Id of the last event seen; empty is the start.")
    text: bool = Field(True, description="Whether `text` events are wanted.")
    partial: bool = Field(True, description="Whether `partial` events are wanted.")


class PagesQuery(BaseModel):
    since: int = Field(0, ge=0, le=2**53, description="Only pages that changed after this `seq`.")


class CancelQuery(Input):
    purge: bool = Field(False, description="Also delete the job, its file and its results.")
