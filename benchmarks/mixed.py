"""Short jobs behind a long one: a 1-page job every second while 1,000 pages are read, beside the same when idle.

    python -m benchmarks.mixed [--pages 1000] [--jobs 30]

The `echo` engine takes 0.1 s a batch, as a small GPU would, so that the long job keeps it busy. A job's time is from
the upload to the answer that it has ended. The 1-page jobs that come while the long job runs count, and no others.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from statistics import median

from benchmarks.charts import bars
from benchmarks.figures import Figure, Measured, keep
from benchmarks.report import percentile, table
from benchmarks.stacks import SMALL_PAGES, running
from tests.services import ENDED, Service, make_pdf

PERIOD_S = 1.0
MOST = 2.0
SHARE = 0.95
AT_ONCE = 16
SETTINGS = SMALL_PAGES | {"ECHO_SECONDS": "0.1"}


def time_job(service: Service, number: int) -> float:
    """Seconds from the upload of a 1-page document to its end."""
    data = make_pdf(1, first=900_000 + number)
    started = time.monotonic()
    service.wait(service.submit(data))
    return time.monotonic() - started


def one_a_second(service: Service, goes_on: Callable[[int], bool], first: int) -> list[float]:
    """The times of jobs that are sent a second apart, whether those before have ended or not."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        jobs = []
        for number in count():
            if not goes_on(number):
                break
            jobs.append(threads.submit(time_job, service, first + number))
            time.sleep(PERIOD_S)
        return [job.result() for job in jobs]


def measure_both(num_pages: int, num_jobs: int) -> Measured:
    with running(SETTINGS) as service:
        service.wait(service.submit(make_pdf(64)))
        idle = one_a_second(service, lambda number: number < num_jobs, 0)
        long = service.submit(make_pdf(num_pages, first=100_000))

        def is_running(_: int) -> bool:
            job = service.ledger.job(long)
            return job is not None and job.state not in ENDED

        behind = one_a_second(service, is_running, num_jobs)
    return report(idle, behind, num_pages)


def report(idle: list[float], behind: list[float], num_pages: int) -> Measured:
    alone, late = percentile(idle, SHARE), percentile(behind, SHARE)
    figure = Figure(
        what=f"Mixed: p95 of a 1-page job, one a second, behind {num_pages:,} pages, against idle",
        target=f"≤ {MOST:g} ×",
        measured=f"{late / alone:.2f} × ({late:.2f} s)",
        is_met=late <= MOST * alone,
        limit=f"{alone:.2f} s idle",
    )
    groups = {"idle": idle, f"behind {num_pages:,} pages": behind}
    rows = [
        [name, len(times), f"{median(times):.2f}", f"{percentile(times, SHARE):.2f}", f"{max(times):.2f}"]
        for name, times in groups.items()
    ]
    lines = table(["1-page jobs", "number", "median, s", "p95, s", "longest, s"], rows)
    shown = [
        (f"{name}, {what}", {"": value})
        for name, times in groups.items()
        for what, value in (("median", median(times)), ("p95", percentile(times, SHARE)))
    ]
    chart = bars(
        "A 1-page job, from the upload to its end", shown, unit="seconds", mark=("target of p95", MOST * alone)
    )
    return Measured(title="Short jobs behind a long one", figures=[figure], lines=lines, charts={"mixed": chart})


def measure(is_short: bool) -> Measured:
    return measure_both(*((300, 8) if is_short else (1_000, 30)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=1_000)
    parser.add_argument("--jobs", type=int, default=30, help="1-page jobs while nothing else runs [30]")
    args = parser.parse_args()
    keep("mixed", measure_both(args.pages, args.jobs))


if __name__ == "__main__":
    main()
