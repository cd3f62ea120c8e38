"""A document of 10,000 pages: memory, spool, the join, and a 1-page job that comes in the middle.

    python -m benchmarks.long_job [--pages 10000]

The echo engine takes 0.1 s a batch of 8, as a small GPU would; page images are 256 px, so that rendering on a CPU keeps
up with it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.report import publish, table
from tests.services import ENDED, Service, make_pdf, wait_until
from web.stack.stack import Stack


def rss_mib(pid: int) -> float:
    """Resident memory of a process and its children, MiB."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return float(sum(member.memory_info().rss for member in family)) / 2**20
    return 0.0


def latency(service: Service, times: int = 5) -> float:
    """The middle of several times from submission to the end of a 1-page job, seconds."""
    found = []
    for number in range(times):
        data = make_pdf(1, first=50_000 + number)
        started = time.monotonic()
        service.wait(service.submit(data))
        found.append(time.monotonic() - started)
    return sorted(found)[times // 2]


class Peaks:
    """The largest value seen of each measure, and the value when a tenth of the job was done."""

    def __init__(self, service: Service, job_id: str) -> None:
        self.service, self.job_id = service, job_id
        self.early: dict[str, float] = {}
        self.peak: dict[str, float] = {}

    def look(self) -> None:
        redis, stack = self.service.ledger.redis, self.service.stack
        folder = stack.data_dir / "blobs" / "jobs" / self.job_id / "pages"
        images = list(folder.glob("*.png")) if folder.exists() else []
        values = {"Redis memory, MiB": redis.info("memory")["used_memory"] / 2**20}
        values["page images in the spool"] = float(len(images))
        values |= {f"RSS {name}, MiB": rss_mib(child.pid) for name, child in stack.processes.items()}
        job = self.service.ledger.job(self.job_id)
        if not self.early and job is not None and job.progress >= 0.1:
            self.early = values
        self.peak = {name: max(value, self.peak.get(name, 0.0)) for name, value in values.items()}


def run(service: Service, num_pages: int) -> tuple[Peaks, dict[str, float]]:
    figures: dict[str, float] = {}
    data = make_pdf(num_pages)
    service.wait(service.submit(make_pdf(8)))
    figures["1-page job alone, s"] = latency(service)
    started = time.monotonic()
    job_id = service.submit(data, max_new_tokens="64")
    accepted = time.monotonic()
    wait_until(lambda: service.ledger.pages(job_id), 60, "a page at work")
    figures["first page at work after the upload, s"] = time.monotonic() - accepted
    peaks = Peaks(service, job_id)
    while (job := service.ledger.job(job_id)) is not None and job.state not in ENDED:
        peaks.look()
        if "1-page job in the middle, s" not in figures and job.progress >= 0.5:
            figures["1-page job in the middle, s"] = latency(service)
        time.sleep(1)
    ended = time.monotonic()
    last = max(page_ended_at(service, job_id))
    assert job is not None
    assert job.counts["ok"] == num_pages, job
    figures["whole job, s"] = ended - started
    figures["pages/s"] = num_pages / (ended - started)
    figures["join: last page to finished job, s"] = (job.ended_at or 0) - last
    service.check_complete(job_id, num_pages)
    return peaks, figures


def page_ended_at(service: Service, job_id: str) -> list[float]:
    """When the last pages were written, Unix seconds, by their files."""
    folder = service.stack.data_dir / "blobs" / "jobs" / job_id / "pages"
    return [path.stat().st_mtime for path in sorted(folder.glob("*.json"))[-64:]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=10_000)
    args = parser.parse_args()
    settings: dict[str, Any] = {
        "ENGINE": "echo", "ECHO_SECONDS": "0.1", "VLM_MAX_DIMENSION": "256", "WEB_PORT": "0", "FLOWER_PORT": "0",
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as exits:
        stack = exits.enter_context(
            Stack(dict(os.environ) | settings, Path(folder), counts={"web": 1, "cpu": 1, "gpu": 1, "beat": 1})
        )
        service = Service(stack)
        exits.callback(service.close)
        peaks, figures = run(service, args.pages)
    rows: list[list[object]] = [
        [name, f"{peaks.early.get(name, 0.0):.1f}", f"{value:.1f}"] for name, value in peaks.peak.items()
    ]
    lines = [f"- {name}: {value:.2f}" for name, value in figures.items()]
    ratio = figures["1-page job in the middle, s"] / figures["1-page job alone, s"]
    lines += [f"- 1-page job in the middle / alone: {ratio:.2f}", ""]
    lines += table(["measure", "at 10 % of the job", "peak"], rows)
    publish("long_job", f"A document of {args.pages} pages", lines)


if __name__ == "__main__":
    main()
