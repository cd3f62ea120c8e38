"""What a task is called with came through Redis, where others may write: it is checked before the task begins."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cached_property
from typing import Any

from celery import Task

from tasks.ids import BadId, check_event, check_job_id, check_number
from tasks.messages import PageTask


def check_flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise BadId(f"{value!r:.80} is neither true nor false")


def check_task_id(value: object) -> str:
    """Celery's own id of a task, for the log; raises BadId for what is no short word."""
    if isinstance(value, str) and len(value) <= 100 and value.isprintable():
        return value
    raise BadId(f"{value!r:.80} is not the id of a task")


CHECKS: dict[str, Callable[[Any], Any]] = {
    "job_id": check_job_id,
    "run": check_number,
    "purge": check_flag,
    "task_id": check_task_id,
    "message": PageTask.from_json,
}


class CheckedTask(Task):
    """A task that refuses arguments which are none of ours. Each parameter of a task has a check under its name."""

    abstract = True

    @cached_property
    def signature_of_run(self) -> inspect.Signature:
        return inspect.signature(self.run)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            given = self.signature_of_run.bind(*args, **kwargs).arguments
        except TypeError as exc:
            raise BadId(f"{self.name} is not called like this: {exc}") from exc
        for name, value in given.items():
            if name == "event":
                check_event(value, given["job_id"])
            else:
                CHECKS[name](value)
        return super().__call__(*args, **kwargs)
