"""How jobs are entered and found again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.ledger.errors import IdTaken, QueueFull
from tasks.ledger.records import Job, read_job
from tasks.ledger.script import Script
from tasks.messages import JobOptions

SCORES_AT_ONCE = 1000


def new_fields(
    *,
    owner: str,
    name: str,
    kind: str,
    size: int,
    options: JobOptions,
    batch_id: str = "",
    source_url: str = "",
    parent: str = "",
    metadata: Mapping[str, str] | None = None,
    tags: Sequence[str] = (),
) -> dict[str, Any]:
    """What the record of a new job has."""
    return {
        "owner": owner,
        "name": name,
        "kind": kind,
        "size": size,
        "batch_id": batch_id,
        "source_url": source_url,
        "parent": parent,
        "metadata": json.dumps(metadata or {}),
        "tags": json.dumps(tags),
        "priority": options.priority,
        "options": json.dumps(options.to_json()),
    }


class JobEntry(Script):
    """New jobs, and the lists they stand in."""

    def create(
        self,
        job_id: str,
        *,
        owner: str,
        name: str,
        kind: str,
        size: int,
        options: JobOptions,
        batch_id: str = "",
        source_url: str = "",
    ) -> bool:
        """Enter a new job, `queued`; False when the id is taken. Kind and size of a URL's document come later."""
        fields = new_fields(
            owner=owner, name=name, kind=kind, size=size, options=options, batch_id=batch_id, source_url=source_url
        )
        return bool(self._call("create", job=job_id, fields=fields))

    def create_all(self, jobs: Mapping[str, Mapping[str, Any]], *, most: int, most_of_owner: int = 0) -> None:
        """Enter all of these new jobs of one owner, `new_fields` by id, or none where that would be too many.

        Raises QueueFull where more than `most` jobs, or `most_of_owner` of theirs, would be unfinished; 0 is no limit.
        Raises IdTaken where a job has, or had before it was purged, one of the ids.
        """
        entries = [{"job": job_id, "fields": fields} for job_id, fields in jobs.items()]
        outcome = self._call("create_all", jobs=entries, most=most, most_of_owner=most_of_owner)
        if outcome == "taken":
            raise IdTaken("the id that was made for a job is taken; send the documents again")
        if outcome != "entered":
            raise QueueFull(is_owners=outcome == "owner_full")

    def job(self, job_id: str) -> Job | None:
        raw = self.redis.hgetall(f"pf:job:{job_id}")
        return read_job(job_id, raw) if raw.get("state") else None

    def jobs(self, *, owner: str | None = None, before: float | None = None, limit: int = 50) -> list[Job]:
        """The newest jobs of `job_ids` that were not put away."""
        return [job for job in self.jobs_at(self.job_ids(owner=owner, before=before, limit=limit)) if job is not None]

    def job_ids(self, *, owner: str | None = None, before: float | None = None, limit: int = 50) -> list[str]:
        """The newest jobs first, of one owner or of all; `before` is the `created_at` to go on from."""
        key = "pf:jobs" if owner is None else f"pf:jobs:{owner}"
        highest = "+inf" if before is None else f"({before}"
        return list(self.redis.zrevrangebyscore(key, highest, "-inf", start=0, num=limit))

    def listed(
        self,
        owner: str,
        *,
        batch_id: str = "",
        before: float | None = None,
        since: float | None = None,
        limit: int = 50,
    ) -> list[tuple[str, float]]:
        """The owner's newest jobs first, or those of a batch, each with its `created_at`; `since` is in it."""
        key = f"pf:batch:{owner}:{batch_id}" if batch_id else f"pf:jobs:{owner}"
        highest, lowest = ("+inf" if before is None else f"({before!r}"), ("-inf" if since is None else since)
        return list(self.redis.zrevrangebyscore(key, highest, lowest, start=0, num=limit, withscores=True))

    def batch_ids(self, owner: str, batch_id: str) -> list[str]:
        """The owner's jobs that were sent together, in the order they came; empty for an unknown batch."""
        return list(self.redis.zrange(f"pf:batch:{owner}:{batch_id}", 0, -1))

    def jobs_at(self, job_ids: Sequence[str]) -> list[Job | None]:
        """The jobs with these ids, None for one that was put away or is not known."""
        with self.redis.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.hgetall(f"pf:job:{job_id}")
            records = pipe.execute()
        pairs = zip(job_ids, records, strict=True)
        return [read_job(job_id, raw) if raw.get("state") else None for job_id, raw in pairs]

    def has(self, job_id: str) -> bool:
        """Whether the job has a record here: it is under way, or was until a moment ago."""
        return bool(self.redis.exists(f"pf:job:{job_id}"))

    def unlisted(self, job_ids: Sequence[str]) -> list[str]:
        """Those of the ids that stand in no list of jobs."""
        scores: list[float | None] = []
        for first in range(0, len(job_ids), SCORES_AT_ONCE):
            scores += self.redis.zmscore("pf:jobs", job_ids[first : first + SCORES_AT_ONCE])
        return [job_id for job_id, score in zip(job_ids, scores, strict=True) if score is None]

    def active_jobs(self) -> list[str]:
        """Ids of the jobs that have not ended."""
        return sorted(self.redis.smembers("pf:active"))

    def num_active(self, owner: str | None = None) -> int:
        return int(self.redis.scard("pf:active" if owner is None else f"pf:active:{owner}"))

    def num_ahead(self, job_id: str) -> int:
        """Unfinished jobs that were entered before this one."""
        mine, *others = self.redis.zmscore("pf:jobs", [job_id, *self.active_jobs()])
        return sum(1 for entered_at in others if mine is not None and entered_at is not None and entered_at < mine)

    def enlist(self, job_id: str) -> None:
        """Enter an unfinished job again in the lists that it is missing from."""
        self._call("enlist", job=job_id)
