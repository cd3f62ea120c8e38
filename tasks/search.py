"""Jobs found by what people wrote on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.archive import load_jobs
from tasks.ledger.records import Job
from tasks.services import get_ledger

AT_ONCE = 100  # jobs looked at in one go
MOST = 2000  # looked at for one answer


def find_jobs(
    owner: str, *, tags: Sequence[str], metadata: Mapping[str, str], before: float | None = None, limit: int = 50
) -> tuple[list[Job], float | None]:
    """The owner's newest jobs with all these tags and values, and the `created_at` to go on from, None at the end.

    After MOST jobs the answer ends with what was found so far, so that none takes long.
    """
    found: list[Job] = []
    for _ in range(0, MOST, AT_ONCE):
        ids = get_ledger().job_ids(owner=owner, before=before, limit=AT_ONCE)
        if not (jobs := load_jobs(ids)):
            return found, None
        for job in jobs:
            before = job.created_at
            if job.has_labels(tags, metadata):
                found.append(job)
            if len(found) == limit:
                return found, before
        if len(ids) < AT_ONCE:
            return found, None
    return found, before
