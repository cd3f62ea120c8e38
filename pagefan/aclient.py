"""`pagefan.client` for programs that are asynchronous: the same calls, awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack, cast

import httpx

import pagefan.calls as calls
from pagefan.aconnection import AsyncConnection
from pagefan.answer_record import Answer
from pagefan.answers import (
    ENDED,
    Event,
    Format,
    Options,
    Result,
    RetryOptions,
    TableFormat,
    TextFormat,
    Wanted,
    check_readable,
)
from pagefan.asking import AsyncAsking, OnChange
from pagefan.client import LONG_POLL_S
from pagefan.connection import whole_file
from pagefan.patience import AsyncRetrying, again_if_away, patience_s
from pagefan.records import Batch, Job, JobList, JobSummary, PageList, PageText, Table
from pagefan.sources import Source, is_url, opened
from pagefan.sse import alisten


class AsyncClient(AsyncAsking):
    """A connection to one Pagefan server, for the tasks of one event loop; closed by `close` or `async with`.

    Its methods take what those of `Client` take, and raise the same.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        api_key: str = "",
        *,
        timeout_s: float = 60.0,
        retry_s: float = 30.0,
    ) -> None:
        self._server = AsyncConnection(base_url, api_key, timeout_s, retry_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._server.close()

    # send

    async def submit(
        self,
        source: Source,
        *,
        name: str = "",
        idempotency_key: str = "",
        follow_links: bool = True,
        **options: Unpack[Options],
    ) -> Job:
        """Send a document and return its job."""
        headers = calls.key_header(idempotency_key, self._server.retry_s)
        if is_url(source):
            return calls.submitted_job(await self._server.call(calls.submit_url(str(source), headers, options)))
        with opened(source, name, follow_links=follow_links) as (name, file):
            return calls.submitted_job(await self._server.call(calls.submit_file(name, file, headers, options)))

    async def submit_all(self, url: str, *, idempotency_key: str = "", **options: Unpack[Options]) -> list[Job]:
        """Send the documents of a folder or pattern in a storage that the server knows."""
        headers = calls.key_header(idempotency_key, self._server.retry_s)
        return calls.submitted_jobs(await self._server.call(calls.submit_url(url, headers, options)))

    async def convert(
        self,
        source: Source,
        *,
        format: Format = "md",
        on_progress: OnChange | None = None,
        **options: Unpack[Options],
    ) -> Result:
        """Send a document, wait for it, and fetch what was read."""
        job = await self.submit(source, **options)
        return await self.fetch(await self.wait(job["id"], on_change=on_progress), format)

    # follow

    async def status(self, job_id: str, *, wait_s: float = 0.0) -> Job:
        """The job as it is now, or once its state has changed if that is within `wait_s`, at most 60."""
        return cast("Job", (await self._server.call(calls.status(job_id, wait_s))).json())

    async def jobs(self, *, limit: int = 50, cursor: str = "", **wanted: Unpack[Wanted]) -> JobList:
        """The newest jobs first."""
        return cast("JobList", (await self._server.call(calls.jobs(limit, cursor, wanted))).json())

    async def iter_jobs(self, *, at_once: int = 50, **wanted: Unpack[Wanted]) -> AsyncIterator[JobSummary]:
        """All jobs that are `wanted`, the newest first, fetched `at_once` at a time, at most 200."""
        cursor: str | None = ""
        while cursor is not None:
            part = await self.jobs(limit=at_once, cursor=cursor, **wanted)
            for job in part["jobs"]:
                yield job
            cursor = part["next"]

    async def batch(self, batch_id: str) -> Batch:
        """The jobs that were sent together, and how far they are as a whole."""
        return cast("Batch", (await self._server.call(calls.batch(batch_id))).json())

    async def wait(
        self, job_id: str, *, on_change: OnChange | None = None, timeout_s: float = float("inf"), poll_s: float = 0.5
    ) -> Job:
        """The job when it has ended. Raises TimeoutError after `timeout_s`."""
        deadline, seen = time.monotonic() + timeout_s, -1
        while True:
            long_poll_s = 0.0 if on_change else max(0.0, min(LONG_POLL_S, deadline - time.monotonic()))
            ask: Callable[..., Awaitable[Job]] = AsyncRetrying(**again_if_away()).wraps(self.status)
            job = await ask(job_id, wait_s=long_poll_s)
            if on_change and job["seq"] != seen:
                on_change(job)
            seen = job["seq"]
            if job["state"] in ENDED:
                return job
            if time.monotonic() > deadline:
                raise TimeoutError(f"job {job_id} has not ended after {timeout_s:g} s")
            await asyncio.sleep(poll_s if on_change else 0.05)

    def events(
        self, job_id: str, *, since: str = "", with_text: bool = True, with_partial: bool = False
    ) -> AsyncIterator[Event]:
        """What happens to the job, to its end; pages come as `text` in page order."""
        call = calls.events(job_id, with_text, with_partial)
        return alisten(self._server.http, call.path, call.params, since=since, patience_s=patience_s())

    async def answer(self, job_id: str) -> Answer:
        """What came of a question about a document as a whole."""
        return cast("Answer", (await self._server.call(calls.answer(job_id))).json())

    async def pages(self, job_id: str, *, since: int = 0) -> PageList:
        """The page ledger; with `since`, only the pages that changed after that `seq`."""
        return cast("PageList", (await self._server.call(calls.pages(job_id, since))).json())

    async def page(self, job_id: str, page_number: int) -> PageText:
        """One page with its text and lines; `page_number` counts from 1."""
        return cast("PageText", (await self._server.call(calls.page(job_id, page_number))).json())

    async def image(self, job_id: str, page_number: int) -> bytes:
        """The page as the engine saw it, a PNG; Refused with 404 where it is not kept."""
        return (await self._server.call(calls.image(job_id, page_number))).content

    async def tables(self, job_id: str) -> list[Table]:
        """The tables of a job that has ended, in the order of the document."""
        return list((await self._server.call(calls.tables(job_id))).json()["tables"])

    async def table(self, job_id: str, number: int, format: TableFormat = "csv") -> str:
        """One table by its number, from 1, as CSV, HTML or JSON."""
        return (await self._server.call(calls.table(job_id, number, format))).text

    # results

    async def result(self, job_id: str, format: TextFormat = "md", *, partial: bool = False) -> str:
        """The text of all pages in page order; with `partial`, what there is of an unfinished job."""
        return (await self.content(job_id, format, partial=partial)).decode()

    async def content(self, job_id: str, format: Format, *, partial: bool = False) -> bytes:
        """A result file. Waits while the server makes a searchable PDF."""
        async with self._open_result(job_id, format, partial) as answer:
            return await answer.aread()

    async def download(self, job_id: str, format: Format, path: str | Path, *, partial: bool = False) -> Path:
        """Stream a result to a file, which appears only once it is whole. Raises OSError."""
        async with self._open_result(job_id, format, partial) as answer:
            with whole_file(Path(path)) as file:
                async for chunk in answer.aiter_bytes():
                    file.write(chunk)
        return Path(path)

    async def fetch(self, job: Job, format: Format = "md") -> Result:
        """What was read in a job that has ended. Raises JobFailed when there is nothing."""
        check_readable(job)
        content = await self.content(job["id"], format, partial=job["state"] == "cancelled")
        return Result(job=job, content=content, format=format)

    # change

    async def cancel(self, job_id: str, *, purge: bool = False) -> Job | None:
        """Stop a job; `purge` also deletes it. Returns the job, None when it was deleted."""
        answer = await self._server.call(calls.cancel(job_id, purge))
        return None if answer.status_code == 204 else cast("Job", answer.json())

    async def retry(self, job_id: str, pages: str = "failed", **options: Unpack[RetryOptions]) -> Job:
        """Read pages again, "failed" or "3,9", with other options."""
        return cast("Job", (await self._server.call(calls.retry(job_id, pages, options))).json())

    def _open_result(self, job_id: str, format: Format, partial: bool) -> AbstractAsyncContextManager[httpx.Response]:
        return self._server.open_when_made(calls.result(job_id, format, partial))
