"""Ends the stack's process groups when the supervisor dies without doing so, even by SIGKILL.

The supervisor starts this file as a script, holds the only write end of its standard input, and writes
`+pgid` for each group it starts and `-pgid` for each that has ended. When the pipe closes, whatever is still
listed is asked to stop and then killed. Standard library only: it must start fast and survive what breaks
the rest.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def end_groups(groups: Iterable[int], grace_s: float) -> None:
    """SIGTERM to each group, then SIGKILL to those that still live after `grace_s` seconds."""
    left = list(groups)
    for group in left:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while (left := [group for group in left if alive(group)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    for group in left:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def watch(lines: Iterable[str]) -> list[int]:
    """Read the supervisor's lines to their end; the groups that were left, the last started first."""
    groups: list[int] = []
    for line in lines:
        group = int(line[1:])
        if line.startswith("+"):
            groups.append(group)
        elif group in groups:
            groups.remove(group)
    return groups[::-1]


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end_groups(watch(sys.stdin), grace_s=float(sys.argv[1]))
