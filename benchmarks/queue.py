"""What the queue costs: CPU milliseconds a page of the whole service, beside Celery's floor and the bare work.

    python -m benchmarks.queue [--pages 1000] [--rounds 5]

The service reads small pages with the `echo` engine, so that next to nothing is drawn or read; its cost is that of all
its processes, Redis too, from the upload to the result. The floor is a chord of two-task chains that do nothing, on the
same Redis (`benchmarks.celery_floor`), with what its sender costs. The bare work is a loop that prepares and reads the
same pages in one process. They take turns, and what counts is their ratio: a busy machine makes all of them dearer.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks import celery_floor
from benchmarks.charts import bars
from benchmarks.figures import Figure, Measured, keep
from benchmarks.report import table
from benchmarks.stacks import SMALL_PAGES, running
from benchmarks.usage import cpu_by_process, cpu_seconds, difference, total
from tests.services import Service, make_pdf
from workers.documents.kinds import DocumentLimits
from workers.documents.pages import prepare_page
from workers.engines import Control, PageRequest
from workers.engines.echo import EchoEngine, EchoOptions

BASE = 3.5  # times the floor that the service cost when this was first measured, 2026-11-30
MOST = 1.1  # of that


@dataclass(slots=True)
class Rounds:
    """CPU milliseconds a page, a value a round."""

    service: list[dict[str, float]] = field(default_factory=list)  # by process
    floor: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)

    def ratios(self) -> list[float]:
        return [sum(parts.values()) / floor for parts, floor in zip(self.service, self.floor, strict=True)]


def through_service(service: Service, data: bytes, num_pages: int) -> dict[str, float]:
    before = cpu_by_process(service.stack)
    job = service.wait(service.submit(data), 900)
    assert job["state"] == "succeeded", job
    spent = difference(before, cpu_by_process(service.stack))
    return {name: 1000 * seconds / num_pages for name, seconds in spent.items()}


def through_floor(workers: Sequence[int], redis: int, num_pages: int) -> float:
    before, own = total(workers) + cpu_seconds(redis), time.process_time()
    celery_floor.run(num_pages)
    return 1000 * (total(workers) + cpu_seconds(redis) - before + time.process_time() - own) / num_pages


def bare_work(data: bytes, num_pages: int) -> float:
    options = EchoOptions(max_dimension=int(SMALL_PAGES["VLM_MAX_DIMENSION"]))
    engine = EchoEngine(options)
    with tempfile.NamedTemporaryFile(suffix=".pdf") as file:
        Path(file.name).write_bytes(data)
        started = time.process_time()
        for index in range(num_pages):
            request = PageRequest(page_number=index + 1)
            page = prepare_page(
                file.name, index, engine="echo", options=options, request=request, limits=DocumentLimits()
            )
            engine.generate([engine.unpack(page.packed or page.png, request)], Control())
        return 1000 * (time.process_time() - started) / num_pages


def run_rounds(num_pages: int, num_rounds: int) -> Rounds:
    rounds = Rounds()
    with running(SMALL_PAGES) as service:
        service.wait(service.submit(make_pdf(64)))
        redis = service.stack.processes["redis"].pid
        with celery_floor.workers(service.stack.redis_url) as workers:
            celery_floor.run(64)
            for number in range(num_rounds):
                data = make_pdf(num_pages, first=1 + 100_000 * number)
                rounds.service.append(through_service(service, data, num_pages))
                rounds.floor.append(through_floor(workers, redis, num_pages))
                rounds.bare.append(bare_work(data, num_pages))
    return rounds


def report(rounds: Rounds, num_pages: int) -> Measured:
    parts = {name: median(each[name] for each in rounds.service) for name in rounds.service[0]}
    floor, bare, ratio = median(rounds.floor), median(rounds.bare), median(rounds.ratios())
    whole = sum(parts.values())
    figure = Figure(
        what="Queue: CPU of all processes a page with `echo`, against Celery's floor",
        target=f"≤ {MOST * BASE:.2f} ×",
        measured=f"{ratio:.2f} × ({whole:.1f} ms)",
        is_met=ratio <= MOST * BASE,
        limit=f"{floor:.1f} ms Celery + {bare:.1f} ms bare work",
    )
    rows = [
        [number + 1, f"{sum(each.values()):.1f}", f"{lowest:.1f}", f"{work:.1f}", f"{times:.2f}"]
        for number, (each, lowest, work, times) in enumerate(
            zip(rounds.service, rounds.floor, rounds.bare, rounds.ratios(), strict=True)
        )
    ]
    lines = table(["round", "service, CPU ms a page", "Celery's floor", "bare work", "service / floor"], rows)
    lines += ["", *table(["process", "CPU ms a page"], [[name, f"{value:.2f}"] for name, value in parts.items()])]
    lines += ["", f"Medians of {len(rounds.floor)} rounds of {num_pages} pages of 256 px."]
    chart = bars(
        "CPU milliseconds a page: the queue",
        [("Pagefan, echo", parts), ("Celery's floor", {"floor": floor}), ("bare work, no queue", {"bare": bare})],
        unit="CPU ms a page, all processes",
    )
    return Measured(title="What the queue costs", figures=[figure], lines=lines, charts={"queue": chart})


def measure(is_short: bool) -> Measured:
    num_pages, num_rounds = (200, 2) if is_short else (1000, 5)
    return report(run_rounds(num_pages, num_rounds), num_pages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    keep("queue", report(run_rounds(args.pages, args.rounds), args.pages))


if __name__ == "__main__":
    main()
