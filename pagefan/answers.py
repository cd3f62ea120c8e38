"""What `pagefan.client` gives and raises, and the options it takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

import httpx

ENDED = frozenset({"succeeded", "partial", "failed", "cancelled"})

TextFormat = Literal["md", "json", "txt", "html"]
Format = Literal["md", "json", "txt", "html", "pdf", "zip"]
Json = dict[str, Any]


class ReadOptions(TypedDict, total=False):
    """The options of POST /jobs but `task` and `question`; /docs on the server describes them."""

    prompt: str
    pages: str
    dpi: int
    max_new_tokens: int
    temperature: float
    text_layer: Literal["ignore", "prefer", "fallback"]
    priority: Literal["low", "normal", "high"]
    password: str
    webhook_url: str
    batch_id: str


class Options(ReadOptions, total=False):
    """All the options of POST /jobs."""

    task: Literal["transcribe", "ask", "describe"]
    question: str


class RetryOptions(TypedDict, total=False):
    """What a repair may do otherwise; what is left out stays as it was."""

    prompt: str
    dpi: int
    max_new_tokens: int
    temperature: float


class ClientError(Exception):
    """The server did not do what was asked; the message says why and what to do."""


class ServerAway(ClientError):
    """The server cannot be reached, or cannot work now."""


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

    def __init__(self, job: Json) -> None:
        error = job.get("error") or {}
        super().__init__(error.get("detail") or f"The job ended as {job['state']}; no page could be read.")
        self.job = job


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a document. `missing_pages` are the numbers of pages without text, counted from 1."""

    job: Json
    content: bytes
    format: Format

    @property
    def text(self) -> str:
        """The content as text; raises ValueError for `pdf` and `zip`, which are none."""
        if self.format in ("pdf", "zip"):
            raise ValueError(f"a result of format {self.format} is no text; take `content`")
        return self.content.decode()

    @property
    def pages(self) -> list[Json]:
        """The pages of a `json` result in page order; raises ValueError for another format."""
        if self.format != "json":
            raise ValueError(f"a result of format {self.format} has no page records; ask for json")
        return list(json.loads(self.content)["pages"])

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


def is_url(source: str | Path) -> bool:
    return isinstance(source, str) and source.startswith(("http://", "https://"))


def error_of(answer: httpx.Response) -> ClientError:
    """What to raise for an answer that is an error and has been read."""
    try:
        problem: Mapping[str, Any] = answer.json()
    except ValueError:
        problem = {}
    after = answer.headers.get("Retry-After", "")
    refused = Refused(answer.status_code, dict(problem), float(after) if after.isdecimal() else None)
    return ServerAway(str(refused)) if answer.status_code in (502, 503, 504) else refused
