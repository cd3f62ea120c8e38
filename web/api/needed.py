"""What a task needs besides a document: the question of `ask`, the JSON schema of `extract` and an engine for it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from tasks.services import engine_name, engine_names, lane_of
from workers.engines import EngineError
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


def check_engine(value: str | None) -> str | None:
    """The engine as it is, if this server has it; raises ValueError else."""
    try:
        lane_of(value or "")
    except EngineError as exc:
        more = "; more are set by OTHER_ENGINES" if len(engine_names()) == 1 else ""
        raise ValueError(f"{exc}{more}") from exc
    return value


def check_needed(task: str, question: str, schema: str, engine: str = "") -> None:
    """Raises ValueError for a task without what it needs."""
    engine = engine or engine_name()
    if task == "ask" and not question:
        raise ValueError("`task=ask` needs a `question`")
    if task != "extract":
        return
    if not schema:
        raise ValueError("`task=extract` needs a JSON schema in the field `schema`")
    if reads_plain_text(engine):
        able = [name for name in engine_names() if not reads_plain_text(name)]
        instead = f"ask for `engine={able[0]}`" if able else "start the server with ENGINE=vlm or ENGINE=openai"
        raise ValueError(
            f"`task=extract` needs a language model, and the engine {engine} reads plain text; "
            f"{instead}, or read the text and extract elsewhere"
        )
