"""What more cores give: pages/s of the `ocr` engine with 1, 2, 4 ... cores, as far as this machine has them.

    python -m benchmarks.scaling FILE... [--pages 24] [--rounds 3]

Each number of cores is a process of its own that may use no others, and has a thread a core. All numbers take turns, so
that a busy machine hits them alike; processor seconds a page tell what sharing costs even on one that is.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from itertools import takewhile
from pathlib import Path
from statistics import median

from benchmarks.report import publish, table
from workers.documents.kinds import DocumentLimits
from workers.documents.open import render_page
from workers.engines import Control, PageRequest
from workers.engines.ocr.engine import OcrEngine
from workers.engines.ocr.options import OcrOptions
from workers.processes import num_cores

CORES = (1, 2, 4, 8, 16)
LEAST = 0.85  # of linear


def read_pages(files: list[Path], num_pages: int) -> tuple[float, float]:
    """Seconds by the clock and of the processor that a page takes in this process, in batches as the service has."""
    engine = OcrEngine(OcrOptions())
    engine.load()
    images = [render_page(path, 0, spec=engine.image_spec, limits=DocumentLimits()).image for path in files]
    pages = [engine.prepare(images[i % len(images)], PageRequest(page_number=i + 1)) for i in range(num_pages)]
    engine.generate(pages[: engine.max_batch], Control())
    began, began_cpu = time.monotonic(), time.process_time()
    for first in range(0, num_pages, engine.max_batch):
        engine.generate(pages[first : first + engine.max_batch], Control())
    return (time.monotonic() - began) / num_pages, (time.process_time() - began_cpu) / num_pages


def with_cores(cores: int, args: argparse.Namespace) -> tuple[float, float]:
    """The same in a process that may use so many cores."""
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    command = [sys.executable, "-m", "benchmarks.scaling", *map(str, args.files), "--pages", str(args.pages)]
    command += ["--on", ",".join(map(str, allowed))]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(answer[-2]), float(answer[-1])


def main() -> None:
    args = parse_args()
    if args.on:
        os.sched_setaffinity(0, {int(core) for core in args.on.split(",")})
        sys.stdout.write("{} {}\n".format(*read_pages(args.files, args.pages)))
        return
    counts = list(takewhile(lambda cores: cores <= num_cores(), CORES))
    rounds = [[with_cores(cores, args) for cores in counts] for _ in range(args.rounds)]
    clock, cpu = ([median(turn[i][which] for turn in rounds) for i in range(len(counts))] for which in (0, 1))
    rows: list[list[object]] = [
        [cores, f"{1 / clock[i]:.2f}", f"{clock[0] / clock[i] / cores:.2f}", f"{cpu[i]:.2f}", f"{cpu[0] / cpu[i]:.2f}"]
        for i, cores in enumerate(counts)
    ]
    header = ["cores", "pages/s", "of linear", "CPU s a page", "of linear by CPU s"]
    lines = [*table(header, rows), "", f"At least {LEAST} of linear is wanted; medians of {args.rounds} rounds."]
    lines += [f"Load of the machine at the end: {os.getloadavg()[0]:.1f}."]
    publish("scaling", "More cores", lines)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="documents; the first page of each")
    parser.add_argument("--pages", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--on", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
