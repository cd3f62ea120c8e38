"""What `pagefan.client` gives and raises, and the options it takes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, cast

import httpx

from pagefan.answer_record import Answer
from pagefan.records import Job, ResultPage

ENDED = frozenset({"succeeded", "partial", "failed", "cancelled"})

TextFormat = Literal["md", "json", "txt", "html", "docling", "chunks", "hocr", "alto"]
Format = Literal["md", "json", "txt", "html", "docling", "chunks", "hocr", "alto", "docx", "pdf", "zip"]
TableFormat = Literal["csv", "html", "json"]
Json = dict[str, Any]


class ReadOptions(TypedDict, total=False):
    """The options of POST /jobs but `task`, `question` and `schema`; /docs on the server describes them."""

    scope: Literal["page", "document"]
    prompt: str
    pages: str
    language: str
    engine: str
    dpi: int
    max_new_tokens: int
    temperature: float
    text_layer: Literal["auto", "ignore", "prefer", "fallback"]
    priority: Literal["low", "normal", "high"]
    password: str
    webhook_url: str
    webhook_events: str
    webhook_format: Literal["standard", "cloudevents"]
    attachments: bool
    target_url: str
    target_formats: str
    batch_id: str
    metadata: Mapping[str, str]
    tags: Sequence[str]


class Labels(TypedDict, total=False):
    """Which jobs are wanted: those with all of these tags and values."""

    tags: Sequence[str]
    metadata: Mapping[str, str]


class Wanted(Labels, total=False):
    """Which jobs are wanted: those for which all of it holds. `q` is in their names, or its words in their texts.

    `since` and `until` are dates or times in ISO 8601; of `state` one has to fit, of `engine` one page.
    """

    q: str
    state: str | Sequence[str]
    engine: str
    batch_id: str
    since: str
    until: str


class Options(ReadOptions, total=False):
    """All the options of POST /jobs."""

    task: Literal["transcribe", "ask", "describe", "extract"]
    question: str
    schema: str


class RetryOptions(TypedDict, total=False):
    """What a repair may do otherwise; what is left out stays as it was."""

    prompt: str
    language: str
    engine: str
    dpi: int
    max_new_tokens: int
    temperature: float
    password: str


class ClientError(Exception):
    """The server did not do what was asked; the message says why and what to do."""


class ServerAway(ClientError):
    """The server cannot be reached, or cannot work now.

    `status` is the HTTP code, 0 where there was no answer; `was_there` is whether a connection could be made at all.
    """

    def __init__(
        self, words: str, *, status: int = 0, retry_after_s: float | None = None, was_there: bool = False
    ) -> None:
        super().__init__(words)
        self.status = status
        self.retry_after_s = retry_after_s
        self.was_there = was_there


class Refused(ClientError):
    """The server refuses the request. `problem` is its RFC 9457 body, `status` the HTTP code.

    `retry_after_s` is the time after which the server wants to be asked again, None where it names none.
    """

    def __init__(self, status: int, problem: Json, retry_after_s: float | None = None) -> None:
        words = [problem.get("detail") or problem.get("title") or f"HTTP {status}", problem.get("advice")]
        super().__init__(" ".join(word for word in words if word))
        self.status = status
        self.problem = problem
        self.retry_after_s = retry_after_s

    @property
    def kind(self) -> str:
        """The stable name of the problem, such as `empty-file`."""
        return str(self.problem.get("type", "")).rpartition(":")[2]


class JobFailed(ClientError):
    """The job ended without text; `job` is its last record."""

    def __init__(self, job: Job) -> None:
        error = job["error"]
        super().__init__(error["detail"] if error else f"The job ended as {job['state']}; no page could be read.")
        self.job = job


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a document. `missing_pages` are the numbers of pages without text, counted from 1."""

    job: Job
    content: bytes
    format: Format

    @property
    def text(self) -> str:
        """The content as text; raises ValueError for `docx`, `pdf` and `zip`, which are none."""
        if self.format in ("docx", "pdf", "zip"):
            raise ValueError(f"a result of format {self.format} is no text; take `content`")
        return self.content.decode()

    @property
    def pages(self) -> list[ResultPage]:
        """The pages of a `json` result in page order; raises ValueError for another format."""
        if self.format != "json":
            raise ValueError(f"a result of format {self.format} has no page records; ask for json")
        return list(json.loads(self.content)["pages"])

    @property
    def answer(self) -> Answer:
        """What came of a question with `scope="document"`, or of values; raises ValueError for other results."""
        found = json.loads(self.content).get("answer") if self.format == "json" else None
        if found is None:
            raise ValueError('only a json result of a job with scope="document" has an answer')
        return cast("Answer", found)

    @property
    def is_complete(self) -> bool:
        return bool(self.job["state"] == "succeeded")

    @property
    def missing_pages(self) -> list[int]:
        return list(self.job["missing_pages"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What the server tells of a job. Listening again with `id` goes on after this event.

    `name` is `job`, `page`, `text` (a page with its text), `partial` (what has been read of a page so far; without an
    id) or `end`, the last one. `data` is the record that the API describes, for `end` {state}. Take no notice of a name
    you do not know.
    """

    id: str
    name: str
    data: Json


def error_of(answer: httpx.Response) -> ClientError:
    """What to raise for an answer that is an error and has been read."""
    try:
        problem: Mapping[str, Any] = answer.json()
    except ValueError:
        problem = {}
    after = answer.headers.get("Retry-After", "")
    refused = Refused(answer.status_code, dict(problem), float(after) if after.isdecimal() else None)
    if answer.status_code not in (502, 503, 504):
        return refused
    return ServerAway(
        str(refused), status=refused.status, retry_after_s=refused.retry_after_s, was_there=refused.status == 503
    )


def unreached(http: httpx.Client | httpx.AsyncClient, error: httpx.TransportError) -> ServerAway:
    was_there = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.UnsupportedProtocol)
    where = f"{http.base_url.scheme}://{http.base_url.netloc.decode()}"  # without a name and password
    return ServerAway(f"{where} cannot be reached: {plain(error)}", was_there=was_there)


def plain(error: Exception) -> str:
    """What the system says, without its number."""
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__


def check_readable(job: Job) -> None:
    """Raise JobFailed for a job that has ended without any text."""
    if job["error"] or job["state"] == "failed":
        raise JobFailed(job)
