"""Pagefan from Python: `Client("http://127.0.0.1:8000").convert("report.pdf").text`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack, cast

import httpx

import pagefan.calls as calls
from pagefan.answer_record import Answer
from pagefan.answers import (
    ENDED,
    ClientError,
    Event,
    Format,
    JobFailed,
    Json,
    Options,
    Refused,
    Result,
    RetryOptions,
    ServerAway,
    TableFormat,
    TextFormat,
    Wanted,
    check_readable,
)
from pagefan.asking import Asking, OnChange
from pagefan.connection import Connection, whole_file
from pagefan.patience import Retrying, again_if_away, patience_s
from pagefan.records import Batch, Job, JobList, JobSummary, PageList, PageText, Table
from pagefan.sources import Source, is_url, opened
from pagefan.sse import listen

__all__ = [
    "Client", "ClientError", "Event", "Format", "Job", "JobFailed", "Json", "Options", "Refused", "Result",
    "ServerAway", "check_readable",
]  # fmt: skip

LONG_POLL_S = 20.0


class Client(Asking):
    """A connection to one Pagefan server; safe to share between threads, closed by `close` or `with`.

    Every call raises ServerAway when the server cannot be reached and Refused when it does not do what was asked; both
    are ClientError, and the message says what to do. A server that is full (429, 503) or whose line breaks is asked
    again, more and more slowly or as it says itself, for up to `retry_s`; 0 raises at once.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        api_key: str = "",
        *,
        timeout_s: float = 60.0,
        retry_s: float = 30.0,
    ) -> None:
        self._server = Connection(base_url, api_key, timeout_s, retry_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._server.close()

    # send

    def submit(
        self,
        source: Source,
        *,
        name: str = "",
        idempotency_key: str = "",
        follow_links: bool = True,
        **options: Unpack[Options],
    ) -> Job:
        """Send a document and return its job. `options` are those of POST /jobs, such as `pages="1-3"`.

        `source` is a path, bytes, a file opened in binary mode, or a URL, which the server fetches; `name` is what the
        job of bytes or a file is called. With a key, sending the same again within a day gives the same job, and
        `replayed` in it is true. Raises OSError for a file that cannot be read, for what is no file, and for a link
        where those are not followed.
        """
        headers = calls.key_header(idempotency_key, self._server.retry_s)
        if is_url(source):
            return calls.submitted_job(self._server.call(calls.submit_url(str(source), headers, options)))
        with opened(source, name, follow_links=follow_links) as (name, file):
            return calls.submitted_job(self._server.call(calls.submit_file(name, file, headers, options)))

    send = submit_url = submit

    def submit_all(self, url: str, *, idempotency_key: str = "", **options: Unpack[Options]) -> list[Job]:
        """Send the documents of a folder or pattern in a storage that the server knows, `s3://scans/2026/*.pdf`."""
        headers = calls.key_header(idempotency_key, self._server.retry_s)
        return calls.submitted_jobs(self._server.call(calls.submit_url(url, headers, options)))

    def convert(
        self,
        source: Source,
        *,
        format: Format = "md",
        on_progress: OnChange | None = None,
        **options: Unpack[Options],
    ) -> Result:
        """Send a document, wait for it, and fetch what was read.

        Raises OSError, and JobFailed when no page could be read.
        """
        job = self.submit(source, **options)
        return self.fetch(self.wait(job["id"], on_change=on_progress), format)

    # follow

    def status(self, job_id: str, *, wait_s: float = 0.0) -> Job:
        """The job as it is now, or once its state has changed if that is within `wait_s`, at most 60."""
        return cast("Job", self._server.call(calls.status(job_id, wait_s)).json())

    job = status

    def jobs(self, *, limit: int = 50, cursor: str = "", **wanted: Unpack[Wanted]) -> JobList:
        """The newest jobs first, of those `wanted`: {jobs, matches, next}; `next` is the cursor to go on with."""
        return cast("JobList", self._server.call(calls.jobs(limit, cursor, wanted)).json())

    def iter_jobs(self, *, at_once: int = 50, **wanted: Unpack[Wanted]) -> Iterator[JobSummary]:
        """All jobs that are `wanted`, the newest first, fetched `at_once` at a time, at most 200."""
        cursor: str | None = ""
        while cursor is not None:
            part = self.jobs(limit=at_once, cursor=cursor, **wanted)
            yield from part["jobs"]
            cursor = part["next"]

    def batch(self, batch_id: str) -> Batch:
        """The jobs that were sent together, and how far they are as a whole."""
        return cast("Batch", self._server.call(calls.batch(batch_id)).json())

    def wait(
        self, job_id: str, *, on_change: OnChange | None = None, timeout_s: float = float("inf"), poll_s: float = 0.5
    ) -> Job:
        """The job when it has ended. `on_change` gets the job whenever one of its pages has moved on.

        Rides out a server that is away for less than a minute. Raises TimeoutError after `timeout_s`.
        """
        deadline, seen = time.monotonic() + timeout_s, -1
        while True:
            long_poll_s = 0.0 if on_change else max(0.0, min(LONG_POLL_S, deadline - time.monotonic()))
            job = Retrying(**again_if_away())(self.status, job_id, wait_s=long_poll_s)
            if on_change and job["seq"] != seen:
                on_change(job)
            seen = job["seq"]
            if job["state"] in ENDED:
                return job
            if time.monotonic() > deadline:
                raise TimeoutError(f"job {job_id} has not ended after {timeout_s:g} s")
            time.sleep(poll_s if on_change else 0.05)

    def events(
        self, job_id: str, *, since: str = "", with_text: bool = True, with_partial: bool = False
    ) -> Iterator[Event]:
        """What happens to the job, from its start, or after the event with the id `since`, to its end.

        Pages come as `text` in page order, each as soon as all before it have ended. A break in the line loses and
        repeats nothing; the last event, `end`, may not come where the line breaks right before it. Raises ServerAway
        when the server is away for more than a minute.
        """
        call = calls.events(job_id, with_text, with_partial)
        return listen(self._server.http, call.path, call.params, since=since, patience_s=patience_s())

    def answer(self, job_id: str) -> Answer:
        """What came of a question about a document as a whole; Refused with 409 while there is nothing."""
        return cast("Answer", self._server.call(calls.answer(job_id)).json())

    def pages(self, job_id: str, *, since: int = 0) -> PageList:
        """The page ledger: {state, seq, pages}; with `since`, only the pages that changed after that `seq`."""
        return cast("PageList", self._server.call(calls.pages(job_id, since)).json())

    def page(self, job_id: str, page_number: int) -> PageText:
        """One page with its text and lines; `page_number` counts from 1."""
        return cast("PageText", self._server.call(calls.page(job_id, page_number)).json())

    def image(self, job_id: str, page_number: int) -> bytes:
        """The page as the engine saw it, a PNG; Refused with 404 where it is not kept."""
        return self._server.call(calls.image(job_id, page_number)).content

    def tables(self, job_id: str) -> list[Table]:
        """The tables of a job that has ended, in the order of the document."""
        return list(self._server.call(calls.tables(job_id)).json()["tables"])

    def table(self, job_id: str, number: int, format: TableFormat = "csv") -> str:
        """One table by its number, from 1, as CSV, HTML or JSON."""
        return self._server.call(calls.table(job_id, number, format)).text

    # results

    def result(self, job_id: str, format: TextFormat = "md", *, partial: bool = False) -> str:
        """The text of all pages in page order; with `partial`, what there is of an unfinished job."""
        return self.content(job_id, format, partial=partial).decode()

    def content(self, job_id: str, format: Format, *, partial: bool = False) -> bytes:
        """A result file. Waits while the server makes a searchable PDF."""
        with self._open_result(job_id, format, partial) as answer:
            return answer.read()

    def download(self, job_id: str, format: Format, path: str | Path, *, partial: bool = False) -> Path:
        """Stream a result to a file, which appears only once it is whole. Raises OSError."""
        with self._open_result(job_id, format, partial) as answer, whole_file(Path(path)) as file:
            for chunk in answer.iter_bytes():
                file.write(chunk)
        return Path(path)

    def fetch(self, job: Job, format: Format = "md") -> Result:
        """What was read in a job that has ended. Raises JobFailed when there is nothing."""
        check_readable(job)
        content = self.content(job["id"], format, partial=job["state"] == "cancelled")
        return Result(job=job, content=content, format=format)

    # change

    def cancel(self, job_id: str, *, purge: bool = False) -> Job | None:
        """Stop a job; `purge` also deletes it and everything it made. Returns the job, None when it was deleted."""
        answer = self._server.call(calls.cancel(job_id, purge))
        return None if answer.status_code == 204 else cast("Job", answer.json())

    def retry(self, job_id: str, pages: str = "failed", **options: Unpack[RetryOptions]) -> Job:
        """Read pages again, "failed" or "3,9", with other `prompt`, `dpi`, `max_new_tokens` or `temperature`."""
        return cast("Job", self._server.call(calls.retry(job_id, pages, options)).json())

    def _open_result(self, job_id: str, format: Format, partial: bool) -> AbstractContextManager[httpx.Response]:
        return self._server.open_when_made(calls.result(job_id, format, partial))
