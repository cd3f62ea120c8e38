"""What the ledger has on a job and on a page. Times are Unix seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from tasks.messages import JOB_ENDED, PAGE_ENDED, JobOptions, JobState, PageState, PageTask
from workers.documents.text_layer import LOW_RECALL

PAGE_STATES: tuple[PageState, ...] = (
    "queued", "preparing", "ready", "generating", "ok", "blank", "fallback", "failed", "cancelled",
)  # fmt: skip
Attempts = Sequence[Mapping[str, Any]]  # records {engine, seconds, reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One document, as the ledger has it. `counts` has a number for each page state; they add up to `num_selected`.

    `num_corrected` pages have been corrected by people. `parent` is the job of the document that this one was attached
    to, "" for others. `metadata` and `tags` are what people wrote on it.
    """

    id: str
    state: JobState
    owner: str = ""
    name: str = ""
    kind: str = ""
    size: int = 0
    batch_id: str = ""
    source_url: str = ""
    parent: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    options: JobOptions = field(default_factory=JobOptions)
    run: int = 0
    num_pages: int = 0
    num_selected: int = 0
    num_corrected: int = 0
    pages_told: int = 0  # the change up to which the webhook has heard of pages
    selection: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    error: dict[str, str] | None = None
    warnings: tuple[str, ...] = ()
    deliveries: tuple[dict[str, Any], ...] = ()
    seq: int = 0
    was_cancelled: bool = False
    created_at: float = 0.0
    started_at: float | None = None
    changed_at: float = 0.0
    ended_at: float | None = None

    @property
    def has_ended(self) -> bool:
        return self.state in JOB_ENDED

    def has_labels(self, tags: Sequence[str], metadata: Mapping[str, str]) -> bool:
        """Whether it has all of these tags and values."""
        return set(tags) <= set(self.tags) and metadata.items() <= self.metadata.items()

    @property
    def num_ended(self) -> int:
        """Pages that have ended, well or not."""
        return sum(self.counts.get(state, 0) for state in PAGE_ENDED)

    @property
    def progress(self) -> float:
        """Share of the selected pages that have ended, 0 to 1."""
        return self.num_ended / self.num_selected if self.num_selected else float(self.has_ended)


PLAIN_FIELDS = {spec.name for spec in fields(Job)} - {
    "id", "options", "counts", "error", "warnings", "deliveries", "was_cancelled", "metadata", "tags",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page, as the ledger has it; its text lies in the blobs. `index` is 0-based, `page_number` 1-based.

    `attempts` has one record {engine, seconds, reason} for each try that did not end the page well.
    `text_layer_recall` is the share of the PDF's own words that the engine's text has, None where it has none.
    `confidence` is how sure the engine was of its lines, 0 to 1, None where it gives none. `notices` are words for what
    people should look at; `tasks.reasons` has their sentences. `corrected_at` is when a person corrected the text last,
    0 for never. `cache_key` is the place in the page cache that its text will have; "" for none. A repair may have
    another one, and then the earlier ones are known too.
    """

    index: int
    state: PageState = "queued"
    run: int = 1
    reason: str = ""
    detail: str = ""
    blob: str = ""
    engine: str = ""
    stop_reason: str = ""
    tokens: int = 0
    num_tokens: int = 0
    seconds: float = 0.0
    width: int = 0
    height: int = 0
    rotation: int = 0
    cached: bool = False
    text_layer_recall: float | None = None
    confidence: float | None = None
    notices: tuple[str, ...] = ()
    has_image: bool = False
    attempts: tuple[dict[str, Any], ...] = ()
    cache_key: str = ""
    earlier_cache_keys: tuple[str, ...] = ()
    corrected_at: float = 0.0
    resends: int = 0
    seq: int = 0

    @property
    def page_number(self) -> int:
        return self.index + 1

    @property
    def has_ended(self) -> bool:
        return self.state in PAGE_ENDED

    @property
    def is_notable(self) -> bool:
        """Whether people should hear of it: its text is missing, not the engine's, or to be compared with the page."""
        has_little = self.text_layer_recall is not None and self.text_layer_recall < LOW_RECALL
        is_doubtful = not self.corrected_at and (bool(self.notices) or has_little)
        return self.state in ("failed", "cancelled", "fallback") or is_doubtful

    def to_line(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False) + "\n"

    @classmethod
    def from_line(cls, line: bytes) -> Page:
        values = json.loads(line)
        return cls(**(values | tuples(values)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A page this process may generate. `starts` counts the generations of it that no process lived to end.

    Pages of one `bucket` make the best batch: their prompts, and probably their answers, are about as long.
    """

    task: PageTask
    starts: int
    bucket: str


def read_job(job_id: str, raw: dict[str, str]) -> Job:
    counts: dict[str, int] = {state: max(0, int(raw.get(f"n:{state}", 0))) for state in PAGE_STATES}
    num_selected = int(raw.get("num_selected", 0))
    counts["queued"] = max(0, num_selected - sum(counts.values()))
    ended_at, started_at = raw.get("ended_at"), raw.get("started_at")
    return Job(
        id=job_id,
        state=raw["state"],  # type: ignore[arg-type]
        owner=raw.get("owner", ""),
        name=raw.get("name", ""),
        kind=raw.get("kind", ""),
        size=int(raw.get("size", 0)),
        batch_id=raw.get("batch_id", ""),
        source_url=raw.get("source_url", ""),
        parent=raw.get("parent", ""),
        metadata=json.loads(raw.get("metadata", "{}")),
        tags=tuple(json.loads(raw.get("tags", "[]"))),
        options=JobOptions.from_json(json.loads(raw.get("options", "{}"))),
        run=int(raw.get("run", 0)),
        num_pages=int(raw.get("num_pages", 0)),
        num_selected=num_selected,
        num_corrected=int(raw.get("num_corrected", 0)),
        pages_told=int(raw.get("pages_told", 0)),
        selection=raw.get("selection", ""),
        counts=counts,
        error=json.loads(raw["error"]) if "error" in raw else None,
        warnings=tuple(json.loads(raw.get("warnings", "[]"))),
        deliveries=tuple(json.loads(raw.get("deliveries", "[]"))),
        seq=int(raw.get("seq", 0)),
        was_cancelled="cancelled_at" in raw,
        created_at=float(raw.get("created_at", 0)),
        started_at=float(started_at) if started_at else None,
        changed_at=float(raw.get("changed_at", 0)),
        ended_at=float(ended_at) if ended_at else None,
    )


def job_fields(job: Job) -> dict[str, str]:
    """The job as `read_job` takes it."""
    raw: dict[str, Any] = {name: getattr(job, name) for name in PLAIN_FIELDS if getattr(job, name) is not None}
    raw |= {f"n:{state}": number for state, number in job.counts.items() if state != "queued"}
    raw |= {name: json.dumps(getattr(job, name)) for name in ("warnings", "deliveries", "metadata", "tags")}
    raw |= {"options": json.dumps(job.options.to_json()), "priority": job.options.priority}
    if job.error is not None:
        raw["error"] = json.dumps(job.error)
    if job.was_cancelled:
        raw["cancelled_at"] = job.ended_at or job.changed_at
    return {name: str(value) for name, value in raw.items()}


def page_record(page: Page) -> str:
    """The page as `read_page` takes it."""
    values = {name: value for name, value in asdict(page).items() if name != "index" and value not in (None, ())}
    return json.dumps(values)


def read_page(index: int, raw: str | None) -> Page:
    known = Page.__dataclass_fields__
    values = {name: value for name, value in json.loads(raw or "{}").items() if name in known}
    return Page(**(values | tuples(values) | {"index": index}))


def tuples(values: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """The fields of a page that JSON has as lists."""
    return {name: tuple(values.get(name, ())) for name in ("attempts", "notices", "earlier_cache_keys")}


def read_claim(entry: dict[str, Any]) -> Claimed:
    task = PageTask(job_id=entry["job"], run=int(entry["run"]), index=int(entry["index"]))
    return Claimed(task=task, starts=int(entry["starts"]), bucket=entry["bucket"])
