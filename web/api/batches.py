"""REST: the jobs that were sent together, at one look."""

from __future__ import annotations

from collections import Counter

from apiflask import APIBlueprint
from flask import g

from tasks.archive import load_batch
from tasks.ledger.records import Job
from web.api.outputs import BatchOut, PageCounts
from web.api.problems import Problem
from web.api.shown import count_pages, job_summary

TAG = {"name": "Jobs"}

bp = APIBlueprint("batches", __name__, url_prefix="/api/v1/batches", tag=TAG)


def find_batch(batch_id: str) -> list[Job]:
    """The asker's jobs of a batch, in the order they came; raises Problem when there are none."""
    jobs = load_batch(g.owner, batch_id)
    if not jobs:
        raise Problem("unknown-batch")
    return jobs


@bp.get("/<batch_id>")
@bp.output(BatchOut)
@bp.doc(responses={404: "Unknown batch", 503: "Job store away"}, operation_id="getBatch")
def get_batch(batch_id: str) -> BatchOut:
    """Follow a batch

    The jobs that one request made, or several that gave the same `batch_id`, in the order they came.
    """
    jobs = find_batch(batch_id)
    return BatchOut(
        batch_id=batch_id,
        num_jobs=len(jobs),
        has_ended=all(job.has_ended for job in jobs),
        progress=round(sum(job.progress for job in jobs) / len(jobs), 4),
        states=dict(Counter(job.state for job in jobs)),
        pages=add_counts([count_pages(job) for job in jobs]),
        jobs=[job_summary(job) for job in jobs],
    )


def add_counts(counts: list[PageCounts]) -> PageCounts:
    return PageCounts(**{name: sum(getattr(one, name) for one in counts) for name in PageCounts.model_fields})
