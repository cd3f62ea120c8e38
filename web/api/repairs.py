"""Pages read again: what people may ask otherwise this time."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from tasks.ledger.records import Job
from tasks.repair import PasswordNeeded, retry_job
from web.api.checks import check_language, check_pages
from web.api.inputs import LANGUAGES, SELECTION, Input
from web.api.languages import refuse_unknown
from web.api.needed import check_engine, check_needed
from web.api.problems import Problem
from workers.documents.selection import MAX_LENGTH


class RetryFields(Input):
    """Which pages to read again, and what to do otherwise this time; what is left out stays as it was."""

    pages: str = Field(
        "failed",
        max_length=MAX_LENGTH,
        description="`failed`, or page numbers such as `3,9-11`.",
        json_schema_extra={"pattern": f"^(failed|{SELECTION})$"},
    )
    prompt: str | None = Field(None, max_length=8000)
    language: str | None = Field(None, max_length=200, json_schema_extra={"pattern": LANGUAGES})
    engine: str | None = Field(None, max_length=40, description="Another engine of the server.")
    dpi: int | None = Field(None, ge=0, le=1200)
    max_new_tokens: int | None = Field(None, ge=0, le=65_536)
    temperature: float | None = Field(None, ge=0, le=2)
    password: str | None = Field(
        None,
        max_length=256,
        description="Opens an encrypted PDF, also of a job that failed for want of one; forgotten at the job's end.",
    )

    @field_validator("pages")
    @classmethod
    def pages_can_be_read(cls, value: str) -> str:
        return value if value == "failed" else check_pages(value)

    @field_validator("language")
    @classmethod
    def language_is_one(cls, value: str | None) -> str | None:
        return check_language(value)

    @field_validator("engine")
    @classmethod
    def engine_is_here(cls, value: str | None) -> str | None:
        return check_engine(value)

    def changes(self) -> dict[str, Any]:
        return self.model_dump(exclude={"pages"}, exclude_none=True)


def retry_pages(job: Job, fields: RetryFields) -> None:
    """Have the pages read again. Raises Problem for what the job, or its engine, cannot do."""
    asked = job.options
    engine = fields.engine or asked.engine
    refuse_unknown(fields.language or "", engine)
    try:
        check_needed(asked.task, asked.question, asked.schema, asked.scope, engine)
    except ValueError as exc:
        raise bad_option("engine", exc) from exc
    try:
        retry_job(job.id, pages=fields.pages, options=fields.changes())
    except ValueError as exc:
        raise bad_option("pages", exc) from exc
    except PasswordNeeded as exc:
        raise bad_option("password", exc) from exc


def bad_option(name: str, exc: Exception) -> Problem:
    errors = [{"option": name, "message": str(exc)}]
    return Problem("invalid-options", f"{name}: {exc}", extra={"errors": errors})
