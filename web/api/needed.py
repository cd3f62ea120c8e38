"""What a task needs besides a document: the question of `ask`, the JSON schema of `extract` and an engine for it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from tasks.services import engine_name
from workers.engines.registry import reads_plain_text
from workers.schemas import MAX_CHARS, check_schema

Task = Literal["transcribe", "ask", "describe", "extract"]
WEIGHTS = {"low": 1, "normal": 2, "high": 4}
NOT_OPTIONS = frozenset({"batch_id", "priority", "metadata", "tags", "json_schema"})  # or of another name or value


def check_given(value: str) -> str:
    return check_schema(value) if value else ""


JsonSchema = Annotated[
    str,
    AfterValidator(check_given),
    Field(
        max_length=MAX_CHARS,
        description="A JSON schema of an object, as text; needed with `task=extract`, which a language model does: the "
        "values of each page, checked by the schema, with their boxes where the words of a PDF have them.",
    ),
]


def check_needed(task: str, question: str, schema: str) -> None:
    """Raises ValueError for a task without what it needs."""
    if task == "ask" and not question:
        raise ValueError("`task=ask` needs a `question`")
    if task != "extract":
        return
    if not schema:
        raise ValueError("`task=extract` needs a JSON schema in the field `schema`")
    if reads_plain_text(engine_name()):
        raise ValueError(
            f"`task=extract` needs a language model, and this server's engine {engine_name()} reads plain text; "
            "start it with ENGINE=vlm or ENGINE=openai, or read the text and extract elsewhere"
        )
