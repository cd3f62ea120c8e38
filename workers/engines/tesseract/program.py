"""The program `tesseract`: what it has, and one run of it on one image, which can be stopped at any time.

It is given no file by name and writes none: the image goes in and the text comes out through descriptors. Each run is a
group of processes of its own, so that nothing it started stays when it is stopped, and has a limit of processor time,
should this process die and not stop it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from importlib import import_module
from pathlib import Path

from workers.engines import EngineError, StopReason

POLL_S = 0.05  # how fast a cancellation reaches a run
ASK_TIMEOUT_S = 20.0  # for what takes a hundredth of a second
GRACE_S = 60  # of processor time, past the time a run may take
ALONE = ("env", "OMP_THREAD_LIMIT=1")  # its threads gain little and wait for one another on a busy machine
INSTALL = "apt-get install tesseract-ocr, brew install tesseract"

ShouldStop = Callable[[], StopReason | None]


class Stopped(Exception):
    """A run was stopped, for the reason in `args[0]`."""


class Program:
    """One installation of tesseract. Any number of threads may use it at once."""

    def __init__(self, binary: str, data: str, timeout_s: float) -> None:
        """Raises EngineError where there is none."""
        found = shutil.which(binary)
        if found is None:
            raise EngineError(f"The tesseract engine found no program {binary!r}. Install it ({INSTALL}).")
        self._command = [*ALONE, found]
        self._data = ["--tessdata-dir", data] if data else []
        self._timeout_s = timeout_s
        first = self._ask("--version").splitlines()[:1]
        self.version = re.sub(r"^tesseract\s+v?", "", "".join(first)).strip()

    def languages(self) -> dict[str, int]:
        """The installed languages and scripts, each with the size of its file; 0 where that is not known."""
        head, *names = self._ask("--list-langs").splitlines()
        folder = re.search(r'"(.*)"', head)
        return {name: size_of(Path(folder[1]) / f"{name}.traineddata" if folder else None) for name in names if name}

    def revision(self) -> str:
        """Tells installations apart that may read a page differently."""
        files = sorted(self.languages().items())
        return f"tesseract-{self.version}/{sha256(repr(files).encode()).hexdigest()[:8]}"

    def run(self, arguments: Sequence[str], image: bytes, should_stop: ShouldStop) -> str:
        """What it prints of an image in any format. Raises Stopped; EngineError where it fails."""
        process = start([*self._command, "-", "-", *self._data, *arguments], image)
        try:
            limit_cpu_time(process.pid, self._timeout_s + GRACE_S)
            out, errors = wait_for(process, should_stop, time.monotonic() + self._timeout_s)
        finally:
            end_group(process)
        if process.returncode:
            raise EngineError(f"tesseract failed ({process.returncode}): {last_line(errors)}")
        return out.decode(errors="replace")

    def _ask(self, question: str) -> str:
        command = [*self._command, *self._data, question]
        try:
            done = subprocess.run(command, capture_output=True, timeout=ASK_TIMEOUT_S, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise EngineError(f"tesseract does not answer {question}: {type(exc).__name__}") from exc
        if done.returncode:
            raise EngineError(f"tesseract does not answer {question}: {last_line(done.stderr)}")
        return (done.stdout or done.stderr).decode(errors="replace")


def start(command: Sequence[str], given: bytes) -> subprocess.Popen[bytes]:
    """The process, with `given` on its standard input: in a file without a name, which needs no thread to feed it."""
    with tempfile.TemporaryFile() as file:
        file.write(given)
        file.seek(0)
        try:
            return subprocess.Popen(
                command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
            )
        except OSError as exc:
            raise EngineError(f"tesseract could not be started: {exc.strerror}") from exc


def wait_for(process: subprocess.Popen[bytes], should_stop: ShouldStop, ends: float) -> tuple[bytes, bytes]:
    """Its output and its complaints, when it has ended; `ends` is a time of time.monotonic()."""
    while True:
        try:
            return process.communicate(timeout=POLL_S)
        except subprocess.TimeoutExpired:
            if reason := should_stop() or ("timeout" if time.monotonic() > ends else None):
                raise Stopped(reason) from None


def limit_cpu_time(pid: int, seconds: float) -> None:
    """Linux only; elsewhere a run whose parent dies ends with its page."""
    if sys.platform == "linux":
        limits = import_module("resource")
        with contextlib.suppress(ProcessLookupError):
            limits.prlimit(pid, limits.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 1))


def end_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to all that is left of the run, and give back its pipes."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in filter(None, (process.stdout, process.stderr)):
        pipe.close()


def size_of(path: Path | None) -> int:
    return path.stat().st_size if path and path.is_file() else 0


def last_line(errors: bytes) -> str:
    lines = errors.decode(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else "it does not say why"
