"""One process of the local stack: its command, its process group and its log file."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from workers.private import UMASK, opener

STEADY_S = 60.0  # a child that lived this long starts its back-off anew
LONGEST_PAUSE_S = 30.0
MOST_LOG = 10 << 20  # bytes of one log file
KEPT_LOGS = 3  # older ones of each process


def copy_end(source: Path, target: Path) -> None:
    """Copy the last MOST_LOG bytes."""
    with source.open("rb") as log, open(target, "wb", opener=opener) as out:
        log.seek(-min(MOST_LOG, source.stat().st_size), os.SEEK_END)
        out.write(log.read(MOST_LOG))


class Guard:
    """The process that ends the children when this one dies without doing so; see web/stack/guard.py."""

    def __init__(self, grace_s: float) -> None:
        script = Path(__file__).with_name("guard.py")
        self.process = subprocess.Popen(
            [sys.executable, "-I", str(script), str(grace_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ValueError):
            self.process.stdin.write(f"{line}\n".encode())
            self.process.stdin.flush()

    def close(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()


class Child:
    """A process that leads a process group of its own, so that all it started can be ended with it."""

    def __init__(self, name: str, command: Sequence[str], environ: Mapping[str, str], log: Path, guard: Guard) -> None:
        self.name = name
        self.command = list(command)
        self.environ = dict(environ)
        self.log = log
        self.guard = guard
        self.num_failures = 0
        self.started_at = 0.0  # time.monotonic()
        self.retry_at = 0.0  # time.monotonic() before which it is not started again; 0 while it runs
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the last start; raises RuntimeError before the first."""
        if self.process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        with open(self.log, "ab", opener=opener) as log:
            self.process = subprocess.Popen(
                self.command,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=UMASK,
            )
        self.guard.tell(f"+{self.pid}")
        self.started_at = time.monotonic()
        self.retry_at = 0.0

    def plan_restart(self) -> float:
        """Note that the process died; the seconds until it is started again, twice as many each time."""
        now = time.monotonic()
        self.num_failures = 1 if now - self.started_at > STEADY_S else self.num_failures + 1
        pause_s = min(LONGEST_PAUSE_S, 0.5 * 2.0 ** (self.num_failures - 1))
        self.end_group()
        self.retry_at = now + pause_s
        return pause_s

    def ask_to_stop(self) -> None:
        """SIGTERM to the leader, which stops what it started in the order it knows."""
        if self.is_running:
            os.kill(self.pid, signal.SIGTERM)

    def wait(self, deadline: float) -> bool:
        """Whether the leader ended before `deadline` of time.monotonic()."""
        if self.process is None:
            return True
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def end_group(self) -> None:
        """SIGKILL to whatever is left of the group, then reap the leader."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        self.guard.tell(f"-{self.pid}")

    def rotate_log(self) -> None:
        """Keep the log and KEPT_LOGS older ones, each of MOST_LOG bytes at most.

        The process goes on writing to the same file, which is copied and emptied: what it writes in that moment may be
        lost, but it needs neither a signal nor a living supervisor to write. On a full disk only the emptying is done.
        """
        if not self.log.exists() or self.log.stat().st_size <= MOST_LOG:
            return
        names = [self.log.with_name(f"{self.log.name}.{number}") for number in range(1, KEPT_LOGS + 1)]
        with contextlib.suppress(OSError):
            for older, newer in zip(names[:0:-1], names[-2::-1], strict=True):
                if newer.exists():
                    newer.replace(older)
            copy_end(self.log, names[0])
        os.truncate(self.log, 0)

    def log_tail(self, num_lines: int = 15) -> str:
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-num_lines:])
