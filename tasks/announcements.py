"""What the ledger and the engines' workers announce of jobs, as one stream: Redis forgets what nobody listens to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import redis

from tasks.generate.partials import CHANNEL

CHANGED = "pf:changed:"  # and the job's id, where `ledger.lua` says the number of a change
STATE = "!"  # after the number, where it is the job's state that has changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """A job has changed, and `seq` is the change; or there is new partial text of the pages at `indexes`.

    `is_state` says whether the job's own state has changed.
    """

    job_id: str
    seq: int = 0
    is_state: bool = False
    indexes: tuple[int, ...] = ()


@contextmanager
def subscription(redis_url: str) -> Iterator[Callable[[float], Announcement | None]]:
    """A function that waits so many seconds for the next announcement; raises StoreAway when Redis is lost."""
    client = redis.Redis.from_url(redis_url, decode_responses=True, socket_connect_timeout=3)
    with client, client.pubsub(ignore_subscribe_messages=True) as pubsub:  # type: ignore[no-untyped-call]
        pubsub.psubscribe(f"{CHANGED}*", f"{CHANNEL}*")

        def next_one(timeout_s: float) -> Announcement | None:
            message = pubsub.get_message(timeout=timeout_s)
            return read(message["channel"], message["data"]) if message else None

        yield next_one


def read(channel: str, data: str) -> Announcement:
    if channel.startswith(CHANNEL):
        return Announcement(job_id=channel.removeprefix(CHANNEL), indexes=tuple(map(int, data.split(","))))
    is_state, seq = data.endswith(STATE), int(data.removesuffix(STATE))
    return Announcement(job_id=channel.removeprefix(CHANGED), seq=seq, is_state=is_state)
