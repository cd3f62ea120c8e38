"""How jobs end, and how they are forgotten."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from typing import Any

import redis

from tasks.ledger.records import Job, Page, job_fields, page_record
from tasks.ledger.script import Script
from tasks.messages import JOB_ENDED, JobState

logger = logging.getLogger(__name__)

TRACES = "pf:traces"  # how many jobs were purged since the log was written anew
SETTLE_S = 60  # after a job's end, when late tasks have come and most listeners have left
AGAIN_S = 600


class JobEnd(Script):
    """The assembly, the last state, what is told of it, and the removal."""

    def begin_assembly(self, job_id: str) -> str:
        """ "assemble" when every page has ended, "wait" when one has not, "done" when the job has ended."""
        return str(self._call("begin_assembly", job=job_id))

    def quiet_for(self, job_id: str) -> float:
        """Seconds since the job or one of its pages changed last; 0.0 for an unknown job."""
        moved_at, created_at = self.redis.hmget(f"pf:job:{job_id}", "moved_at", "created_at")
        return time.time() - float(moved_at or created_at) if moved_at or created_at else 0.0

    def count_try(self, job_id: str, step: str) -> int:
        """How often a step of the job has been tried, this time included; 0 for a job that has ended."""
        return int(self._call("count_try", job=job_id, step=step))

    def forget_tries(self, job_id: str, step: str) -> None:
        """The step went well; what fails next is counted anew."""
        self.redis.hdel(f"pf:job:{job_id}", f"tries:{step}")

    def end_job(
        self, job_id: str, state: JobState, *, only_from: str = "", error: dict[str, str] | None = None
    ) -> bool:
        arguments: dict[str, Any] = {"job": job_id, "state": state}
        if only_from:
            arguments["from"] = only_from
        if error:
            arguments["error"] = json.dumps(error)
        return bool(self._call("end_job", **arguments))

    def cancel(self, job_id: str) -> str | None:
        """Stop a job: "cancelled", "assemble" when it was a repair, the state it had ended in, None when unknown."""
        return self._call("cancel", job=job_id) or None

    def rename(self, job_id: str, name: str) -> bool:
        """Give the job another name, in any state; False for an unknown job."""
        return bool(self._call("rename", job=job_id, name=name))

    def unconcluded(self, *, older_s: float) -> list[str]:
        """Jobs that ended longer ago than that and were not `concluded`: their process may have died in between."""
        return list(self._call("unconcluded", age=older_s))

    def concluded(self, job_id: str) -> None:
        """The job's record is written and its webhook is on its way; it may soon be put away."""
        self._call("concluded", job=job_id, after=SETTLE_S)

    def settled_due(self, most: int) -> list[str]:
        """Concluded jobs that it is time to put away; each has its turn again AGAIN_S later unless that is done."""
        return list(self._call("settled_due", most=most, after=AGAIN_S))

    def put_away(self, job_id: str, seq: int) -> bool:
        """Remove an ended job that is still at its change `seq`, but for its places in the lists."""
        return bool(self._call("put_away", job=job_id, seq=seq))

    def take_out(self, job: Job, pages: Sequence[Page]) -> bool:
        """Enter an ended job with its pages again; False when it was purged. One that is there stays as it is."""
        lines = [[page.index, page.seq, page_record(page)] for page in pages if page.seq]
        return bool(self._call("take_out", job=job.id, fields=job_fields(job), pages=lines, after=SETTLE_S))

    def note_delivery(self, job_id: str, attempt: dict[str, Any]) -> bool:
        """Keep an attempt to call the job's webhook, with the 19 before it; False for an unknown job."""
        return bool(self._call("note_delivery", job=job_id, attempt=attempt))

    def hold_pages_call(self, job_id: str, for_s: float) -> bool:
        """Whether a call about pages may be sent now; no other one may for so many seconds."""
        return bool(self._call("hold_pages_call", job=job_id, hold=for_s))

    def is_pages_call_held(self, job_id: str) -> bool:
        """Whether a call about pages of the job is under way."""
        return float(self.redis.hget(f"pf:job:{job_id}", "pages_call") or 0) > time.time()

    def told_pages(self, job_id: str, seq: int, hold_s: float) -> None:
        """The webhook has heard of pages up to this change; another call may be sent in so many seconds."""
        self._call("told_pages", job=job_id, seq=seq, hold=hold_s)

    def ends_batch(self, job_id: str) -> bool:
        """Whether all jobs of the job's batch have ended, and this one last."""
        return bool(self._call("ends_batch", job=job_id))

    def jobs_ended_before(self, created_before: float) -> list[str]:
        """Ids of the jobs created before that time that have ended."""
        ids = self.redis.zrangebyscore("pf:jobs", "-inf", created_before)
        return [job_id for job_id in ids if self.redis.hget(f"pf:job:{job_id}", "state") in (None, *JOB_ENDED)]

    def forget(self, job_id: str) -> None:
        self._call("forget", job=job_id)

    def purge(self, job_id: str, runs: int = 0, owner: str = "", batch_id: str = "") -> tuple[int, list[str]]:
        """Forget a job and let nothing bring it back. Returns the number of its runs and its keys in the page cache.

        `runs`, `owner` and `batch_id` are for a job that was put away.
        """
        answer = self._call("purge", job=job_id, runs=runs, owner=owner, batch_id=batch_id)
        return int(answer["runs"]), list(answer["cached"])

    def forget_traces(self) -> bool:
        """Have Redis write its log on disk anew, which keeps what was deleted, if a job was purged since the last time.

        Returns whether it does; where it cannot now, the next call tries again. A Redis without such a log needs none.
        """
        num_purged = self.redis.get(TRACES)
        if not num_purged or not self.redis.info("persistence").get("aof_enabled"):
            return False
        try:
            self.redis.bgrewriteaof()
        except redis.ResponseError as exc:  # it is at it already, or its operator does not allow it
            logger.warning("Redis keeps what was purged in its log on disk for now: %s", exc)
            return False
        return bool(self._call("traces_gone", of=num_purged))

    def is_purged(self, job_id: str) -> bool:
        return bool(self.redis.exists(f"pf:purged:{job_id}"))

    def take_back(self, job_id: str, *keys: str) -> None:
        """Remove keys that were just written about a job if it was purged meanwhile."""
        if self.is_purged(job_id):
            self.redis.delete(*keys)

    def purges_due(self, most: int = 100) -> list[tuple[str, int]]:
        """Purged jobs, and their number of runs, whose files it is time to look for again; their keys are gone."""
        return [(job_id, int(runs)) for job_id, runs in self._call("sweep", most=most)]
