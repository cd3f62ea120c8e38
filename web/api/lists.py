"""REST: the jobs that there are, found by their names, their texts, and what is known of them."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import g

from tasks.index import Match
from tasks.search import find_jobs, matches_of
from web.api.list_inputs import ListQuery
from web.api.outputs import JobListOut, MatchOut
from web.api.shown import job_summary

bp = APIBlueprint("lists", __name__, url_prefix="/api/v1", tag={"name": "Jobs"})


@bp.get("/jobs")
@bp.input(ListQuery, location="query")
@bp.output(JobListOut)
@bp.doc(responses={503: "Job store away"}, operation_id="listJobs")
def list_jobs(query_data: ListQuery) -> JobListOut:
    """List jobs, the newest first

    All conditions hold together. `q` finds names of all jobs, and what was read in those that have ended: words by
    their beginnings, without regard to case and accents, all of them on one page. `matches` then says where.

    Pass `next` as `cursor` to go on; jobs that come meanwhile change nothing in what follows. With conditions a part
    may have fewer jobs than `limit`, even none: the end is where `next` is null.
    """
    return list_of(query_data)


def list_of(query: ListQuery) -> JobListOut:
    wanted = query.wanted()
    before = float(query.cursor) if query.cursor else None
    jobs, at = find_jobs(g.owner, wanted, before=before, limit=query.limit)
    matches = matches_of(jobs, wanted.query) if wanted.query else {}
    return JobListOut(
        jobs=[job_summary(job) for job in jobs],
        matches={job_id: match_out(match) for job_id, match in matches.items()},
        next=None if at is None else repr(at),
    )


def match_out(match: Match) -> MatchOut:
    return MatchOut(
        page_number=match.page_number,
        num_pages=match.num_pages,
        text=match.text,
        marks=[list(mark) for mark in match.marks],
    )
