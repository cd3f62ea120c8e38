"""Documents of 10 to 10,000 pages: cost a page, the first text, the join, and memory.

    python -m benchmarks.scale [--pages 10 100 1000 10000]

The `echo` engine reads small pages, so that what is seen is the queue. The join is the time from the last page's text
to the job's end, with its result written. Redis is asked once a second for the memory of its data, and processes for
their resident memory; page images are counted in the folder of the job.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.charts import bars
from benchmarks.figures import Figure, Measured, keep
from benchmarks.report import table
from benchmarks.stacks import SMALL_PAGES, running
from benchmarks.usage import cpu_by_process, difference, rss_mib
from tests.services import ENDED, Service, make_pdf

SIZES = (10, 100, 1_000, 10_000)
LOOK_S = 1.0
FIRST_LOOK_S = 0.02
JOIN_S = 1.0
GROWTH = 1.25  # a page of the longest document may cost this many times one of the document of 100
TIMEOUT_S = 3600.0


@dataclass(slots=True)
class Long:
    """One document of `num_pages`: seconds, CPU milliseconds a page, MiB at the most."""

    num_pages: int
    seconds: float = 0.0
    first_text_s: float = 0.0
    join_s: float = 0.0
    cpu_ms: float = 0.0
    redis_mib: float = 0.0
    images: int = 0
    rss_mib: dict[str, float] = field(default_factory=dict)

    def cells(self) -> list[str]:
        head = [f"{self.num_pages:,}", f"{self.cpu_ms:.1f}", f"{self.num_pages / self.seconds:.1f}"]
        times = [f"{self.first_text_s:.2f}", f"{self.join_s:.2f}"]
        return [*head, *times, f"{self.redis_mib:.1f}", str(self.images), f"{sum(self.rss_mib.values()):.0f}"]


def measure_document(service: Service, num_pages: int, first: int) -> Long:
    """`first` is the number on the first page, so that no two documents have a page in common."""
    found, data = Long(num_pages), make_pdf(num_pages, first=first)
    before, started = cpu_by_process(service.stack), time.monotonic()
    job_id = service.submit(data)
    folder = service.stack.data_dir / "blobs" / "jobs" / job_id / "pages"
    found.first_text_s = wait_for_text(folder, started)
    while (job := service.ledger.job(job_id)) is not None and job.state not in ENDED:
        look(service, folder, found)
        service.http.get(f"/jobs/{job_id}", params={"wait": f"{LOOK_S:g}"})
    assert job is not None
    assert job.counts["ok"] == num_pages, job
    found.seconds = time.monotonic() - started
    found.join_s = (job.ended_at or 0.0) - max(path.stat().st_mtime for path in folder.glob("*.json"))
    found.cpu_ms = 1000 * sum(difference(before, cpu_by_process(service.stack)).values()) / num_pages
    look(service, folder, found)
    service.check_complete(job_id, num_pages)
    return found


def wait_for_text(folder: Path, started: float) -> float:
    """Seconds from the upload until the first page's text is stored."""
    while not any(folder.glob("*.json")):
        if time.monotonic() - started > TIMEOUT_S:
            raise TimeoutError("no page was read")
        time.sleep(FIRST_LOOK_S)
    return time.monotonic() - started


def look(service: Service, folder: Path, found: Long) -> None:
    memory = service.ledger.redis.info("memory")["used_memory"] / 2**20
    found.redis_mib = max(found.redis_mib, memory)
    found.images = max(found.images, sum(1 for _ in folder.glob("*.png")))
    for name, child in service.stack.processes.items():
        found.rss_mib[name] = max(found.rss_mib.get(name, 0.0), rss_mib(child.pid))


def measure_sizes(sizes: Sequence[int]) -> Measured:
    with running(SMALL_PAGES | {"KEEP_PAGE_IMAGES": "0"}) as service:
        service.wait(service.submit(make_pdf(64)))
        found = [measure_document(service, size, 1_000 + sum(sizes[:place])) for place, size in enumerate(sizes)]
    return report(found)


def report(found: Sequence[Long]) -> Measured:
    last, middle = found[-1], found[min(1, len(found) - 1)]
    growth = last.cpu_ms / middle.cpu_ms
    figures = [
        Figure(
            what=f"Scale: CPU a page of {last.num_pages:,} pages, against one of {middle.num_pages:,}",
            target=f"≤ {GROWTH:g} ×",
            measured=f"{growth:.2f} × ({last.cpu_ms:.1f} ms)",
            is_met=growth <= GROWTH,
            limit="1 ×",
        ),
        Figure(
            what=f"Scale: join, from the last page to the result of {last.num_pages:,} pages",
            target=f"≤ {JOIN_S:g} s",
            measured=f"{last.join_s:.2f} s",
            is_met=last.join_s <= JOIN_S,
        ),
        Figure(
            what=f"Scale: first text of {last.num_pages:,} pages",
            measured=f"{last.first_text_s:.2f} s",
            limit=f"{found[0].first_text_s:.2f} s of {found[0].num_pages} pages",
        ),
        Figure(
            what=f"Scale: Redis and all processes at {last.num_pages:,} pages",
            measured=f"{last.redis_mib:.0f} MiB and {sum(last.rss_mib.values()):.0f} MiB",
            limit=f"{found[0].redis_mib:.0f} and {sum(found[0].rss_mib.values()):.0f} MiB at {found[0].num_pages}",
        ),
    ]
    header = ["pages", "CPU ms a page", "pages/s", "first text, s", "join, s", "Redis, MiB", "images", "processes, MiB"]
    lines = table(header, [each.cells() for each in found])
    names = list(last.rss_mib)
    lines += ["", *table(["pages", *(f"RSS {name}, MiB" for name in names)], [memory_row(e, names) for e in found])]
    lines += [
        "",
        "Memory and images are the most seen at any look; resident memory counts what processes share in each.",
    ]
    rows = [(f"{each.num_pages:,} pages", {"": each.cpu_ms}) for each in found]
    chart = bars("CPU milliseconds a page, by the length of the document", rows, unit="CPU ms a page, all processes")
    return Measured(title="Long documents", figures=figures, lines=lines, charts={"scale": chart})


def memory_row(found: Long, names: Sequence[str]) -> list[str]:
    return [f"{found.num_pages:,}", *(f"{found.rss_mib[name]:.0f}" for name in names)]


def measure(is_short: bool) -> Measured:
    return measure_sizes((10, 100, 500) if is_short else SIZES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, nargs="+", default=list(SIZES))
    keep("scale", measure_sizes(parser.parse_args().pages))


if __name__ == "__main__":
    main()
