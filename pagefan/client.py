"""Pagefan from Python: `Client("http://127.0.0.1:8000").convert("report.pdf").text`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

import httpx

from pagefan.answers import (
    ENDED,
    ClientError,
    Event,
    Format,
    JobFailed,
    Json,
    Options,
    ReadOptions,
    Refused,
    Result,
    RetryOptions,
    ServerAway,
    TextFormat,
    is_url,
)
from pagefan.connection import Connection, open_file, patiently, whole_file

__all__ = [
    "Client",
    "ClientError",
    "Event",
    "Format",
    "JobFailed",
    "Json",
    "Options",
    "Refused",
    "Result",
    "ServerAway",
]

LONG_POLL_S = 20.0

OnChange = Callable[[Json], None]


class Client:
    """A connection to one Pagefan server; safe to share between threads, closed by `close` or `with`.

    Every call raises ServerAway when the server cannot be reached and Refused when it does not do what was asked; both
    are ClientError, and the message says what to do.
    """

    def __init__(self, base_url: str = "http://127.0.0.1:8000", api_key: str = "", *, timeout_s: float = 60.0) -> None:
        self._server = Connection(base_url, api_key, timeout_s)

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
        self, path: str | Path, *, idempotency_key: str = "", follow_links: bool = True, **options: Unpack[Options]
    ) -> Json:
        """Upload a file and return its job. `options` are those of POST /jobs, such as `pages="1-3"`.

        With a key, sending the same file again within a day gives the same job, and `replayed` in it is true. Raises
        OSError for a file that cannot be read, for what is no file, and for a link where those are not followed.
        """
        path = Path(path)
        name = path.name.encode(errors="replace").decode()  # a name need not be text
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        with open_file(path, follow_links=follow_links) as file:
            answer = self._server.call("POST", "/jobs", files={"file": (name, file)}, data=options, headers=headers)
        return submitted_job(answer)

    def submit_url(self, url: str, *, idempotency_key: str = "", **options: Unpack[Options]) -> Json:
        """Have the server fetch a document, and return its job. `options` are those of POST /jobs."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        answer = self._server.call("POST", "/jobs", json={"url": url, **options}, headers=headers)
        return submitted_job(answer)

    def send(self, source: str | Path, *, idempotency_key: str = "", **options: Unpack[Options]) -> Json:
        """Send a file or a URL, whichever `source` is, and return its job. Raises OSError."""
        if is_url(source):
            return self.submit_url(str(source), idempotency_key=idempotency_key, **options)
        return self.submit(source, idempotency_key=idempotency_key, **options)

    def convert(
        self,
        source: str | Path,
        *,
        format: Format = "md",
        on_progress: OnChange | None = None,
        **options: Unpack[Options],
    ) -> Result:
        """Send a file or a URL, wait for it, and fetch what was read.

        Raises OSError, and JobFailed when no page could be read.
        """
        job = self.send(source, **options)
        return self.fetch(self.wait(job["id"], on_change=on_progress), format)

    def ask(
        self, source: str | Path, question: str, *, on_progress: OnChange | None = None, **options: Unpack[ReadOptions]
    ) -> Result:
        """Ask about each page of a file or a URL. The answers are the `text` of the result's `pages`.

        Raises OSError, and JobFailed when there is no answer.
        """
        asked: Options = {**options, "task": "ask", "question": question}
        return self.convert(source, format="json", on_progress=on_progress, **asked)

    # follow

    def status(self, job_id: str, *, wait_s: float = 0.0) -> Json:
        """The job as it is now, or once its state has changed if that is within `wait_s`, at most 60."""
        return dict(self._server.call("GET", f"/jobs/{job_id}", params={"wait": wait_s}).json())

    job = status

    def jobs(self, *, limit: int = 50, cursor: str = "") -> Json:
        """The newest jobs first: {jobs, next}; `next` is the cursor to go on with."""
        return dict(self._server.call("GET", "/jobs", params={"limit": limit, "cursor": cursor}).json())

    def iter_jobs(self, *, at_once: int = 50) -> Iterator[Json]:
        """All jobs, the newest first, fetched `at_once` at a time, at most 200."""
        cursor: str | None = ""
        while cursor is not None:
            part = self.jobs(limit=at_once, cursor=cursor)
            yield from part["jobs"]
            cursor = part["next"]

    def batch(self, batch_id: str) -> Json:
        """The jobs that were sent together, and how far they are as a whole."""
        return dict(self._server.call("GET", f"/batches/{batch_id}").json())

    def wait(
        self, job_id: str, *, on_change: OnChange | None = None, timeout_s: float = float("inf"), poll_s: float = 0.5
    ) -> Json:
        """The job when it has ended. `on_change` gets the job whenever one of its pages has moved on.

        Rides out a server that is away for less than a minute. Raises TimeoutError after `timeout_s`.
        """
        deadline, seen = time.monotonic() + timeout_s, -1
        while True:
            long_poll_s = 0.0 if on_change else max(0.0, min(LONG_POLL_S, deadline - time.monotonic()))
            job = patiently(lambda: self.status(job_id, wait_s=long_poll_s))  # noqa: B023
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
        params = {"text": int(with_text), "partial": int(with_partial)}
        return self._server.events(f"/jobs/{job_id}/events", params, since)

    def pages(self, job_id: str, *, since: int = 0) -> Json:
        """The page ledger: {state, seq, pages}; with `since`, only the pages that changed after that `seq`."""
        return dict(self._server.call("GET", f"/jobs/{job_id}/pages", params={"since": since}).json())

    def page(self, job_id: str, page_number: int) -> Json:
        """One page with its text and lines; `page_number` counts from 1."""
        return dict(self._server.call("GET", f"/jobs/{job_id}/pages/{page_number}").json())

    def image(self, job_id: str, page_number: int) -> bytes:
        """The page as the engine saw it, a PNG; Refused with 404 where it is not kept."""
        return self._server.call("GET", f"/jobs/{job_id}/pages/{page_number}/image").content

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

    def fetch(self, job: Json, format: Format = "md") -> Result:
        """What was read in a job that has ended. Raises JobFailed when there is nothing."""
        check_readable(job)
        content = self.content(job["id"], format, partial=job["state"] == "cancelled")
        return Result(job=job, content=content, format=format)

    # change

    def cancel(self, job_id: str, *, purge: bool = False) -> Json | None:
        """Stop a job; `purge` also deletes it and everything it made. Returns the job, None when it was deleted."""
        answer = self._server.call("DELETE", f"/jobs/{job_id}", params={"purge": int(purge)})
        return None if answer.status_code == 204 else dict(answer.json())

    def retry(self, job_id: str, pages: str = "failed", **options: Unpack[RetryOptions]) -> Json:
        """Read pages again, "failed" or "3,9", with other `prompt`, `dpi`, `max_new_tokens` or `temperature`."""
        return dict(self._server.call("POST", f"/jobs/{job_id}/retry", json={"pages": pages, **options}).json())

    def _open_result(self, job_id: str, format: Format, partial: bool) -> AbstractContextManager[httpx.Response]:
        params = {"format": format, "partial": int(partial)}
        return self._server.open_when_made(f"/jobs/{job_id}/result", params=params, headers={"Accept": "*/*"})


def submitted_job(answer: httpx.Response) -> Json:
    job: Json = answer.json()["jobs"][0]
    return job | {"replayed": "Idempotency-Replayed" in answer.headers}


def check_readable(job: Json) -> None:
    """Raise JobFailed for a job that has ended without any text."""
    if job["error"] or job["state"] == "failed":
        raise JobFailed(job)
