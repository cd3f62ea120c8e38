"""What a task is about besides a document: the question of `ask`, the JSON schema of `extract`, of what they are, and
an engine for it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from tasks.messages import Scope, TextLayer
from tasks.services import engine_name, engine_names, lane_of
from workers.engines import EngineError
from workers.engines.registry import reads_plain_text
from workers.schemas import MAX_CHARS, check_schema

Task = Literal["transcribe", "ask", "describe", "extract"]
WEIGHTS = {"low": 1, "normal": 2, "high": 4}
NOT_OPTIONS = frozenset({"batch_id", "priority", "metadata", "tags", "json_schema"})  # or of another name or value


def check_given(value: str) -> str:
    return check_schema(value) if value else ""


Question = Annotated[str, Field(max_length=4000, description="What `task=ask` asks; needed with it.")]
AskedScope = Annotated[
    Scope,
    Field(
        description="Of what `task=ask` and `task=extract` are: of each `page`, or of the `document` as a whole, whose "
        "pages are read first; an answer then has the numbers of its pages, and each value has its own.",
    ),
]
UsedLayer = Annotated[
    TextLayer,
    Field(
        description="When a PDF page's own text is used: `auto` where what can be seen agrees with it, the rest of the "
        "page is read; `prefer` where it agrees for the whole page; `fallback` where reading fails; `ignore` never. "
        "Left out it is `auto` with an engine that reads plain text or `scope=document`, else `ignore`, or what the "
        "server sets."
    ),
]
JsonSchema = Annotated[
    str,
    AfterValidator(check_given),
    Field(
        max_length=MAX_CHARS,
        description="A JSON schema of an object, as text; needed with `task=extract`, which a language model does: the "
        "values of each page or of the document, checked by the schema, with their boxes where they are found.",
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


def check_needed(task: str, question: str, schema: str, scope: str = "page", engine: str = "") -> None:
    """Raises ValueError for a task without what it needs."""
    engine = engine or engine_name()
    if scope == "document" and task not in ("ask", "extract"):
        raise ValueError("`scope=document` is for `task=ask` and `task=extract`; leave it out to read pages")
    if task == "ask" and not question:
        raise ValueError("`task=ask` needs a `question`")
    if task == "extract" and not schema:
        raise ValueError("`task=extract` needs a JSON schema in the field `schema`")
    if (task == "extract" or scope == "document") and reads_plain_text(engine):
        wanted = "task=extract" if task == "extract" else "scope=document"
        able = [name for name in engine_names() if not reads_plain_text(name)]
        instead = f"ask for `engine={able[0]}`" if able else "start the server with ENGINE=vlm or ENGINE=openai"
        raise ValueError(
            f"`{wanted}` needs a language model, and the engine {engine} reads plain text; "
            f"{instead}, or read the text and go on elsewhere"
        )
