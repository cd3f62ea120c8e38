"""What one API key may use: requests a minute, unfinished jobs, pages a day. Counted in Redis; 0 sets no limit.

Without keys nobody can be told from anybody, and only the limits of the whole server hold.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from tasks.access.keys import LOCAL
from tasks.services import get_ledger
from tasks.settings import get_settings

MINUTE_S, DAY_S = 60, 86_400
JOBS_AGAIN_S = 30  # after which one of the unfinished jobs may have ended


class OverQuota(Exception):
    """The key has used up what it may. `retry_after_s` is when there is more; `reason` is of jobs that fail by it."""

    reason = "page_quota"

    def __init__(self, detail: str, retry_after_s: int) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s


def seconds_left(period_s: int) -> int:
    """To the end of the minute or, in UTC, of the day."""
    return period_s - int(time.time()) % period_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many requests an owner may send a minute, and how many are left of them; below 0 it was one too many."""

    most: int
    left: int
    reset_s: int  # to the end of the minute

    def check(self) -> None:
        if self.left < 0:
            raise OverQuota(f"A key may send {self.most} requests a minute.", self.reset_s)


def count_request(owner: str) -> Room | None:
    """Count a request of the owner; gives what is left of this minute's, None where there is no limit."""
    most = get_settings().key_requests_per_min
    if not most or owner == LOCAL:
        return None
    key = f"pf:requests:{owner}:{int(time.time()) // MINUTE_S}"
    with get_ledger().redis.pipeline() as pipe:
        pipe.incr(key)
        pipe.expire(key, 2 * MINUTE_S)
        count, _ = pipe.execute()
    return Room(most=most, left=most - count, reset_s=seconds_left(MINUTE_S))


def check_room(owner: str, num_jobs: int) -> None:
    """Raise OverQuota when the owner may not send this many jobs now."""
    settings = get_settings()
    if owner == LOCAL:
        return
    most = settings.key_active_jobs
    if most and get_ledger().num_active(owner) + num_jobs > most:
        raise over_jobs(most)
    if settings.key_pages_per_day and pages_today(owner) >= settings.key_pages_per_day:
        raise over_pages(settings.key_pages_per_day)


def charge_pages(owner: str, run: str, num_pages: int) -> None:
    """Take a run's pages from the owner's day, once for each name of a run; raises OverQuota where few are left."""
    most = get_settings().key_pages_per_day
    if most and owner != LOCAL and not get_ledger().charge(owner, today(), run, num_pages, most=most):
        raise over_pages(most)


def refund_pages(owner: str, run: str) -> None:
    """The run came to nothing: give its pages back, if the day is still the same."""
    if get_settings().key_pages_per_day and owner != LOCAL:
        get_ledger().refund(owner, today(), run)


def pages_today(owner: str) -> int:
    return get_ledger().charged(owner, today())


def today() -> int:
    return int(time.time()) // DAY_S


def over_jobs(most: int) -> OverQuota:
    return OverQuota(f"A key may have {most} unfinished jobs; wait until some have ended.", JOBS_AGAIN_S)


def over_pages(most: int) -> OverQuota:
    return OverQuota(f"A key may have {most} pages read a day; the day ends at midnight UTC.", seconds_left(DAY_S))
