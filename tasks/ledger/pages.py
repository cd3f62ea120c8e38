"""The pages of a job and the states they pass through."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tasks.ledger.records import Attempts, Page, read_page
from tasks.ledger.script import Script
from tasks.messages import PageState, PageTask


class Pages(Script):
    """The records of pages, each changed by the task that has it."""

    def page(self, job_id: str, index: int) -> Page:
        [found] = self.pages_at(job_id, [index])
        return found or Page(index=index)

    def pages(self, job_id: str, since_seq: int = 0) -> list[Page]:
        """The pages with a record, in page order; only those changed after `since_seq`, if given."""
        key = f"pf:pages:{job_id}"
        if since_seq:
            changed = self.redis.zrangebyscore(f"pf:changes:{job_id}", f"({since_seq}", "+inf")
            found = self.pages_at(job_id, sorted(map(int, changed)))
            return [page for page in found if page is not None]
        records = self.redis.hgetall(key)
        return [read_page(index, records[str(index)]) for index in sorted(map(int, records))]

    def pages_at(self, job_id: str, indexes: Sequence[int]) -> list[Page | None]:
        """The pages at these indexes, None for one without a record."""
        if not indexes:
            return []
        raws = self.redis.hmget(f"pf:pages:{job_id}", [str(index) for index in indexes])
        return [read_page(index, raw) if raw else None for index, raw in zip(indexes, raws, strict=True)]

    def look(self, page: PageTask) -> Page | None:
        """The page, or None when there is nothing left to do for this task: ended, cancelled or of an older run."""
        answer = self._call("look", job=page.job_id, run=page.run, index=page.index)
        return read_page(page.index, json.dumps(answer)) if answer else None

    def move(self, page: PageTask, state: PageState, *, attempts: Attempts = (), **patch: Any) -> bool:
        """Bring a page to `state`; False when it had ended already, belongs to a newer run or its job has ended."""
        arguments: dict[str, Any] = {
            "job": page.job_id, "run": page.run, "index": page.index, "state": state, "patch": patch,
            "attempts": list(attempts),
        }  # fmt: skip
        return bool(self._call("move", **arguments))

    def correct(self, job_id: str, *, index: int, is_corrected: bool) -> str:
        """Whether a person corrected the page: "done", "unknown" for the job, "running", or "no_text" of the page."""
        return str(self._call("correct", job=job_id, index=index, is_corrected=is_corrected))

    def note(self, page: PageTask, notice: str = "") -> bool:
        """Tell listeners that more is known of a page that has ended; with a notice for people, if given.

        False where the page has not ended, or belongs to a newer run.
        """
        return bool(self._call("note", job=page.job_id, run=page.run, index=page.index, notice=notice))
