"""One process of the local stack: its command, its process group and its log file."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from workers.private import UMASK, opener

logger = logging.getLogger(__name__)

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
        self.trouble = ""  # what became of it the last time
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
        logger.debug("%s is process %d: %s", self.name, self.pid, shlex.join(self.command))

    def try_to_start(self) -> None:
        """Start it; where the machine refuses, for want of memory or files perhaps, it is tried again later."""
        try:
            self.start()
        except OSError as exc:
            self._plan_restart(f"not started ({exc})")

    def revive(self) -> None:
        """Start it again when it has died and its pause is over; to be called again and again."""
        self.rotate_log()
        if self.is_running:
            return
        if self.process is not None and not self.retry_at:
            if time.monotonic() - self.started_at > STEADY_S:
                self.num_failures = 0
            self.end_group()
            self._plan_restart(f"ended with {self.process.returncode}")
        elif time.monotonic() >= self.retry_at:
            self.try_to_start()

    def _plan_restart(self, trouble: str) -> None:
        """Pause before the next start, twice as long each time."""
        self.trouble = trouble
        self.num_failures += 1
        pause_s = min(LONGEST_PAUSE_S, 0.5 * 2.0 ** (self.num_failures - 1))
        self.retry_at = time.monotonic() + pause_s
        logger.warning("%s: %s; again in %.1f s (log: %s)", self.name, trouble, pause_s, self.log)

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
        lost, but it needs neither a signal nor a living supervisor to write. On a full disk only the emptying is done,
        and where even that is refused, it is tried again at the next call.
        """
        with contextlib.suppress(OSError):
            if self.log.stat().st_size > MOST_LOG:
                self._rotate_log()

    def _rotate_log(self) -> None:
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
