"""The frame of a benchmark: a process like an engine's, and figures printed and written with their machine."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tasks.marks import KEEP_MEMORY

RESULTS = Path(__file__).parent / "results"


def machine() -> str:
    """Processor, cores and memory of this machine, in words."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} cores, {memory_gib:.0f} GiB, Python {platform.python_version()}"


def be_engine_process() -> None:
    """Begin again unless this process keeps its memory as an engine's does; glibc reads that at the start only."""
    if not KEEP_MEMORY.items() <= os.environ.items():
        os.execve(sys.executable, sys.orig_argv, os.environ | KEEP_MEMORY)


def publish(name: str, title: str, lines: list[str]) -> None:
    """Print the figures and write them to `benchmarks/results/{name}.md`."""
    head = [f"# {title}", "", f"{datetime.now(UTC):%Y-%m-%d} on {machine()}.", ""]
    text = "\n".join([*head, *lines]) + "\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text)
    print(text)  # noqa: T201


def table(header: list[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A Markdown table."""
    lines: list[Sequence[object]] = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(map(str, line)) + " |" for line in lines]


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the sorted values lie; nan for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
