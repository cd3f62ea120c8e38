"""What our processes ask of the machine they run on."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent is gone, even if it is stuck; end now if it is. Linux only."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it died before the call above
        os._exit(1)


def num_cores() -> int:
    """Cores that this process may use, which are fewer than the machine's under an affinity mask."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def num_gpus() -> int:
    """NVIDIA GPUs, as far as the driver's device files tell; nothing here imports torch."""
    return len(list(Path("/dev").glob("nvidia[0-9]*")))


def memory_mb() -> int:
    """MiB of memory that this process has; elsewhere than on Linux, that it had at most."""
    if sys.platform == "linux":
        resident = int(Path("/proc/self/statm").read_text().split()[1])  # pages of memory
        return resident * os.sysconf("SC_PAGE_SIZE") >> 20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 20


def process_facts() -> dict[str, Any]:
    """What a worker tells of where it runs: its machine or container, its process, the MiB of memory that it has."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "memory_mb": memory_mb()}
