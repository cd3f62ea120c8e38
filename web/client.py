"""Pagefan from Python: `Client("http://127.0.0.1:8000").convert("report.pdf").text`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import httpx

ENDED = frozenset({"succeeded", "partial", "failed", "cancelled"})
LONG_POLL_S = 20.0

Format = Literal["md", "json", "txt", "html"]
Json = dict[str, Any]


class ClientError(Exception):
    """The server did not do what was asked; the message says why and what to do."""


class ServerAway(ClientError):
    """The server cannot be reached, or cannot work now."""


class Refused(ClientError):
    """The server refuses the request. `problem` is its RFC 9457 body, `status` the HTTP code."""

    def __init__(self, status: int, problem: Json) -> None:
        words = [problem.get("detail") or problem.get("title") or f"HTTP {status}", problem.get("advice")]
        super().__init__(" ".join(word for word in words if word))
        self.status = status
        self.problem = problem


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
    text: str
    format: Format

    @property
    def is_complete(self) -> bool:
        return bool(self.job["state"] == "succeeded")

    @property
    def missing_pages(self) -> list[int]:
        return list(self.job["missing_pages"])


class Client:
    """A connection to one Pagefan server; safe to share between threads, closed by `close` or `with`."""

    def __init__(self, base_url: str = "http://127.0.0.1:8000", api_key: str = "", *, timeout_s: float = 60.0) -> None:
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {api_key}"} if api_key else {})
        self._http = httpx.Client(base_url=f"{base_url.rstrip('/')}/api/v1", headers=headers, timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def submit(self, path: str | Path, *, idempotency_key: str = "", **options: Any) -> Json:
        """Upload a file and return its job. `options` are those of POST /jobs, such as `pages="1-3"`.

        With a key, sending the same file again within a day gives the same job. Raises OSError for a file that cannot
        be read, Refused for one the server does not take, ServerAway.
        """
        path = Path(path)
        with path.open("rb") as file:
            answer = self._call(
                "POST",
                "/jobs",
                files={"file": (path.name, file)},
                data=options,
                headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
            )
        return dict(answer.json()["jobs"][0])

    def submit_url(self, url: str, *, idempotency_key: str = "", **options: Any) -> Json:
        """Have the server fetch a document, and return its job. `options` are those of POST /jobs.

        Raises Refused for an address the server does not fetch from, ServerAway.
        """
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        answer = self._call("POST", "/jobs", json={"url": url, **options}, headers=headers)
        return dict(answer.json()["jobs"][0])

    def status(self, job_id: str, *, wait_s: float = 0.0) -> Json:
        """The job as it is now, or once its state has changed if that is within `wait_s`."""
        return dict(self._call("GET", f"/jobs/{job_id}", params={"wait": wait_s}).json())

    job = status

    def jobs(self, *, limit: int = 50, cursor: str = "") -> Json:
        """The newest jobs first: {jobs, next}; `next` is the cursor to go on with."""
        return dict(self._call("GET", "/jobs", params={"limit": limit, "cursor": cursor}).json())

    def wait(
        self,
        job_id: str,
        *,
        on_change: Callable[[Json], None] | None = None,
        timeout_s: float = float("inf"),
        poll_s: float = 0.5,
    ) -> Json:
        """The job when it has ended. `on_change` gets the job whenever one of its pages has moved on.

        Rides out a server that is away for less than a minute. Raises TimeoutError after `timeout_s`.
        """
        deadline, seen = time.monotonic() + timeout_s, -1
        while True:
            long_poll_s = 0.0 if on_change else max(0.0, min(LONG_POLL_S, deadline - time.monotonic()))
            job = self._patiently(lambda: self.status(job_id, wait_s=long_poll_s))  # noqa: B023
            if on_change and job["seq"] != seen:
                on_change(job)
            seen = job["seq"]
            if job["state"] in ENDED:
                return job
            if time.monotonic() > deadline:
                raise TimeoutError(f"job {job_id} has not ended after {timeout_s:g} s")
            time.sleep(poll_s if on_change else 0.05)

    def pages(self, job_id: str, *, since: int = 0) -> Json:
        """The page ledger: {state, seq, pages}; with `since`, only the pages that changed after that `seq`."""
        return dict(self._call("GET", f"/jobs/{job_id}/pages", params={"since": since}).json())

    def page(self, job_id: str, page_number: int) -> Json:
        """One page with its text and lines; `page_number` counts from 1."""
        return dict(self._call("GET", f"/jobs/{job_id}/pages/{page_number}").json())

    def result(self, job_id: str, format: Format = "md", *, partial: bool = False) -> str:
        """The text of all pages in page order; with `partial`, what there is of an unfinished job."""
        params = {"format": format, "partial": int(partial)}
        return self._call("GET", f"/jobs/{job_id}/result", params=params, headers={"Accept": "*/*"}).text

    def convert(
        self,
        path: str | Path,
        *,
        format: Format = "md",
        on_progress: Callable[[Json], None] | None = None,
        **options: Any,
    ) -> Result:
        """Send a file or a URL, wait for it, and fetch its text. Raises JobFailed when no page could be read."""
        job = self.submit_url(str(path), **options) if is_url(path) else self.submit(path, **options)
        job = self.wait(job["id"], on_change=on_progress)
        return self.fetch(job, format)

    def fetch(self, job: Json, format: Format = "md") -> Result:
        """The text of a job that has ended. Raises JobFailed when there is none."""
        if job["error"] or job["state"] == "failed":
            raise JobFailed(job)
        text = self.result(job["id"], format, partial=job["state"] == "cancelled")
        return Result(job=job, text=text, format=format)

    def cancel(self, job_id: str, *, purge: bool = False) -> Json | None:
        """Stop a job; `purge` also deletes it and everything it made. Returns the job, None when it was deleted."""
        answer = self._call("DELETE", f"/jobs/{job_id}", params={"purge": int(purge)})
        return None if answer.status_code == 204 else dict(answer.json())

    def retry(self, job_id: str, pages: str = "failed", **options: Any) -> Json:
        """Read pages again, "failed" or "3,9", with other `prompt`, `dpi`, `max_new_tokens` or `temperature`."""
        return dict(self._call("POST", f"/jobs/{job_id}/retry", json={"pages": pages, **options}).json())

    def _call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **arguments)
        except httpx.TransportError as exc:
            raise ServerAway(f"{self._http.base_url.host} cannot be reached: {exc}") from exc
        if answer.is_error:
            raise error_of(answer)
        return answer

    def _patiently(self, call: Callable[[], Json], patience_s: float = 60.0) -> Json:
        """Try again while the server is away, for a restart of it is no reason to give a job up."""
        deadline = time.monotonic() + patience_s
        while True:
            try:
                return call()
            except ServerAway:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)


def is_url(source: str | Path) -> bool:
    return isinstance(source, str) and source.startswith(("http://", "https://"))


def error_of(answer: httpx.Response) -> ClientError:
    try:
        problem: Mapping[str, Any] = answer.json()
    except ValueError:
        problem = {}
    refused = Refused(answer.status_code, dict(problem))
    return ServerAway(str(refused)) if answer.status_code in (502, 503, 504) else refused
