"""What the REST API gives, as pydantic models; OpenAPI is made from these."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from tasks.messages import JobState, PageState
from workers.layout.blocks import BlockKind

Answers = dict[int | str, dict[str, str | dict[str, dict[str, Any]]]]  # what `@bp.doc` takes: status -> answer


class PageCounts(BaseModel):
    total: int = Field(description="Pages of the job; 0 until the document has been opened.")
    ok: int
    blank: int
    fallback: int
    failed: int
    cancelled: int
    running: int
    queued: int


class Fault(BaseModel):
    """Why something went wrong. `reason` is stable, `detail` is for people and says what to do."""

    reason: str
    detail: str


class Timings(BaseModel):
    """Times are UTC, durations seconds."""

    created_at: str
    started_at: str | None
    ended_at: str | None
    waited_s: float = Field(description="From the upload to the start.")
    running_s: float | None = Field(description="From the start to the end, or to now.")


class Links(BaseModel):
    """Addresses on this server."""

    self: str
    pages: str
    events: str
    html: str
    results: dict[str, str]


class JobSummary(BaseModel):
    """One upload, as lists show it."""

    id: str
    state: JobState
    name: str
    kind: str
    size: int = Field(description="Bytes of the document; 0 until one named by a URL is fetched.")
    batch_id: str
    parent: str = Field(description="The job of the document that this one was attached to; empty for others.")
    metadata: dict[str, str] = Field(description="Your own keys and values, as they were sent with the document.")
    tags: list[str]
    run: int = Field(description="1 for the first reading, one more for each repair.")
    num_pages: int = Field(description="Pages of the document.")
    pages: PageCounts
    progress: float = Field(description="Share of the pages that have ended, 0 to 1.")
    error: Fault | None
    seq: int = Field(description="Rises with every change of the job or one of its pages.")
    timings: Timings
    links: Links


class DeliveryOut(BaseModel):
    """A call of the job's webhook, or the last try at a file of its target. It went well when `reason` is empty."""

    kind: Literal["webhook", "pages", "target"] = "webhook"
    target: str = Field(default="", description="Of a file: where it is written; a signed URL without its query.")
    format: str = Field(default="", description="Of a file.")
    tries: int = Field(default=1, description="Of a file: how often it was tried.")
    is_over: bool = Field(default=True, description="Of a file: whether nothing more is tried.")
    event: str = Field(description="The end it told of; the header `Webhook-Id`.")
    at: str = Field(description="UTC.")
    status: int = Field(description="HTTP status of the answer; 0 when there was none.")
    reason: str
    seconds: float


class JobOut(JobSummary):
    """One upload."""

    options: dict[str, Any]
    source_url: str = Field(description="Where the document came from; empty for an upload.")
    selection: str = Field(description="The pages that are read, as `1-3,7`.")
    queue_position: int | None = Field(description="Unfinished jobs ahead, until its first page begins.")
    eta_s: float | None = Field(description="Seconds left at the pace so far, if there is one.")
    missing_pages: list[int] = Field(description="Numbers of the pages that ended without text.")
    fallback_pages: list[int] = Field(description="Numbers of the pages whose text is second best.")
    pages_to_look_at: list[int] = Field(
        description="Numbers of the pages with a `notice`, once the job has ended; missing pages may be among them."
    )
    warnings: list[str]
    deliveries: list[DeliveryOut] = Field(description="The newest 20 calls of `webhook_url` and files of `target_url`.")


class JobsOut(BaseModel):
    """The jobs that one request made."""

    batch_id: str
    jobs: list[JobOut]


class BatchOut(BaseModel):
    """Jobs that were sent together."""

    batch_id: str
    num_jobs: int
    has_ended: bool = Field(description="Whether all its jobs have.")
    progress: float = Field(description="Mean of its jobs' progress, 0 to 1.")
    states: dict[str, int] = Field(description="Number of jobs in each state that one is in.")
    pages: PageCounts = Field(description="Over all its jobs.")
    jobs: list[JobSummary]


class MatchOut(BaseModel):
    """Where the words of `q` stand in a job."""

    page_number: int = Field(description="The first page that has them all.")
    num_pages: int = Field(description="How many pages have.")
    text: str = Field(description="A piece of that page.")
    marks: list[list[int]] = Field(description="Where the words are in `text`: first and past the last, from 0.")


class JobListOut(BaseModel):
    jobs: list[JobSummary]
    matches: dict[str, MatchOut] = Field(
        description="By the job's id where `q` stands in its text; none for jobs found by their names."
    )
    next: str | None = Field(description="Cursor of the next part; null at the end.")


class PageOut(BaseModel):
    """One page. `page_number` counts from 1; `seconds` is the time its generation took."""

    page_number: int
    state: PageState
    fault: Fault | None
    engine: str
    stop_reason: str
    tokens: int
    seconds: float
    width: int = Field(description="Pixels of the prepared image.")
    height: int
    rotation: int = Field(description="Degrees the page was turned clockwise.")
    cached: bool = Field(description="Whether the text comes from an equal page read before.")
    text_layer_recall: float | None = Field(
        description="Share of the words of the PDF's own text that this text has too; null where none is to compare."
    )
    confidence: float | None = Field(
        description="How sure the engine was of its lines, 0 to 1; null where it gives none."
    )
    notices: list[str] = Field(
        description="Words for what to look at: unread_script, unread_ink, unreadable, no_text, low_confidence."
    )
    corrected_at: str | None = Field(description="When a person corrected the text last, UTC; null for never.")
    notice: str = Field(description="What to look at on a page that ended well; mostly empty.")
    attempts: list[dict[str, Any]]
    seq: int
    links: dict[str, str]


class PageListOut(BaseModel):
    """The pages, in page order. Pass `seq` as `since` to get only what changed meanwhile."""

    state: JobState
    seq: int
    pages: list[PageOut]


class LineOut(BaseModel):
    text: str
    box: tuple[float, float, float, float] = Field(description="x0, y0, x1, y1 in pixels of the page image.")
    confidence: float = Field(description="0 to 1.")
    doubts: list[str] = Field([], description="Words of the line that the engine was unsure of.")


class CellOut(BaseModel):
    """A cell of a table, at its first row and column, from 0. Empty cells are left out."""

    row: int
    column: int
    text: str
    row_span: int = 1
    column_span: int = 1
    is_header: bool = False


class BlockOut(BaseModel):
    """A block of the page, in reading order, made of `lines`, by their places in the page's list, from 0."""

    kind: BlockKind
    text: str = Field(description="A line each; of a list item without its `marker`, of a table its cells by rows.")
    box: tuple[float, float, float, float] | None = Field(
        default=None, description="x0, y0, x1, y1 in pixels of the page image; null where the engine gives no places."
    )
    lines: list[int] = Field(default_factory=list)
    level: int = Field(default=0, description="From 1: of a heading, and how deep a list item stands.")
    marker: str = Field(default="", description="Mark of a list item, or language of code.")
    cells: list[CellOut] = Field(default_factory=list, description="Of a table.")
    markup: Literal["", "markdown", "latex"] = Field(default="", description="What a language model wrote it in.")
    figure: str = Field(default="", description="Name of the picture of it, under `/jobs/{id}/figures/`.")
    confidence: float | None = None
    size: float = Field(default=0.0, description="Height of its type, in pixels; 0 where it is not known.")
    is_bold: bool = False


class PageTextOut(PageOut):
    """One page with what was read on it."""

    text: str = Field(description="While the page is `generating`, what has been read so far, where the engine tells.")
    lines: list[LineOut]
    blocks: list[BlockOut] = Field(
        description="What the lines make; empty until the layout of the page is found. Kinds and levels are those of "
        "the page by itself; the result has those of the document."
    )


class ProblemOut(BaseModel):
    """RFC 9457. `type` is stable, `advice` says what to do; clients of other services look for the rest."""

    type: str
    title: str
    status: int
    detail: str
    advice: str
    message: str = Field(description="`detail` and `advice`.")
    error: dict[str, str] = Field(description="`code`, the last word of `type`, and `message`.")
    instance: str
