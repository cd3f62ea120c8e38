"""How jobs end, and how they are forgotten."""

from __future__ import annotations

import json
import time
from typing import Any

from tasks.ledger.script import Script
from tasks.messages import JOB_ENDED, JobState


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

    def unconcluded(self, *, older_s: float) -> list[str]:
        """Jobs that ended longer ago than that and were not `concluded`: their process may have died in between."""
        return list(self._call("unconcluded", age=older_s))

    def concluded(self, job_id: str) -> None:
        """The job's record is written and its webhook is on its way."""
        self.redis.zrem("pf:unconcluded", job_id)

    def note_delivery(self, job_id: str, attempt: dict[str, Any]) -> bool:
        """Keep an attempt to call the job's webhook, with the 19 before it; False for an unknown job."""
        return bool(self._call("note_delivery", job=job_id, attempt=attempt))

    def jobs_ended_before(self, created_before: float) -> list[str]:
        """Ids of the jobs created before that time that have ended."""
        ids = self.redis.zrangebyscore("pf:jobs", "-inf", created_before)
        return [job_id for job_id in ids if self.redis.hget(f"pf:job:{job_id}", "state") in (None, *JOB_ENDED)]

    def forget(self, job_id: str) -> None:
        self._call("forget", job=job_id)

    def purge(self, job_id: str, *, runs: int = 0) -> tuple[int, list[str]]:
        """Forget a job and let nothing bring it back. Returns the number of its runs and its keys in the page cache.

        `runs` is for a job that Redis has lost.
        """
        answer = self._call("purge", job=job_id, runs=runs)
        return int(answer["runs"]), list(answer["cached"])

    def is_purged(self, job_id: str) -> bool:
        return bool(self.redis.exists(f"pf:purged:{job_id}"))

    def take_back(self, job_id: str, *keys: str) -> None:
        """Remove keys that were just written about a job if it was purged meanwhile."""
        if self.is_purged(job_id):
            self.redis.delete(*keys)

    def purges_due(self, most: int = 100) -> list[tuple[str, int]]:
        """Purged jobs, and their number of runs, whose files it is time to look for again; their keys are gone."""
        return [(job_id, int(runs)) for job_id, runs in self._call("sweep", most=most)]
