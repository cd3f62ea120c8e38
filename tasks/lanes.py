"""Which engine reads a job's pages: that of the server, or another one that the job asks for.

Each engine of OTHER_ENGINES has a lane: a queue, workers and waiting pages of its own. A lane is called as its engine;
"" is the lane of ENGINE, whatever that is.
"""

from __future__ import annotations

from tasks.marks import worker_queues
from tasks.settings import get_settings

GPU = "gpu"


def lanes() -> tuple[str, ...]:
    """All lanes, that of ENGINE first."""
    return ("", *get_settings().other_engine_names())


def queue_of(lane: str) -> str:
    """The Celery queue of a lane's pages."""
    return f"{GPU}-{lane}" if lane else GPU


def queues() -> tuple[str, ...]:
    """All queues that workers serve."""
    return ("cpu", *map(queue_of, lanes()))


def owns_engine() -> bool:
    """Whether the worker of this process serves a lane."""
    return any(queue_of(lane) in worker_queues() for lane in lanes())


def own_lane() -> str:
    """The lane that the worker of this process serves; that of ENGINE where it serves none."""
    return next((lane for lane in lanes() if queue_of(lane) in worker_queues()), "")
