"""The runs of a job: the first has all pages chosen, each repair is another."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tasks.ledger.errors import LedgerError, PageBusy, UnknownJob
from tasks.ledger.script import Script


class Runs(Script):
    """From the split on: which pages a run has, and which of their tasks were sent."""

    def begin_split(self, job_id: str) -> int:
        """How often the document's split has begun, this time included; 0 where there is nothing left to split."""
        return int(self._call("begin_split", job=job_id))

    def put_off_split(self, job_id: str) -> None:
        """The split that has just begun waits for room, and does not count."""
        self._call("put_off_split", job=job_id)

    def set_source(self, job_id: str, *, kind: str, size: int) -> bool:
        """What the document of a URL turned out to be; False when the job is not being split any more."""
        return bool(self._call("set_source", job=job_id, kind=kind, size=size))

    def open_first_run(
        self, job_id: str, *, num_pages: int, selection: str, size: int, warnings: Sequence[str] = ()
    ) -> bool:
        return bool(
            self._call(
                "open_first_run",
                job=job_id,
                num_pages=num_pages,
                selection=selection,
                size=size,
                warnings=json.dumps(list(warnings)),
            )
        )

    def unlock(self, job_id: str, options: dict[str, Any]) -> str:
        """A job that failed because its document is locked begins again: "done", "unknown", or "not_locked"."""
        return str(self._call("unlock", job=job_id, options=json.dumps(options)))

    def open_repair(self, job_id: str, *, indexes: Sequence[int], selection: str, options: dict[str, Any]) -> int:
        """Start a new run of these pages and return its number. Raises UnknownJob, PageBusy or LedgerError."""
        answer = self._call(
            "open_repair", job=job_id, indexes=list(indexes), selection=selection, options=json.dumps(options)
        )
        if answer.get("error") == "unknown":
            raise UnknownJob(f"no job has the id {job_id}")
        if answer.get("error") == "busy":
            raise PageBusy(f"page {int(answer['index']) + 1} is still at work; wait for it or cancel the job")
        if "error" in answer:
            raise LedgerError("the document could not be opened, so it has no pages to repair; send it again")
        return int(answer["run"])

    def run_options(self, job_id: str, run: int) -> dict[str, Any]:
        """What this repair asked for otherwise than its job."""
        return dict(json.loads(self.redis.hget(f"pf:run:{job_id}:{run}", "options") or "{}"))

    def run_selection(self, job_id: str, run: int) -> tuple[str, int]:
        """The pages of a run, as text for workers.documents.selection, and their number; ("", 0) for an unknown run."""
        selection, size = self.redis.hmget(f"pf:run:{job_id}:{run}", "selection", "size")
        return selection or "", int(size or 0)

    def run_pace(self, job_id: str, run: int) -> tuple[int, float]:
        """Pages of a run that have ended, and when it was opened; (0, 0.0) where its record does not say."""
        size, left, opened_at = self.redis.hmget(f"pf:run:{job_id}:{run}", "size", "left", "opened_at")
        return (int(size) - int(left or 0), float(opened_at)) if size and opened_at else (0, 0.0)

    def run_progress(self, job_id: str, run: int) -> tuple[int, int, int] | None:
        """(size, next position to feed, pages left) of a run; None when its record is lost."""
        size, following, left = self.redis.hmget(f"pf:run:{job_id}:{run}", "size", "next", "left")
        return (int(size), int(following or 0), int(left or 0)) if size else None

    def restore_run(self, job_id: str, run: int, *, selection: str, size: int) -> bool:
        """Begin a run again whose record was lost; pages that have ended are not touched."""
        return bool(self._call("restore_run", job=job_id, run=run, selection=selection, size=size))

    def feed(self, job_id: str, run: int, *, window: int, finished: int | None = None) -> tuple[range, bool]:
        """The positions of the run to send now, and whether their owner has few jobs; `finished` leaves the window."""
        arguments: dict[str, Any] = {"job": job_id, "run": run, "window": window}
        if finished is not None:
            arguments["finished"] = finished
        first, count, few_jobs = self._call("feed", **arguments)
        return range(int(first), int(first) + int(count)), bool(few_jobs)

    def positions_fed(self, job_id: str, run: int, *, before: float = float("inf")) -> list[int]:
        """The positions whose tasks were sent before that time and have not finished."""
        return [int(p) for p in self.redis.zrangebyscore(f"pf:fed:{job_id}:{run}", "-inf", before)]

    def mark_fed(self, job_id: str, run: int, positions: Sequence[int]) -> None:
        """These positions were sent again just now."""
        self._call("mark_fed", job=job_id, run=run, positions=list(positions))

    def count_resend(self, job_id: str, index: int) -> int:
        """How often the page's task has been sent again, this time included; 0 for a page that has ended."""
        return int(self._call("resent", job=job_id, index=index))
