"""The ledger: the truth about jobs and pages, in Redis. Its changes are `ledger.lua`, its readings are here.

Jobs and pages are small hashes; nothing here grows with a page's content. Times are Unix seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from tasks.ledger.records import Attempts, Claimed, Job, Page, read_claim, read_job, read_page
from tasks.messages import JOB_ENDED, JobOptions, JobState, PageState, PageTask

ALIVE_S = 15  # a worker that has not reported for this long is not counted

SCRIPT = Path(__file__).with_name("ledger.lua").read_text()


StoreAway = redis.RedisError  # what all readings and changes raise while Redis is away


class LedgerError(Exception):
    """The ledger refuses this change."""


class UnknownJob(LedgerError):
    """No job has this id."""


class QueueFull(LedgerError):
    """There are as many unfinished jobs as may be, of all or of one owner."""

    def __init__(self, *, is_owners: bool) -> None:
        super().__init__("too many unfinished jobs")
        self.is_owners = is_owners


class PageBusy(LedgerError):
    """The page is still at work; wait for it or cancel the job."""


def connect(url: str, *, retries: int = 8) -> redis.Redis:
    """A client that outlives short absences of Redis: 8 retries are about ten seconds before it raises."""
    pool = redis.BlockingConnectionPool.from_url(  # a burst of web requests waits its turn for a connection
        url,
        max_connections=64,
        timeout=10,
        decode_responses=True,
        health_check_interval=15,
        socket_connect_timeout=3,
        socket_timeout=15,
        retry=Retry(ExponentialWithJitterBackoff(base=0.1, cap=2), retries=retries),
        retry_on_error=[redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError],
    )
    return redis.Redis.from_pool(pool)


def new_fields(
    *, owner: str, name: str, kind: str, size: int, options: JobOptions, batch_id: str = "", source_url: str = ""
) -> dict[str, Any]:
    """What the record of a new job has."""
    return {
        "owner": owner,
        "name": name,
        "kind": kind,
        "size": size,
        "batch_id": batch_id,
        "source_url": source_url,
        "priority": options.priority,
        "options": json.dumps(options.to_json()),
    }


class Ledger:
    """Reads and changes of jobs and pages; safe to share between threads."""

    def __init__(self, client: redis.Redis) -> None:
        self.redis: Any = client  # redis-py types every answer as bytes or str, whatever decode_responses says
        self._script = client.register_script(SCRIPT)

    def _call(self, operation: str, **arguments: Any) -> Any:
        return json.loads(self._script(args=[operation, json.dumps(arguments)]))

    def ping(self) -> None:
        """Raises StoreAway where Redis does not answer."""
        self.redis.ping()

    # jobs

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
        """
        entries = [{"job": job_id, "fields": fields} for job_id, fields in jobs.items()]
        outcome = self._call("create_all", jobs=entries, most=most, most_of_owner=most_of_owner)
        if outcome != "entered":
            raise QueueFull(is_owners=outcome == "owner_full")

    def job(self, job_id: str) -> Job | None:
        raw = self.redis.hgetall(f"pf:job:{job_id}")
        return read_job(job_id, raw) if raw.get("state") else None

    def num_selected(self, job_id: str) -> int:
        """How many pages of its document the job reads; 0 before the document was opened, and for an unknown job."""
        return int(self.redis.hget(f"pf:job:{job_id}", "num_selected") or 0)

    def jobs(self, *, owner: str | None = None, before: float | None = None, limit: int = 50) -> list[Job]:
        """The newest jobs first, of one owner or of all; `before` is the `created_at` to go on from."""
        key = "pf:jobs" if owner is None else f"pf:jobs:{owner}"
        highest = "+inf" if before is None else f"({before}"
        ids = self.redis.zrevrangebyscore(key, highest, "-inf", start=0, num=limit)
        found = (self.job(job_id) for job_id in ids)
        return [job for job in found if job is not None]

    def batch(self, owner: str, batch_id: str) -> list[Job]:
        """The owner's jobs that were sent together, in the order they came; empty for an unknown batch."""
        ids = self.redis.zrange(f"pf:batch:{owner}:{batch_id}", 0, -1)
        with self.redis.pipeline(transaction=False) as pipe:
            for job_id in ids:
                pipe.hgetall(f"pf:job:{job_id}")
            records = pipe.execute()
        return [read_job(job_id, raw) for job_id, raw in zip(ids, records, strict=True) if raw.get("state")]

    def active_jobs(self) -> list[str]:
        """Ids of the jobs that have not ended."""
        return sorted(self.redis.smembers("pf:active"))

    def num_active(self, owner: str | None = None) -> int:
        return int(self.redis.scard("pf:active" if owner is None else f"pf:active:{owner}"))

    def num_ahead(self, job_id: str) -> int:
        """Unfinished jobs that were entered before this one."""
        mine, *others = self.redis.zmscore("pf:jobs", [job_id, *self.active_jobs()])
        return sum(1 for entered_at in others if mine is not None and entered_at is not None and entered_at < mine)

    def jobs_ended_before(self, created_before: float) -> list[str]:
        """Ids of the jobs created before that time that have ended."""
        ids = self.redis.zrangebyscore("pf:jobs", "-inf", created_before)
        return [job_id for job_id in ids if self.redis.hget(f"pf:job:{job_id}", "state") in (None, *JOB_ENDED)]

    def begin_split(self, job_id: str) -> bool:
        return bool(self._call("begin_split", job=job_id))

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

    def begin_assembly(self, job_id: str) -> str:
        """ "assemble" when every page has ended, "wait" when one has not, "done" when the job has ended."""
        return str(self._call("begin_assembly", job=job_id))

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

    def enlist(self, job_id: str) -> None:
        """Enter an unfinished job again in the lists that it is missing from."""
        self._call("enlist", job=job_id)

    # pages

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

    def feed(self, job_id: str, run: int, *, window: int, finished: int | None = None) -> tuple[range, bool]:
        """The positions of the run to send now, and whether their owner has few jobs; `finished` leaves the window."""
        arguments: dict[str, Any] = {"job": job_id, "run": run, "window": window}
        if finished is not None:
            arguments["finished"] = finished
        first, count, few_jobs = self._call("feed", **arguments)
        return range(int(first), int(first) + int(count)), bool(few_jobs)

    # repair of the ledger itself

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

    def positions_fed(self, job_id: str, run: int, *, before: float = float("inf")) -> list[int]:
        """The positions whose tasks were sent before that time and have not finished."""
        return [int(p) for p in self.redis.zrangebyscore(f"pf:fed:{job_id}:{run}", "-inf", before)]

    def mark_fed(self, job_id: str, run: int, positions: Sequence[int]) -> None:
        """These positions were sent again just now."""
        self._call("mark_fed", job=job_id, run=run, positions=list(positions))

    def count_resend(self, job_id: str, index: int) -> int:
        """How often the page's task has been sent again, this time included; 0 for a page that has ended."""
        return int(self._call("resent", job=job_id, index=index))

    # workers

    def report_alive(self, queue: str, worker: str, **report: Any) -> None:
        """Say that this worker can take tasks of `queue`; forgotten after 15 s."""
        self._call("report_alive", queue=queue, worker=worker, report=report)

    def workers(self, queue: str) -> dict[str, dict[str, Any]]:
        """The workers of `queue` that reported within 15 s, with what they said."""
        return dict(self._call("workers", queue=queue, age=ALIVE_S))

    def note_moved(self, queues: Iterable[str]) -> None:
        """Say that something of these queues was just taken or done."""
        self._call("note_moved", queues=list(queues))

    def moved(self, queues: Sequence[str]) -> dict[str, float]:
        """When something of each queue was taken or done the last time; 0.0 for never."""
        times = self.redis.hmget("pf:moved", list(queues))
        return {queue: float(moved_at or 0) for queue, moved_at in zip(queues, times, strict=True)}

    def ready_since(self) -> float:
        """Since when a page is ready whose turn it is and that nobody has claimed; 0.0 where there is none."""
        return float(self._call("ready_since"))

    # claims

    def offer(self, page: PageTask) -> None:
        """Put a prepared page in the queue of its job; nothing happens when it is there, claimed or ended."""
        self._call("offer", job=page.job_id, run=page.run, index=page.index)

    def take(
        self, token: str, *, most: int, ttl_s: float, want: Iterable[PageTask] = (), bucket: str | None = None
    ) -> list[Claimed]:
        """Claim up to `most` pages: the wanted ones if nobody has them, then those whose turn it is.

        Pages of the bucket come first, without one those of the first page's; others fill what room is left.
        """
        arguments: dict[str, Any] = {"token": token, "n": most, "ttl_ms": int(ttl_s * 1000)}
        arguments["want"] = [[page.job_id, page.index] for page in want]
        if bucket is not None:
            arguments["bucket"] = bucket
        answer = self._call("take", **arguments)
        return [read_claim(entry) for entry in answer]

    def peek(self, most: int) -> list[PageTask]:
        """The pages that `take` would claim now, in its order."""
        return [read_claim(entry).task for entry in self._call("peek", n=most)]

    def start(self, pages: Sequence[PageTask]) -> None:
        """Count a start of generation for each page; forgotten when the page ends."""
        self._call("start", pages=[[page.job_id, page.index] for page in pages])

    def renew(self, token: str, pages: Sequence[PageTask], *, ttl_s: float) -> set[int]:
        """Keep the claims; the places in `pages` of those that must stop, because cancelled or no longer ours."""
        keys = [[page.job_id, page.index] for page in pages]
        return set(self._call("renew", token=token, pages=keys, ttl_ms=int(ttl_s * 1000)))

    def release_others(self, token: str) -> int:
        """Free the pages that dead processes of the same worker hold, which bear the blame. Returns their number."""
        num_pages = 0
        for key in self.redis.scan_iter("pf:claim:*", count=1000):
            holder = self.redis.get(key)
            if holder and holder != token and holder.partition(":")[0] == token.partition(":")[0]:
                _, _, job_id, index = key.split(":")
                self.release(holder, [PageTask(job_id=job_id, run=0, index=int(index))], blameless=False)
                num_pages += 1
        return num_pages

    def release(self, token: str, pages: Sequence[PageTask], *, blameless: bool) -> None:
        """Give claims back; `blameless` also takes back the start that was counted."""
        keys = [[page.job_id, page.index] for page in pages]
        self._call("release", token=token, pages=keys, blameless=blameless)
