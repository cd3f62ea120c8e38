"""When a call is made again: while the server is full, busy or away for a moment, and never where it could do harm."""

from __future__ import annotations

import random
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception, stop_before_delay

from pagefan.answers import Refused, ServerAway

PATIENCE_S = 60.0  # how long a server may be away before a job is given up
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
SAFE = frozenset({"GET", "HEAD", "DELETE"})
FULL = (429, 503)


def is_passing(error: BaseException, *, can_repeat: bool) -> bool:
    """Whether the same call may do better later, and does no harm if the first one was heard after all."""
    if isinstance(error, Refused):
        return error.status in FULL
    return isinstance(error, ServerAway) and (error.status in FULL or (can_repeat and error.was_there))


def pause_s(state: RetryCallState) -> float:
    """What the server asks for, else twice as long each time; each a little otherwise, so that not all come at once."""
    error = state.outcome.exception() if state.outcome else None
    told: float | None = getattr(error, "retry_after_s", None)
    if told is not None:
        return told + random.uniform(0, 0.5)
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (state.attempt_number - 1))
    return random.uniform(longest / 2, longest)


def rules(method: str, headers: dict[str, str], retry_s: float) -> dict[str, Any]:
    """For tenacity. A POST is repeated after a broken line only under an Idempotency-Key."""
    can_repeat = method in SAFE or "Idempotency-Key" in headers
    return {
        "retry": retry_if_exception(lambda error: is_passing(error, can_repeat=can_repeat)),
        "wait": pause_s,
        "stop": stop_before_delay(retry_s),
        "reraise": True,
    }


def patience_s() -> float:
    return PATIENCE_S


def again_if_away() -> dict[str, Any]:
    """For those who wait on a job: a restart of the server is no reason to give it up."""
    return {
        "retry": retry_if_exception(lambda error: isinstance(error, ServerAway)),
        "wait": lambda _: 1.0,
        "stop": stop_before_delay(PATIENCE_S),
        "reraise": True,
    }


__all__ = ["AsyncRetrying", "Retrying", "again_if_away", "patience_s", "rules"]
