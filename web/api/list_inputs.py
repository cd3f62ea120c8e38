"""What the list of jobs takes: which jobs are wanted, and where the answer before has ended."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

from flask import request
from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from tasks.messages import JobState
from tasks.search import Wanted
from web.api.inputs import Input
from web.api.labels import MetadataInQuery, Tags, gather_metadata

DAY_S = 86_400
A_DATE = "2026-12-31"


def read_time(value: Any, *, is_end: bool = False) -> Any:
    """Unix seconds of a time or a date in ISO 8601, UTC where it names no zone; a date that is an end is whole."""
    if value is None or isinstance(value, float):
        return value
    try:
        time = datetime.fromisoformat(str(value))
    except ValueError as exc:
        raise ValueError("write a date, 2026-12-31, or a time, 2026-12-31T08:00:00Z") from exc
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    return time.timestamp() + (DAY_S if is_end and len(str(value)) <= len(A_DATE) else 0)


Time = Annotated[float | None, BeforeValidator(read_time), WithJsonSchema({"type": "string"})]
EndTime = Annotated[float | None, BeforeValidator(partial(read_time, is_end=True)), WithJsonSchema({"type": "string"})]


class ListQuery(Input):
    limit: int = Field(50, ge=1, le=200, description="Most jobs in the answer.")
    q: str = Field(
        "",
        max_length=200,
        description='Only jobs with this in their name, or with all its words, or `"phrases"`, on one of their pages.',
    )
    state: list[JobState] = Field([], description="Only jobs in this state; in one of them where there are several.")
    engine: str = Field("", max_length=64, description="Only ended jobs of which this engine has read a page.")
    batch_id: str = Field("", pattern=r"^[A-Za-z0-9_-]{0,64}$", description="Only jobs of this batch.")
    since: Time = Field(
        default_factory=lambda: None, description="Only jobs sent at this time or later: a date or a time in ISO 8601."
    )
    until: EndTime = Field(
        default_factory=lambda: None, description="Only jobs sent before this time; a date is taken as the whole day."
    )
    cursor: str = Field("", pattern=r"^([0-9]{1,12}(\.[0-9]{1,12})?)?$", description="`next` of the answer before.")
    tag: Tags = Field([], description="Only jobs with this tag; with all of them where there are several.")
    metadata: MetadataInQuery = Field(
        default_factory=dict,
        description='Only jobs with these values, as JSON, `{"customer": "42"}`, or as `metadata.customer=42`.',
    )

    @model_validator(mode="before")
    @classmethod
    def keys_are_together(cls, values: Any) -> Any:
        return gather_metadata(values) if isinstance(values, dict) else values

    @field_validator("tag", mode="before")
    @classmethod
    def tags_are_all_there(cls, value: Any) -> Any:
        return request.args.getlist("tag") or value

    @field_validator("state", mode="before")
    @classmethod
    def states_are_all_there(cls, value: Any) -> Any:
        return value if isinstance(value, list) else request.args.getlist("state") or value

    def wanted(self) -> Wanted:
        return Wanted(
            query=self.q.strip(),
            states=tuple(self.state),
            engine=self.engine,
            batch_id=self.batch_id,
            tags=tuple(self.tag),
            metadata=self.metadata,
            since=self.since,
            until=self.until,
        )
