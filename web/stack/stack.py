"""The local stack: Redis, web, workers, beat and Flower as child processes of one supervisor.

The commands come from `Procfile`. Each child has its own process group and its log in `data/logs`; one that
dies is started again, and all of them end with the supervisor.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from tasks.generate.failure import NEVER_LOADS, forget_workers
from tasks.settings import load_settings
from tasks.standstill import NO_WORKER
from web.stack.child import Child, Guard
from web.stack.environ import (
    StackError,
    child_env,
    choose_ports,
    commands_of,
    gpu_share,
    is_engine,
    kind_of,
    num_gpu_workers,
    port_taken,
)
from web.stack.readiness import ask
from web.stack.redis_server import answers, find_redis_server, own_redis
from workers import private

logger = logging.getLogger(__name__)

READY_TIMEOUT_S = 600.0  # a GPU worker may load a large model first
STOP_TIMEOUT_S = 10.0
START_TRIES = 3  # a process that ended so often while the stack starts will not start
STOP_ORDER = (
    ("beat", "flower", "web"),
    ("cpu", "gpu"),
    ("redis",),
)  # what brings work, what does it, the queue


class StackStopped(StackError):
    """The stack was told to stop before it was ready."""


class Stack:
    """All of Pagefan on this machine, with its data, logs and Redis file in `data_dir`.

    `environ` is what a user set; the children get it with the ports and addresses that were chosen. `counts` says how
    many of a kind to start, by default one of each in the Procfile, of GPU workers GPU_WORKERS or as many as suit the
    machine. A second of a kind is `cpu2`.
    """

    def __init__(self, environ: Mapping[str, str], data_dir: Path, *, counts: Mapping[str, int] | None = None) -> None:
        self.settings = load_settings(environ)
        self.data_dir = data_dir.resolve()
        self.given_redis_url = environ.get("REDIS_URL", "")
        self.given_path = environ.get("PATH", os.defpath)
        self.commands = commands_of(self.settings)
        default = {kind: num_gpu_workers(self.settings) if kind == "gpu" else 1 for kind in self.commands}
        self.counts = dict(default if counts is None else counts)
        self.env = child_env(environ, self.settings, self.data_dir)
        self.processes: dict[str, Child] = {}
        self.stopping = threading.Event()
        self._ended = threading.Event()
        self._changes = threading.RLock()
        self._guard: Guard | None = None
        self._said: set[str] = set()  # what was wrong with GPU workers
        self._lock = FileLock(self.data_dir / "stack.lock", mode=private.FILE)

    @property
    def base_url(self) -> str:
        host = self.settings.web_host
        return f"http://{'127.0.0.1' if host in ('', '0.0.0.0') else host}:{self.env['WEB_PORT']}"

    @property
    def flower_url(self) -> str:
        """Where Flower listens; empty where none was started."""
        return f"http://127.0.0.1:{self.env['FLOWER_PORT']}" if self.counts.get("flower") else ""

    @property
    def redis_url(self) -> str:
        return self.env["REDIS_URL"]

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start every process; return when the web server, if there is one, says that both queues are served.

        A process that ends meanwhile is started again after a pause, and the others go on. Raises StackError naming the
        one that does not start, the reason and the end of its log; NoRedis without a Redis.
        """
        begun = time.monotonic()
        private.make_folder(self.data_dir / "logs")
        try:
            self._lock.acquire(timeout=0)
        except Timeout as exc:
            raise StackError(f"another stack runs in {self.data_dir}; stop it or choose another folder") from exc
        private.close(self.data_dir)
        self._guard = Guard(STOP_TIMEOUT_S)
        if not self.settings.flower_port:
            self.counts.pop("flower", None)
        self.env |= choose_ports(self.settings, self.env, has_flower=bool(self.counts.get("flower")))
        self._start_redis()
        for kind, count in self.counts.items():
            for number in range(1, count + 1):
                self._add(kind if number == 1 else f"{kind}{number}", self._shell(kind))
        if self.counts.get("web"):
            self._wait("the web server and a worker on each queue", self.is_ready, every_s=0.25)
        logger.info("ready after %.1f s: %s", time.monotonic() - begun, self.base_url)

    def stop(self) -> None:
        """End all processes, those that bring work first, Redis last; kill what does not stop in time."""
        self.stopping.set()
        with self._changes:
            for kinds in STOP_ORDER:
                group = [item for name, item in self.processes.items() if kind_of(name) in kinds]
                is_worker = "gpu" in kinds
                self._stop_children(group, self.settings.shutdown_grace_s if is_worker else STOP_TIMEOUT_S)
            self.processes.clear()
        if self._guard:
            self._guard.close()
        self._lock.release()
        self._ended.set()

    def supervise(self) -> None:
        """Start again what dies, until `stop` has ended everything or `stopping` is set by a signal."""
        while not self.stopping.wait(0.2):
            with self._changes:
                for child in self.processes.values():
                    if not self.stopping.is_set():
                        child.revive()

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to one process, not to its children; returns at once."""
        os.kill(self.processes[name].pid, number)

    def restart(self, name: str) -> None:
        """End what is left of one process and start it again; returns at once."""
        with self._changes:
            child = self.processes[name]
            self._stop_children([child], STOP_TIMEOUT_S)
            child.start()

    def is_ready(self) -> bool:
        """Whether /readyz says so; raises StackError where it says that the engine cannot ever be loaded."""
        missing = ask(self.base_url)
        for kind in filter(is_engine, self.counts):
            trouble = (missing or {}).get(f"{kind}_worker", "")
            if NEVER_LOADS in trouble:
                raise self._failure(self.processes[kind], trouble)
            if trouble not in ("", NO_WORKER, *self._said):
                logger.info("not ready yet, %s workers: %s", kind, trouble)
                self._said.add(trouble)
        return missing == {}

    def _share(self, name: str) -> dict[str, str]:
        """What one of several GPU workers gets of the machine."""
        if not is_engine(name) or "-" in name:
            return {}
        may_use_gpu = self.settings.device in ("auto", "cuda")
        return gpu_share(int(name[3:] or 1), self.counts.get("gpu", 0), self.env, may_use_gpu=may_use_gpu)

    def _start_redis(self) -> None:
        if self.given_redis_url and answers(self.given_redis_url):
            logger.info("using the Redis at REDIS_URL")
            return
        server = find_redis_server(self.given_path)
        if self.given_redis_url:
            logger.warning("the Redis at REDIS_URL does not answer; starting %s instead", server)
        self.env["REDIS_URL"], command = own_redis(server, self.data_dir / "redis")
        self._add("redis", command)
        self._wait(str(server), lambda: answers(self.redis_url), every_s=0.02)
        forget_workers(self.redis_url)

    def _shell(self, kind: str) -> list[str]:
        return ["/bin/sh", "-c", f"exec {self.commands[kind]}"]

    def _add(self, name: str, command: list[str]) -> None:
        assert self._guard is not None
        log = self.data_dir / "logs" / f"{name}.log"
        environ = self.env | self._share(name) | {"PROCESS_NAME": name}
        child = Child(name, command, environ, log, self._guard)
        with self._changes:
            self.processes[name] = child
            child.try_to_start()

    def _wait(self, what: str, is_done: Callable[[], bool], every_s: float) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not is_done():
            with self._changes:
                for child in self.processes.values():
                    child.revive()
                    if reason := self._why_not(child):
                        raise self._failure(child, f"{child.name} ended at its start{reason}")
            if time.monotonic() > deadline:
                raise StackError(f"{what}: not ready in {READY_TIMEOUT_S:g} s; see {self.data_dir / 'logs'}")
            if self.stopping.wait(every_s):
                raise StackStopped("stopped before it was ready")

    def _why_not(self, child: Child) -> str:
        """Why it makes no sense to start a process again; empty where it may start yet."""
        if child.is_running:
            return ""
        if taken := port_taken(child.name, self.settings, self.env):
            return f": {taken} is taken by another program"
        return f" {child.num_failures} times, at last {child.trouble}" if child.num_failures >= START_TRIES else ""

    def _failure(self, child: Child, what: str) -> StackError:
        return StackError(f"{what}; the end of {child.log}:\n{child.log_tail()}")

    def _stop_children(self, children: list[Child], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        for child in children:
            child.ask_to_stop()
        for child in children:
            if not child.wait(deadline):
                logger.warning("%s did not stop in %.0f s and is killed", child.name, timeout_s)
            child.end_group()
