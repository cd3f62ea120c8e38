"""What Redis keeps of finished jobs: memory and keys after many one-page jobs, sent one by one, have been put away.

    python -m benchmarks.at_rest [--jobs 10000] [--workers]

Each job has a batch and an Idempotency-Key of its own, as the Python client sends it; Redis keeps that for a day. The
jobs go through the functions that web and workers call, in this process; with `--workers` through a whole stack with
the echo engine, which takes longer and also shows what Celery leaves.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

from redis import Redis

from benchmarks.report import publish, table
from tasks.access.keys import LOCAL
from tasks.access.once import submit_once
from tasks.archive import load_job, newest_jobs, write_job_record
from tasks.assemble import results
from tasks.assemble.job_end import conclude, final_state
from tasks.entries import Entry, enter, fields_of, store
from tasks.messages import JobOptions, PageTask
from tasks.page_end import save_text
from tasks.services import get_ledger
from tasks.settings import get_settings
from tasks.shelf import put_away
from tests.services import Service, make_pdf, wait_until
from web.stack.stack import Stack

OWNER = "key-12345678"
SENDERS = 8
FOLLOWED = 50  # jobs under way at once, so that looking after them costs little
PUT_AWAY_S = 300.0  # most time for the last jobs to be put away


def finish_here(num_jobs: int) -> None:
    """Do what web and workers do for so many jobs, one after another."""
    data, name = make_pdf(1), "one.pdf"
    for _ in range(num_jobs):
        entry = Entry(name=name, options=JobOptions(), source=BytesIO(data), kind="pdf")
        submit_once(OWNER, str(uuid.uuid4()), "0" * 64, lambda entry=entry: enter_job(entry))  # type: ignore[misc]
        read(entry.id)
        assert put_away(entry.id)


def enter_job(entry: Entry) -> tuple[str, list[str]]:
    batch_id = uuid.uuid4().hex[:16]
    enter({entry.id: fields_of(entry, OWNER, batch_id, store(entry))}, OWNER)
    write_job_record(entry.id)
    return batch_id, [entry.id]


def read(job_id: str) -> None:
    ledger = get_ledger()
    ledger.begin_split(job_id)
    ledger.open_first_run(job_id, num_pages=1, selection="1", size=1)
    save_text(PageTask(job_id=job_id, run=1, index=0), "Page 1", engine="echo", seconds=0.1)
    assert ledger.begin_assembly(job_id) == "assemble"
    results.write_results(job_id)
    ledger.end_job(job_id, final_state(job_id), only_from="assembling")
    conclude(job_id)


def finish_by_workers(service: Service, num_jobs: int) -> None:
    """Send so many jobs and wait until Redis has the record of none."""
    data = make_pdf(1)
    with ThreadPoolExecutor(SENDERS) as threads:
        ids = list(threads.map(lambda _: send(service, data), range(num_jobs)))
    wait_until(lambda: not service.ledger.num_active(), num_jobs + 60.0, "the end of all jobs")
    wait_until(lambda: not any(map(service.ledger.has, ids)), PUT_AWAY_S, "that all jobs are put away")


def send(service: Service, data: bytes) -> str:
    """Send a document under a key of its own once few others are under way; the job's id."""
    while service.ledger.num_active() >= FOLLOWED:
        time.sleep(0.05)
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    answer = service.http.post("/jobs", files={"file": ("one.pdf", data)}, headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobs"][0]["id"])


def by_kind(redis: Redis) -> tuple[Counter[str], Counter[str]]:
    """Keys, and their bytes, by the first two words of their names."""
    keys, sizes = Counter[str](), Counter[str]()
    for key in redis.scan_iter(count=1000):
        kind = ":".join(str(key).split(":")[:2])
        keys[kind] += 1
        sizes[kind] += int(redis.memory_usage(key, samples=0) or 0)
    return keys, sizes


def best_ms(call: Callable[[], object]) -> float:
    """The best of five times of a call."""
    times = []
    for _ in range(5):
        started = time.monotonic()
        assert call()
        times.append(1000 * (time.monotonic() - started))
    return min(times)


def measure(redis: Any, finish: Callable[[int], None], num_jobs: int, owner: str) -> list[str]:
    """What Redis has grown by, and how long it takes to find the jobs again in their files."""
    finish(20)
    before = int(redis.info("memory")["used_memory"])
    finish(num_jobs)
    grown = int(redis.info("memory")["used_memory"]) - before
    keys, sizes = by_kind(redis)
    listed = newest_jobs(owner, limit=200)
    assert {job.state for job in listed} == {"succeeded"}
    lines = [
        f"- Redis has grown by {grown / 1e6:.2f} MB, {grown / num_jobs:.0f} bytes a job",
        f"- a list of {len(listed)} finished jobs: {best_ms(lambda: newest_jobs(owner, limit=200)):.0f} ms",
        f"- a finished job: {best_ms(lambda: load_job(listed[-1].id)):.1f} ms",
        "",
    ]
    rows: list[list[object]] = [[kind, keys[kind], size] for kind, size in sizes.most_common(8)]
    return lines + table(["keys that begin with", "keys", "bytes"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--workers", action="store_true")
    args = parser.parse_args()
    settings = {"ENGINE": "echo", "WEB_PORT": "0", "FLOWER_PORT": "0"}
    counts = {"web": 1, "cpu": 1, "gpu": 1, "beat": 1} if args.workers else {}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as exits:
        stack = exits.enter_context(Stack(dict(os.environ) | settings, Path(folder), counts=counts))
        os.environ |= {"REDIS_URL": stack.redis_url, "BLOB_URL": stack.env["BLOB_URL"]}
        get_settings.cache_clear()  # read when tasks.app was imported
        finish: Callable[[int], None] = finish_here
        if args.workers:
            service = Service(stack)
            exits.callback(service.close)
            finish = lambda num_jobs: finish_by_workers(service, num_jobs)  # noqa: E731
        lines = measure(get_ledger().redis, finish, args.jobs, LOCAL if args.workers else OWNER)
    where = "workers" if args.workers else "one process"
    publish("at_rest", f"Redis after {args.jobs} finished jobs of a page, by {where}", lines)


if __name__ == "__main__":
    main()
