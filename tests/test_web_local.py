"""`pagefan demo` and `pagefan up` as a person runs them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest
from conftest import hearing_ctrl_c, is_alive, plain_env

from web.stack.redis_server import free_port

COMMAND = [sys.executable, "-m", "web.cli"]
ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.e2e


def local_env(tmp_path: Path, **settings: object) -> dict[str, str]:
    env = plain_env(engine="echo", web_port=free_port("127.0.0.1"), flower_port=free_port("127.0.0.1"), **settings)
    return env | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path), "COLUMNS": "200"}


def start_up(tmp_path: Path) -> subprocess.Popen[str]:
    command = [*COMMAND, "up"]
    with hearing_ctrl_c():
        return subprocess.Popen(
            command,
            cwd=tmp_path,
            env=local_env(tmp_path),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def test_program_hears_ctrl_c_where_the_tests_are_deaf_to_it() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with hearing_ctrl_c():
            process = subprocess.Popen(
                [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == -signal.SIGINT


def test_demo_converts_the_sample_and_leaves_no_process(tmp_path: Path) -> None:
    run = subprocess.run(
        [*COMMAND, "demo"], cwd=tmp_path, env=local_env(tmp_path), capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stdout + run.stderr
    result = tmp_path / "demo-output" / "sample.md"
    text = result.read_text()
    assert str(result) in run.stdout
    assert all(line.strip() in run.stdout for line in text.splitlines()[:5])
    for number in range(1, 7):
        assert re.search(rf"^page {number}: (ok|blank)", run.stdout, re.MULTILINE)
    assert re.search(r"^Pagefan +http://127\.0\.0\.1:\d+", run.stdout, re.MULTILINE)
    assert re.search(r"^Flower +http://127\.0\.0\.1:\d+", run.stdout, re.MULTILINE)
    assert [path.name for path in tmp_path.iterdir()] == ["demo-output"]


def test_demo_of_the_vlm_engine_brings_its_own_model(tmp_path: Path) -> None:
    env = local_env(tmp_path) | {"ENGINE": "vlm"}
    run = subprocess.run([*COMMAND, "demo"], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=240)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "A morning at the harbour" in (tmp_path / "demo-output" / "small-page.md").read_text()


def test_up_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    with start_up(tmp_path) as up:
        assert up.stdout is not None
        url = next(found[1] for line in up.stdout if (found := re.match(r"Pagefan +(http\S+)", line)))
        family = psutil.Process(up.pid).children(recursive=True)
        assert json.loads(httpx.get(f"{url}/readyz").text)["status"] == "ready"
        up.send_signal(signal.SIGINT)
        up.stdout.read()
    assert up.returncode == 0
    assert not [process for process in family if is_alive(process)]


def test_up_that_is_stopped_while_it_starts_leaves_no_process(tmp_path: Path) -> None:
    with start_up(tmp_path) as up:
        deadline = time.monotonic() + 30
        while len(family := psutil.Process(up.pid).children(recursive=True)) < 4:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        up.terminate()
        assert up.stdout is not None
        up.stdout.read()
    assert up.returncode == 0
    assert not [process for process in family if is_alive(process)]
