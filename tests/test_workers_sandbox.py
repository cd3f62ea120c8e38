"""The sandbox: limits that hold, and calls that do not disturb each other."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from workers.documents.kinds import DocumentError
from workers.sandbox import sandbox as module
from workers.sandbox.sandbox import Sandbox, SandboxDied, SandboxStopped, SandboxTimeout

ROOT = Path(__file__).parents[1]
PATIENCE_S = 30.0
MEMORY_MB = 256
WARM_VALUE: list[str] = []


# what runs in the sandbox


def square(number: int, *, plus: int = 0) -> int:
    return number * number + plus


def get_pid() -> int:
    return os.getpid()


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def hang_in_c(begun: Path | None = None) -> None:
    """Wait for ever in C with the interpreter lock held, as PyMuPDF does with some files."""
    if begun is not None:
        begun.touch()
    ctypes.PyDLL(None).pause()


def burn() -> None:
    while True:
        pass


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_of_segfault() -> None:
    ctypes.string_at(0)


def leave() -> None:
    sys.exit(3)


def take_memory(megabytes: int) -> int:
    return len(bytearray(megabytes << 20))


def refuse() -> None:
    raise DocumentError("corrupt", "The file is damaged.")


class AwkwardError(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def raise_awkward() -> None:
    raise AwkwardError(1, 2)


def raise_with_lock() -> None:
    raise RuntimeError(threading.Lock())


def surroundings() -> dict[str, Any]:
    return {
        "stdin": os.read(0, 10),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "telemetry": os.environ["ORT_DISABLE_TELEMETRY"],
        "warm": list(WARM_VALUE),
    }


def make_warm() -> None:
    WARM_VALUE.append("warm")


def fail_to_warm_up() -> None:
    raise OSError("no model here")


# the tests


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with closing(Sandbox(2, MEMORY_MB)) as sandbox:
        wait_until(lambda: sandbox._free.qsize() == 2, "start of both processes")
        yield sandbox


def wait_until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_result_comes_from_another_process(sandbox: Sandbox) -> None:
    assert sandbox.run(square, 7, plus=1, timeout_s=PATIENCE_S) == 50
    assert sandbox.run(get_pid, timeout_s=PATIENCE_S) != os.getpid()


def test_many_threads_get_their_own_results(sandbox: Sandbox) -> None:
    with ThreadPoolExecutor(16) as threads:
        results = threads.map(lambda n: sandbox.run(square, n, timeout_s=PATIENCE_S), range(300))
        assert list(results) == [n * n for n in range(300)]


def test_process_stuck_in_c_is_killed_while_another_call_proceeds(sandbox: Sandbox) -> None:
    with ThreadPoolExecutor(1) as threads:
        stuck = threads.submit(sandbox.run, hang_in_c, timeout_s=1.0)
        slowest = 0.0
        while not stuck.done():
            started = time.monotonic()
            sandbox.run(nap, 0.02, timeout_s=PATIENCE_S)
            slowest = max(slowest, time.monotonic() - started)
        with pytest.raises(SandboxTimeout, match="hang_in_c took over 1 s"):
            stuck.result()
    assert slowest < 0.8
    assert {sandbox.run(square, n, timeout_s=PATIENCE_S) for n in range(4)} == {0, 1, 4, 9}


def test_timeout_is_kept(sandbox: Sandbox) -> None:
    started = time.monotonic()
    with pytest.raises(SandboxTimeout):
        sandbox.run(burn, timeout_s=0.5)
    assert 0.5 <= time.monotonic() - started < 3


def test_call_whose_result_is_no_longer_wanted_is_stopped(sandbox: Sandbox) -> None:
    begun = time.monotonic()
    with pytest.raises(SandboxStopped):
        sandbox.run(hang_in_c, timeout_s=PATIENCE_S, should_stop=lambda: time.monotonic() > begun + 0.1)
    assert time.monotonic() - begun < PATIENCE_S / 2
    assert sandbox.run(square, 3, timeout_s=PATIENCE_S) == 9


@pytest.mark.parametrize("function", [kill_itself, die_of_segfault])
def test_death_of_a_process_is_reported_and_repaired(sandbox: Sandbox, function: Callable[[], None]) -> None:
    with pytest.raises(SandboxDied, match=function.__name__):
        sandbox.run(function, timeout_s=PATIENCE_S)
    assert sandbox.run(square, 2, timeout_s=PATIENCE_S) == 4


def test_process_killed_while_idle_costs_no_call() -> None:
    with closing(Sandbox(1, MEMORY_MB)) as sandbox:
        first = sandbox.run(get_pid, timeout_s=PATIENCE_S)
        os.kill(first, signal.SIGKILL)
        assert sandbox.run(get_pid, timeout_s=PATIENCE_S) != first
        second = sandbox.run(get_pid, timeout_s=PATIENCE_S)
        os.kill(second, signal.SIGKILL)
        wait_until(lambda: not is_running(second), "death of the process")
        assert sandbox.run(square, 5, timeout_s=PATIENCE_S) == 25


def test_process_that_stops_taking_work_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Sandbox(1, 500)) as sandbox:
        process = sandbox.run(os.getpid, timeout_s=PATIENCE_S)
        os.kill(process, signal.SIGSTOP)
        monkeypatch.setattr(module, "BEGIN_TIMEOUT_S", 2.0)
        assert sandbox.run(len, bytes(5_000_000), timeout_s=PATIENCE_S) == 5_000_000  # more than the pipe holds
        assert not psutil.pid_exists(process)


def test_memory_beyond_the_limit_is_refused_and_the_process_lives(sandbox: Sandbox) -> None:
    for _ in range(3):
        with pytest.raises(DocumentError) as caught:
            sandbox.run(take_memory, 2 * MEMORY_MB, timeout_s=PATIENCE_S)
        assert caught.value.reason == "too_large"
    assert sandbox.run(take_memory, MEMORY_MB // 2, timeout_s=PATIENCE_S) == MEMORY_MB << 19


def test_error_comes_back_as_it_was_raised(sandbox: Sandbox) -> None:
    with pytest.raises(DocumentError) as caught:
        sandbox.run(refuse, timeout_s=PATIENCE_S)
    assert (caught.value.reason, caught.value.detail) == ("corrupt", "The file is damaged.")
    assert "in refuse" in "".join(caught.value.__notes__)


@pytest.mark.parametrize(
    ("function", "words"),
    [(raise_awkward, "AwkwardError: 1 and 2"), (raise_with_lock, "RuntimeError: <"), (leave, "SystemExit: 3")],
)
def test_error_that_cannot_travel_is_named(sandbox: Sandbox, function: Callable[[], None], words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        sandbox.run(function, timeout_s=PATIENCE_S)


def test_wait_for_a_free_process_does_not_count() -> None:
    with closing(Sandbox(1, MEMORY_MB)) as sandbox, ThreadPoolExecutor(6) as threads:
        naps = [threads.submit(sandbox.run, nap, 0.4, timeout_s=0.9) for _ in range(6)]
        assert [each.result() for each in naps] == [0.4] * 6


def test_process_has_no_input_no_core_dumps_and_no_telemetry() -> None:
    with closing(Sandbox(1, MEMORY_MB, warm_up=make_warm)) as sandbox:
        seen = sandbox.run(surroundings, timeout_s=PATIENCE_S)
    assert seen == {"stdin": b"", "core": (0, 0), "telemetry": "1", "warm": ["warm"]}


def test_failed_warm_up_does_not_stop_the_work() -> None:
    with closing(Sandbox(1, MEMORY_MB, warm_up=fail_to_warm_up)) as sandbox:
        assert sandbox.run(square, 3, timeout_s=PATIENCE_S) == 9


def test_processes_are_replaced_after_so_many_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALLS_PER_PROCESS", 2)
    with closing(Sandbox(1, MEMORY_MB)) as sandbox:
        assert len({sandbox.run(get_pid, timeout_s=PATIENCE_S) for _ in range(6)}) == 3


def test_processes_outlive_the_thread_that_made_the_sandbox() -> None:
    made: list[Sandbox] = []
    maker = threading.Thread(target=lambda: made.append(Sandbox(1, MEMORY_MB)))
    maker.start()
    maker.join()
    with closing(made[0]) as sandbox:
        first = sandbox.run(get_pid, timeout_s=PATIENCE_S)
        caller = threading.Thread(target=sandbox.run, args=(get_pid,), kwargs={"timeout_s": PATIENCE_S})
        caller.start()
        caller.join()
        assert sandbox.run(get_pid, timeout_s=PATIENCE_S) == first


def test_close_ends_the_call_under_way_and_refuses_later_ones(tmp_path: Path) -> None:
    sandbox = Sandbox(1, MEMORY_MB)
    pid = sandbox.run(get_pid, timeout_s=PATIENCE_S)
    with ThreadPoolExecutor(2) as threads:
        begun = tmp_path / "begun"
        calls = [threads.submit(sandbox.run, hang_in_c, begun, timeout_s=PATIENCE_S) for _ in range(2)]
        wait_until(begun.exists, "begin of the call")
        sandbox.close()
        for call in calls:
            with pytest.raises(SandboxDied):
                call.result(timeout=PATIENCE_S)
    with pytest.raises(SandboxDied, match="closed"):
        sandbox.run(square, 2, timeout_s=PATIENCE_S)
    wait_until(lambda: not is_running(pid), "end of the process")


PARENT = """
import sys, threading
from workers.sandbox.sandbox import Sandbox
from tests_functions import get_pid, {function}

if __name__ == "__main__":
    sandbox = Sandbox(1, 256)
    pid = sandbox.run(get_pid, timeout_s=30)
    threading.Thread(target=sandbox.run, args=({function},), kwargs=dict(timeout_s=100), daemon=True).start()
    sys.stdout.write(f"{{pid}}\\n")
    sys.stdout.flush()
    {ending}
"""
FUNCTIONS = """
import ctypes, os
def get_pid(): return os.getpid()
def hang_in_c(): ctypes.PyDLL(None).pause()
def burn():
    while True: pass
"""


def start_parent(folder: Path, function: str, ending: str) -> subprocess.Popen[str]:
    """A program that has a call under way in a sandbox, and prints the pid of the process that does it."""
    (folder / "tests_functions.py").write_text(FUNCTIONS)
    script = folder / "parent.py"
    script.write_text(PARENT.format(function=function, ending=ending))
    env = os.environ | {"PYTHONPATH": f"{ROOT}:{folder}"}
    return subprocess.Popen([sys.executable, str(script)], env=env, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("function", ["hang_in_c", "burn"])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills children with their parent")
def test_no_orphan_is_left_when_the_parent_is_killed(tmp_path: Path, function: str) -> None:
    with start_parent(tmp_path, function, "threading.Event().wait()") as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
    wait_until(lambda: not is_running(pid), "end of the orphan")


def test_program_ends_although_it_did_not_close_its_sandbox(tmp_path: Path) -> None:
    with start_parent(tmp_path, "hang_in_c", "sys.exit(5)") as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert parent.wait(PATIENCE_S) == 5
    wait_until(lambda: not is_running(pid), "end of the process")
