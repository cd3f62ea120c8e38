"""How fast pages of killed processes run elsewhere, and whether any is lost or counted twice.

    python -m benchmarks.recovery [--kills 210] [--cancels 40]

One stack under steady load; every kind of process is killed with SIGKILL, each round of kinds in an order of its own,
when all workers are at work. Recovery is the time from the kill until every page that was at work has ended.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from benchmarks.report import percentile, publish, table
from tests.services import ENDED, Service, make_pdf, wait_until
from web.stack.redis_server import answers
from web.stack.stack import Stack

PAGES = 400


def restart_redis(service: Service) -> None:
    service.stack.kill("redis")
    service.stack.restart("redis")
    wait_until(lambda: answers(service.stack.redis_url), 30, "Redis to answer")


KILLS: dict[str, Callable[[Service], None]] = {
    "render process": lambda service: service.kill_child("cpu"),
    "CPU worker": lambda service: service.stack.kill("cpu"),
    "CPU host": lambda service: service.kill_host("cpu"),
    "model process": lambda service: service.kill_child("gpu"),
    "GPU worker": lambda service: service.stack.kill("gpu"),
    "GPU host": lambda service: service.kill_host("gpu"),
    "Redis": restart_redis,
}


def at_work(service: Service, job_id: str) -> list[int]:
    return [page.index for page in service.ledger.pages(job_id) if not page.has_ended]


def is_whole(service: Service) -> bool:
    """Whether both GPU workers generate pages, and both CPU workers have a render process."""
    claims = service.ledger.redis.scan_iter("pf:claim:*", count=1000)
    tokens = [token for claim in claims if (token := service.ledger.redis.get(claim))]
    owners = {int(token.split(":")[1]) for token in tokens}
    return all(any(child.pid in owners for child in service.children(name)) for name in ("gpu", "gpu2")) and all(
        service.children(name) for name in ("cpu", "cpu2")
    )


def measure_kill(service: Service, job_id: str, kill: Callable[[Service], None]) -> float:
    """Seconds until all pages that were at work at the kill have ended."""
    wait_until(lambda: is_whole(service), 60, "every worker at work")
    time.sleep(random.random() / 2)
    pages = wait_until(lambda: at_work(service, job_id), 30, "pages at work")
    started = time.monotonic()
    kill(service)
    wait_until(lambda: all(page and page.has_ended for page in service.ledger.pages_at(job_id, pages)), 60)
    seconds = time.monotonic() - started
    for name, child in service.stack.processes.items():
        if not child.is_running:
            service.stack.restart(name)
    return seconds


def measure_cancel(service: Service) -> float:
    """Seconds from the DELETE until the engine has let go of every page of the job."""
    job_id = service.submit(make_pdf(8), prompt="".join(f"!slow {n} 60 " for n in range(1, 9)))
    wait_until(lambda: service.job(job_id)["pages"].get("running", 0) or at_work(service, job_id), 30)
    wait_until(lambda: list(service.ledger.redis.scan_iter(f"pf:claim:{job_id}:*")), 30, "the engine to begin")
    started = time.monotonic()
    service.http.delete(f"/jobs/{job_id}")
    before = cancels_seen(service)
    wait_until(lambda: cancels_seen(service) > before, 30, "the engine to let go")
    return time.monotonic() - started


def cancels_seen(service: Service) -> float:
    records = service.ledger.redis.hgetall("pf:metrics").items()
    return sum(float(value) for key, value in records if "cancel_seconds" in key and '"sum"' not in key)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=210)
    parser.add_argument("--cancels", type=int, default=40)
    args = parser.parse_args()
    settings = {
        "ENGINE": "echo", "ECHO_SECONDS": "0.2", "GPU_BATCH_PAGES": "4", "RENDER_PROCESSES": "1", "WEB_PORT": "0",
        "FLOWER_PORT": "0", "RECONCILE_S": "2", "KEEP_PAGE_IMAGES": "0", "PAGE_CACHE_MB": "0",
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as exits:
        counts = {"web": 1, "cpu": 2, "gpu": 2, "beat": 1}
        stack = exits.enter_context(Stack(dict(os.environ) | settings, Path(folder), counts=counts))
        service = Service(stack)
        exits.callback(service.close)
        times, jobs = kill_all(service, args.kills)
        cancels = [measure_cancel(service) for _ in range(args.cancels)]
        lost, twice = account(service, jobs)
        held = service.ledger.redis.hget("pf:metrics", '["claims_lost", "", []]') or 0
    report(times, cancels, lost, twice, int(float(held)), len(jobs))


def kill_all(service: Service, num_kills: int) -> tuple[dict[str, list[float]], list[str]]:
    times: dict[str, list[float]] = defaultdict(list)
    jobs = [service.submit(make_pdf(PAGES))]
    kinds = [kind for _ in range(num_kills // len(KILLS)) for kind in random.sample(list(KILLS), len(KILLS))]
    for kind in kinds:
        job = service.ledger.job(jobs[-1])
        if job is None or job.state in ENDED or job.counts["queued"] < PAGES // 2:
            jobs.append(service.submit(make_pdf(PAGES)))
            wait_until(lambda: at_work(service, jobs[-1]), 30)
        times[kind].append(measure_kill(service, jobs[-1], KILLS[kind]))
    for job_id in jobs:
        service.wait(job_id, 300)
    return times, jobs


def account(service: Service, jobs: list[str]) -> tuple[int, int]:
    """Pages lost and pages counted twice, over all jobs."""
    lost = twice = 0
    for job_id in jobs:
        numbers = [page["page_number"] for page in service.result(job_id)["pages"] if page["state"] == "ok"]
        lost += PAGES - len(set(numbers))
        twice += len(numbers) - len(set(numbers)) + max(0, service.job(job_id)["pages"]["ok"] - PAGES)
    return lost, twice


def report(
    times: dict[str, list[float]], cancels: list[float], lost: int, twice: int, held: int, num_jobs: int
) -> None:
    rows: list[list[object]] = [
        [kind, len(found), f"{percentile(found, 0.5):.1f}", f"{percentile(found, 0.95):.1f}", f"{max(found):.1f}"]
        for kind, found in times.items()
    ]
    lines = table(["killed", "times", "recovery p50, s", "p95, s", "longest, s"], rows)
    lines += [
        "",
        f"Kills: {sum(map(len, times.values()))} during {num_jobs} jobs of {PAGES} pages.",
        f"Pages lost: {lost}. Pages counted twice: {twice}. Pages held by two processes at once: {held}.",
        f"Cancel to engine free, {len(cancels)} times: p50 {percentile(cancels, 0.5):.2f} s, "
        f"p95 {percentile(cancels, 0.95):.2f} s.",
    ]
    publish("recovery", "Recovery from kills", lines)


if __name__ == "__main__":
    main()
