"""Processor time and memory of processes with all that they started."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import psutil

from web.stack.stack import Stack


def family(pid: int) -> list[psutil.Process]:
    """A process and all its descendants; none where it has gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def cpu_seconds(pid: int) -> float:
    """Processor time of a process, of its descendants, and of those that it has waited for."""
    total = 0.0
    for member in family(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(member.cpu_times()[:4])  # user, system, and both of children that have ended
    return total


def rss_mib(pid: int) -> float:
    """Resident memory of a process and its descendants, MiB; pages that they share count in each."""
    total = 0
    for member in family(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += member.memory_info().rss
    return total / 2**20


def cpu_by_process(stack: Stack) -> dict[str, float]:
    """Processor seconds so far of each process of a stack, by its name."""
    return {name: cpu_seconds(child.pid) for name, child in stack.processes.items()}


def difference(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {name: value - before.get(name, 0.0) for name, value in after.items()}


def total(pids: Iterable[int]) -> float:
    """Processor seconds so far of several processes."""
    return sum(map(cpu_seconds, pids))
