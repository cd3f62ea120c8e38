"""Jobs found by their names, by what was read in them, and by what people wrote on them."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tasks.archive import job_of, load_jobs, load_pages
from tasks.index import Match, get_index
from tasks.ledger.records import Job
from tasks.services import get_ledger

logger = logging.getLogger(__name__)

AT_ONCE = 100  # jobs looked at in one go
MOST = 2000  # looked at for one answer
MOST_LISTED = 100_000  # ids gone through for one answer, of which the index tells that they are not meant


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which jobs are wanted; what is left out is any. `since` and `until` are Unix seconds, `until` is not in it.

    `query` is the job's id, or found in its name, or as words or quoted phrases on one page. `engine` is what read one
    of the pages at least; an unfinished job has none yet.
    """

    query: str = ""
    states: tuple[str, ...] = ()
    engine: str = ""
    batch_id: str = ""
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    since: float | None = None
    until: float | None = None

    @property
    def is_choosy(self) -> bool:
        """Whether jobs have to be looked into."""
        return bool(self.query or self.states or self.engine or self.tags or self.metadata)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A job with what read its pages; None where that has to be looked up."""

    job: Job
    engines: Sequence[str] | None = None


def find_jobs(
    owner: str, wanted: Wanted, *, before: float | None = None, limit: int = 50
) -> tuple[list[Job], float | None]:
    """The owner's newest jobs that are wanted, and the `created_at` to go on from, None at the end.

    After MOST jobs the answer ends with what was found so far, so that none takes long. Goes by the time a job was
    entered, which no other job shares, so that jobs that come meanwhile change nothing in what follows.
    """
    found: list[str] = []
    hits = ids_with(owner, wanted.query) if wanted.query else set()
    place = min((time for time in (before, wanted.until) if time is not None), default=None)
    at = place
    at_once = AT_ONCE if wanted.is_choosy else limit + 1
    looked = listed = 0
    while looked < MOST and listed < MOST_LISTED:
        part = get_ledger().listed(owner, batch_id=wanted.batch_id, before=place, since=wanted.since, limit=at_once)
        listed += len(part)
        times = dict(part)
        chosen = sift(list(times), wanted.query, hits)
        looked += len(chosen) if wanted.query else len(part)
        for candidate in glance(chosen):
            if is_wanted(candidate, wanted, hits):
                if len(found) == limit:
                    return load_jobs(found), at
                found.append(candidate.job.id)
                at = times[candidate.job.id]
        if len(part) < at_once:
            return load_jobs(found), None
        place = part[-1][1]
        at = at if len(found) == limit else place
    return load_jobs(found), at


def ids_with(owner: str, query: str) -> set[str]:
    """Ids of the owner's jobs in which the index finds the query; none where there is no index that can be read."""
    index = get_index()
    try:
        return index.ids(owner, query) if index else set()
    except (sqlite3.Error, OSError) as exc:
        logger.warning("the full-text index cannot be searched: %s", exc)
        return set()


def sift(ids: Sequence[str], query: str, hits: set[str]) -> list[str]:
    """The ids without those of which the index knows that the query is not in them."""
    index = get_index()
    if not query or index is None:
        return list(ids)
    try:
        known, named = index.named(ids, query)
    except (sqlite3.Error, OSError):
        return list(ids)
    return [job_id for job_id in ids if job_id in hits | named or job_id not in known or job_id == query]


def glance(ids: Sequence[str]) -> Iterable[Candidate]:
    """The jobs to choose from: of those that were put away, what the index has of them; without it, their files."""
    live = {job.id: job for job in get_ledger().jobs_at(ids) if job is not None}
    rest = [job_id for job_id in ids if job_id not in live]
    kept = records_of(rest)
    read = {job.id: job for job in load_jobs([job_id for job_id in rest if job_id not in kept])}
    for job_id in ids:
        if job_id in kept:
            yield kept[job_id]
        elif job := live.get(job_id) or read.get(job_id):
            yield Candidate(job)


def records_of(ids: Sequence[str]) -> dict[str, Candidate]:
    index = get_index()
    try:
        kept = {job_id: json.loads(record) for job_id, record in (index.records(ids) if index else {}).items()}
    except (sqlite3.Error, OSError):
        return {}
    return {job_id: Candidate(job_of(record["job"]), record["engines"]) for job_id, record in kept.items()}


def is_wanted(candidate: Candidate, wanted: Wanted, hits: set[str]) -> bool:
    job = candidate.job
    if wanted.query and not (
        job.id in hits or job.id == wanted.query or wanted.query.casefold() in job.name.casefold()
    ):
        return False
    if wanted.states and job.state not in wanted.states:
        return False
    if not job.has_labels(wanted.tags, wanted.metadata):
        return False
    return not wanted.engine or (job.has_ended and wanted.engine in engines_of(candidate))


def engines_of(candidate: Candidate) -> Sequence[str]:
    if candidate.engines is not None:
        return candidate.engines
    return [page.engine for page in load_pages(candidate.job)]


def matches_of(jobs: Iterable[Job], query: str) -> dict[str, Match]:
    """Where the query stands in these jobs, by id; none for a job of which only the name has it."""
    index = get_index()
    try:
        found = {job.id: index.match(job.id, query) for job in jobs} if index else {}
    except (sqlite3.Error, OSError) as exc:
        logger.warning("the full-text index cannot be searched: %s", exc)
        return {}
    return {job_id: match for job_id, match in found.items() if match}
