"""What crosses a process: ids, numbers and the job's options, as JSON. Never page bytes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

from tasks.ids import BadId, check_job_id, check_number

JobState = Literal["queued", "splitting", "running", "assembling", "succeeded", "partial", "failed", "cancelled"]
PageState = Literal["queued", "preparing", "ready", "generating", "ok", "blank", "fallback", "failed", "cancelled"]
TextLayer = Literal["auto", "ignore", "prefer", "fallback"]
Scope = Literal["page", "document"]
JOB_ENDED = frozenset({"succeeded", "partial", "failed", "cancelled"})
PAGE_ENDED = frozenset({"ok", "blank", "fallback", "failed", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """What the user asked of a job; the same for all its pages.

    `pages` is a selection in people's numbers, as "1-3,7,-1"; empty is all.
    `dpi` 0 leaves the resolution to the engine. `priority` is a weight: 1 low, 2 normal, 4 high. `language` is what the
    page is written in, as `deu+fra` or `auto`, for engines that know languages. `attachments` makes jobs of the
    PDFs and images within the document. Results are written to `target_url` in each of the `target_formats`, by comma.
    `engine` is the one that is asked for; empty is the server's.

    `text_layer` says when a PDF page's own text is used: `auto` where the pixels agree with it, and for a part of a
    page too; `prefer` where they agree, for whole pages; `fallback` where reading fails; all but `ignore` do that too.

    `schema` is the JSON schema of `extract`, as text. With `scope` document, `ask` and `extract` are of the document as
    a whole: its pages are read plainly, and then a model is asked once.

    `password` is for one process at a time: it is empty in the ledger, which knows by `has_password` to ask
    `tasks.passwords`.
    """

    task: Literal["transcribe", "ask", "describe", "extract"] = "transcribe"
    scope: Scope = "page"
    question: str = ""
    schema: str = ""
    prompt: str = ""
    pages: str = ""
    dpi: int = 0
    max_new_tokens: int = 0
    temperature: float = 0.0
    text_layer: TextLayer = "ignore"
    priority: int = 2
    language: str = ""
    engine: str = ""
    password: str = ""
    has_password: bool = False
    webhook_url: str = ""
    webhook_events: str = "job"  # job, page, batch, by comma
    webhook_format: Literal["standard", "cloudevents"] = "standard"
    attachments: bool = False
    target_url: str = ""
    target_formats: str = "md"

    @property
    def asks_document(self) -> bool:
        """Whether a model is asked once about the document, whose pages are only read."""
        return self.scope == "document" and self.task in ("ask", "extract")

    @property
    def is_plain(self) -> bool:
        """Whether pages are plainly transcribed."""
        return self.asks_document or (self.task == "transcribe" and not self.prompt)

    @property
    def wants_layer(self) -> bool:
        """Whether a text layer may answer for a page: for a plain transcription only."""
        return self.text_layer in ("auto", "prefer") and self.is_plain

    @property
    def wants_places(self) -> bool:
        """Whether the words of a text layer are wanted for their places only."""
        return self.task == "extract" and not self.asks_document

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        known = {spec.name for spec in fields(cls)}
        return cls(**{key: item for key, item in value.items() if key in known})


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTask:
    """One page of one run of a job.

    `run` counts from 1 and rises with each repair. `index` is the page's 0-based place in the document; people see
    `page_number = index + 1`.
    """

    job_id: str
    run: int
    index: int

    @property
    def key(self) -> tuple[str, int]:
        """Tells the page from all others, whatever the run."""
        return self.job_id, self.index

    @property
    def page_number(self) -> int:
        return self.index + 1

    @property
    def task_id(self) -> str:
        return f"{self.job_id}.{self.run}-p{self.page_number:06d}"

    def to_json(self) -> list[Any]:
        return [self.job_id, self.run, self.index]

    @classmethod
    def from_json(cls, value: object) -> Self:
        """The page that a message names; raises BadId for a message that is none of ours."""
        if not isinstance(value, list) or len(value) != 3:
            raise BadId(f"{value!r:.80} is not a page")
        job_id, run, index = value
        return cls(job_id=check_job_id(job_id), run=check_number(run), index=check_number(index))
