"""Waits for a job on behalf of a model: tells of each page, and cancels the job with the call that made it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from pagefan.aclient import AsyncClient
from pagefan.answers import ENDED
from pagefan.patience import AsyncRetrying, again_if_away
from pagefan.records import Job

POLL_S = 0.4
PAGE_ENDED = ("ok", "blank", "fallback", "failed", "cancelled")
Look = Callable[[Job], Awaitable[None]]


class Useless(Exception):
    """The job cannot give what was asked for, so that it need not go on."""


async def follow(client: AsyncClient, job_id: str, context: Any, wait_s: float, *looks: Look) -> Job:
    """The job when it has ended, or as it is after `wait_s`; each of `looks` sees it after every change.

    A look ends the job by raising Useless, as the end of the call does.
    """
    try:
        return await watch(client, job_id, wait_s, Teller(context).tell, *looks)
    except (asyncio.CancelledError, Useless):
        with anyio.CancelScope(shield=True):
            await client.cancel(job_id)
        raise


async def watch(client: AsyncClient, job_id: str, wait_s: float, *looks: Look) -> Job:
    deadline, seen = time.monotonic() + wait_s, -1
    ask: Callable[..., Awaitable[Job]] = AsyncRetrying(**again_if_away()).wraps(client.status)
    while True:
        job = await ask(job_id)
        if job["seq"] != seen:
            for look in looks:
                await look(job)
        seen = job["seq"]
        if job["state"] in ENDED or time.monotonic() >= deadline:
            return job
        await asyncio.sleep(POLL_S)


def num_ended(job: Job) -> int:
    return sum(job["pages"][state] for state in PAGE_ENDED)  # type: ignore[literal-required]  # names of PageCounts


class Teller:
    """Progress notifications, which have to rise: one for each number of pages that have ended."""

    def __init__(self, context: Any) -> None:
        self.context = context
        self.told = -1

    async def tell(self, job: Job) -> None:
        ended, total = num_ended(job), job["pages"]["total"]
        if ended > self.told:
            self.told = ended
            await self.context.report_progress(ended, total or None, f"{ended} of {total or '?'} pages read")
