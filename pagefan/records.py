"""What the server's records hold. They are plain dicts, typed: what a newer server adds is there too, untyped."""

from typing import Any, Literal, NotRequired, TypedDict

from pagefan.deliveries import Delivery as Delivery

JobState = Literal["queued", "splitting", "running", "assembling", "succeeded", "partial", "failed", "cancelled"]
PageState = Literal["queued", "preparing", "ready", "generating", "ok", "blank", "fallback", "failed", "cancelled"]


class PageCounts(TypedDict):
    """Numbers of pages; `total` is 0 until the document has been opened."""

    total: int
    ok: int
    blank: int
    fallback: int
    failed: int
    cancelled: int
    running: int
    queued: int


class Fault(TypedDict):
    """Why something went wrong: `reason` is stable, `detail` is for people."""

    reason: str
    detail: str


class Timings(TypedDict):
    """Times are UTC in ISO 8601, durations seconds."""

    created_at: str
    started_at: str | None
    ended_at: str | None
    waited_s: float
    running_s: float | None


class Links(TypedDict):
    """Addresses on the server, by what is there."""

    self: str
    pages: str
    events: str
    html: str
    results: dict[str, str]


class JobSummary(TypedDict):
    """A job as lists show it; `progress` is the share of its pages that have ended, 0 to 1.

    `parent` is the job of the document that this one was attached to, "" for others.
    """

    id: str
    state: JobState
    name: str
    kind: str
    size: int
    batch_id: str
    parent: str
    metadata: dict[str, str]
    tags: list[str]
    run: int
    num_pages: int
    pages: PageCounts
    progress: float
    error: Fault | None
    seq: int
    timings: Timings
    links: Links


class Job(JobSummary):
    """A job. `missing_pages` are the numbers of its pages without text, from 1.

    What `submit` gives also has `replayed`: whether its Idempotency-Key had made the job before.
    """

    options: dict[str, Any]
    source_url: str
    selection: str
    queue_position: int | None
    eta_s: float | None
    missing_pages: list[int]
    fallback_pages: list[int]
    pages_to_look_at: list[int]
    warnings: list[str]
    deliveries: list[Delivery]
    replayed: NotRequired[bool]


class Match(TypedDict):
    """Where words that were looked for stand: the first page with all of them, and a piece of it.

    `marks` are the places of the words in `text`: the first sign and the one past the last, from 0.
    """

    page_number: int
    num_pages: int
    text: str
    marks: list[list[int]]


class JobList(TypedDict):
    """The newest jobs first; `next` is the cursor to go on with, None at the end. `matches` are by the jobs' ids."""

    jobs: list[JobSummary]
    matches: dict[str, Match]
    next: str | None


class Batch(TypedDict):
    """Jobs that were sent together."""

    batch_id: str
    num_jobs: int
    has_ended: bool
    progress: float
    states: dict[str, int]
    pages: PageCounts
    jobs: list[JobSummary]


class PageFacts(TypedDict):
    """What all records of a page say of it; `page_number` counts from 1."""

    page_number: int
    state: PageState
    engine: str
    stop_reason: str
    tokens: int
    seconds: float
    width: int
    height: int
    rotation: int
    cached: bool
    text_layer_recall: float | None
    attempts: list[dict[str, Any]]


class Page(PageFacts):
    """A page without its text."""

    fault: Fault | None
    confidence: float | None
    notices: list[str]
    corrected_at: str | None
    notice: str
    seq: int
    links: dict[str, str]


class PageList(TypedDict):
    """Pages in page order; `seq` is what to ask with to get later changes only."""

    state: JobState
    seq: int
    pages: list[Page]


class Line(TypedDict):
    """A line of text; `box` is left, top, right, bottom in pixels of the page image."""

    text: str
    box: list[float]
    confidence: float
    doubts: NotRequired[list[str]]


class Cell(TypedDict):
    """A cell of a table at its first row and column, from 0."""

    row: int
    column: int
    text: str
    row_span: NotRequired[int]
    column_span: NotRequired[int]
    is_header: NotRequired[bool]


class Table(TypedDict):
    """A table of the document, `number` in its order from 1; one that goes on over pages is one table."""

    number: int
    page_number: int
    rows: int
    columns: int
    cells: list[Cell]
    links: dict[str, str]


class Block(TypedDict):
    """A paragraph, heading, table or another part of a page; what is empty is left out."""

    kind: str
    text: str
    box: NotRequired[list[float]]
    lines: NotRequired[list[int]]
    level: NotRequired[int]
    marker: NotRequired[str]
    cells: NotRequired[list[Cell]]
    markup: NotRequired[str]
    figure: NotRequired[str]
    confidence: NotRequired[float]


class Content(TypedDict):
    """What was read on a page."""

    text: str
    lines: list[Line]
    blocks: NotRequired[list[Block]]


class PageText(Page, Content):
    """A page with its text."""


class Value(TypedDict):
    """A value that was extracted, by its path such as `items[0].price`; `box` where it was found on the page."""

    path: str
    value: str | float | bool | None
    page_number: int | None
    box: list[float] | None


class ResultPage(PageFacts, Content):
    """A page as a `json` result has it; `data` and `values` are there with `task=extract`."""

    data: NotRequired[dict[str, Any]]
    values: NotRequired[list[Value]]

    reason: str
    detail: str
    confidence: NotRequired[float | None]
    notices: NotRequired[list[str]]
