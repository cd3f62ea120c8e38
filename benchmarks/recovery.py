"""How fast what killed processes did is done elsewhere, by kind, and whether a page is lost or counted twice.

    python -m benchmarks.recovery [--kills 90] [--cancels 20] [--gpu-workers 1 2]

For each number of GPU workers, with as many CPU workers, a stack as `pagefan up` starts it is under steady load. Every
kind of process is killed with SIGKILL, each round of kinds in an order of its own, when all workers are at work; the
supervisor starts again what died. Recovery is the time from the kill until every page that was at work has ended; for
the web server also until it answers, for beat also until it has sent the reconciler out again.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import redis

from benchmarks.report import percentile, publish, table
from tests.services import ENDED, Service, make_pdf, wait_until
from web.stack.stack import Stack

PAGES = 400
SETTINGS = {
    "ENGINE": "echo", "ECHO_SECONDS": "0.2", "GPU_BATCH_PAGES": "4", "RENDER_PROCESSES": "1", "WEB_PORT": "0",
    "FLOWER_PORT": "0", "KEEP_PAGE_IMAGES": "0", "PAGE_CACHE_MB": "0",
}  # fmt: skip


KILLS: dict[str, Callable[[Service], None]] = {
    "render process": lambda service: service.kill_child("cpu"),
    "CPU worker": lambda service: service.stack.kill("cpu"),
    "CPU host": lambda service: service.kill_host("cpu"),
    "model process": lambda service: service.kill_child("gpu"),
    "GPU worker": lambda service: service.stack.kill("gpu"),
    "GPU host": lambda service: service.kill_host("gpu"),
    "Redis": lambda service: service.stack.kill("redis"),
    "web": lambda service: service.stack.kill("web"),
    "beat": lambda service: service.stack.kill("beat"),
}


def at_work(service: Service, job_id: str) -> list[int]:
    return [page.index for page in service.ledger.pages(job_id) if not page.has_ended]


def has_ended(service: Service, job_id: str, indexes: list[int]) -> bool:
    try:
        return all(page and page.has_ended for page in service.ledger.pages_at(job_id, indexes))
    except redis.RedisError:
        return False


def is_whole(service: Service) -> bool:
    """Whether every GPU worker generates pages, and every CPU worker has a render process."""
    names = [name for name in service.stack.processes if name.startswith(("cpu", "gpu"))]
    claims = service.ledger.redis.scan_iter("pf:claim:*", count=1000)
    tokens = [token for claim in claims if (token := service.ledger.redis.get(claim))]
    owners = {int(token.split(":")[1]) for token in tokens}
    children = {name: service.children(name) for name in names}
    return service.stack.is_ready() and all(
        any(child.pid in owners for child in children[name]) if name.startswith("gpu") else children[name]
        for name in names
    )


def is_serving(service: Service) -> bool:
    try:
        return service.http.get("/../../healthz").status_code == 200
    except httpx.TransportError:
        return False


def reconciles(service: Service) -> Callable[[], bool]:
    """Says whether the reconciler has run since this call, by its own mark, which lives shorter than its period."""
    key, seen = "pf:reconciling", [False]

    def has_run() -> bool:
        is_there = bool(service.ledger.redis.exists(key))
        seen[0] = seen[0] or not is_there
        return seen[0] and is_there

    return has_run


def measure_kill(service: Service, job_id: str, kind: str) -> float:
    """Seconds until all pages that were at work at the kill have ended, and web and beat work again."""
    wait_until(lambda: is_whole(service), 60, "every worker at work")
    time.sleep(random.random() / 2)
    pages = wait_until(lambda: at_work(service, job_id), 30, "pages at work")
    works = {"web": lambda: is_serving(service), "beat": reconciles(service)}.get(kind, lambda: True)
    for child in service.stack.processes.values():
        child.num_failures = 0  # one kill at a time: the supervisor knows of none before
    started = time.monotonic()
    KILLS[kind](service)
    wait_until(lambda: has_ended(service, job_id, pages) and works(), 60, f"recovery of the {kind}")
    return time.monotonic() - started


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
    parser.add_argument("--kills", type=int, default=90)
    parser.add_argument("--cancels", type=int, default=20)
    parser.add_argument("--gpu-workers", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args()
    lines: list[str] = []
    for number in args.gpu_workers:
        with running_service(number) as service:
            times, jobs = kill_all(service, args.kills)
            cancels = [measure_cancel(service) for _ in range(args.cancels)]
            lost, twice = account(service, jobs)
            held = service.ledger.redis.hget("pf:metrics", '["claims_lost", "", []]') or 0
        lines += describe(number, times, cancels, lost, twice, int(float(held)), len(jobs))
    publish("recovery", "Recovery from kills", lines)


@contextlib.contextmanager
def running_service(num_workers: int) -> Iterator[Service]:
    """A stack with so many CPU and GPU workers, and its supervisor."""
    counts = {"web": 1, "cpu": num_workers, "gpu": num_workers, "beat": 1}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as exits:
        stack = exits.enter_context(Stack(dict(os.environ) | SETTINGS, Path(folder), counts=counts))
        supervisor = threading.Thread(target=stack.supervise)
        supervisor.start()
        exits.callback(supervisor.join)
        exits.callback(stack.stopping.set)
        service = Service(stack)
        exits.callback(service.close)
        yield service


def kill_all(service: Service, num_kills: int) -> tuple[dict[str, list[float]], list[str]]:
    times: dict[str, list[float]] = defaultdict(list)
    jobs = [service.submit(make_pdf(PAGES))]
    kinds = [kind for _ in range(num_kills // len(KILLS)) for kind in random.sample(list(KILLS), len(KILLS))]
    for kind in kinds:
        job = service.ledger.job(jobs[-1])
        if job is None or job.state in ENDED or job.counts["queued"] < PAGES // 2:
            wait_until(lambda: is_serving(service), 30, "the web server")
            jobs.append(service.submit(make_pdf(PAGES)))
            wait_until(lambda: at_work(service, jobs[-1]), 30)
        times[kind].append(measure_kill(service, jobs[-1], kind))
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


def describe(
    num_workers: int, times: dict[str, list[float]], cancels: list[float], lost: int, twice: int, held: int, jobs: int
) -> list[str]:
    rows: list[list[object]] = [
        [kind, len(times[kind]), *(f"{seconds:.1f}" for seconds in spread(times[kind]))] for kind in KILLS
    ]
    every = [seconds for found in times.values() for seconds in found]
    return [
        f"## With {num_workers} GPU worker{'s' if num_workers > 1 else ''} and as many CPU workers",
        "",
        *table(["killed", "times", "recovery p50, s", "p95, s", "longest, s"], rows),
        "",
        f"Kills: {len(every)} during {jobs} jobs of {PAGES} pages; the slowest recovery took {max(every):.1f} s.",
        f"Pages lost: {lost}. Pages counted twice: {twice}. Pages held by two processes at once: {held}.",
        f"Cancel to engine free, {len(cancels)} times: p50 {percentile(cancels, 0.5):.2f} s, "
        f"p95 {percentile(cancels, 0.95):.2f} s.",
        "",
    ]


def spread(values: list[float]) -> tuple[float, float, float]:
    return percentile(values, 0.5), percentile(values, 0.95), max(values)


if __name__ == "__main__":
    main()
