"""A real Flower shows what goes on, changes nothing, and answers only its own pages and names."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from conftest import plain_env
from flower.urls import handlers
from redis import Redis

from tasks.broker import PREFIX
from web.stack.redis_server import free_port

START = [sys.executable, "-m", "web.stack.flower"]
PATTERNS = sorted({entry[0] if isinstance(entry, tuple) else entry.regex.pattern for entry in handlers})
PATHS = [
    re.sub(r"\(\.[+*]\)", "reconcile", pattern.rstrip("$").replace("/?", "")) for pattern in PATTERNS if "/" in pattern
]
TABLE = "/tasks/datatable"


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthcheck").status_code == 200
    except httpx.TransportError:
        return False


def wait_for(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + 60
    while not answers(url):
        assert process.poll() is None, "Flower ended"
        assert time.monotonic() < deadline, "Flower did not start"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def flower(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Flower without a login, started in a folder with a hostile configuration."""
    with Redis.from_url(redis_url) as client:
        client.flushdb()  # tests of other files may have left messages
    folder, port = tmp_path_factory.mktemp("flower"), free_port("127.0.0.1")
    (folder / "flowerconfig.py").write_text("raise SystemExit(9)")
    env = plain_env(redis_url=redis_url, pythonpath=Path(__file__).parents[1])
    arguments = ["--address=127.0.0.1", f"--port={port}", "--inspect-timeout=100"]
    with subprocess.Popen([*START, *arguments], cwd=folder, env=env) as process:
        try:
            wait_for(process, url := f"http://127.0.0.1:{port}")
            yield url
        finally:
            process.terminate()


def queued(redis_url: str) -> int:
    with Redis.from_url(redis_url) as client:
        return sum(1 for key in client.scan_iter(f"{PREFIX}*") if client.type(key) == b"list")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", PATHS)
def test_no_call_changes_anything(flower: str, redis_url: str, method: str, path: str) -> None:
    if method == "POST" and path == TABLE:
        pytest.skip("it only reads")
    body = {"args": ["../../victim", True]}
    for headers in ({}, {"Origin": flower}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "same-origin"}):
        answer = httpx.request(method, flower + path, json=body, headers=headers)
        assert answer.status_code == 403, answer.text
        assert "access-control-allow-origin" not in answer.headers
    assert queued(redis_url) == 0


@pytest.mark.parametrize(
    "path", ["/", "/workers", "/tasks", "/broker", "/api/tasks", "/api/workers", "/metrics", TABLE]
)
def test_it_shows_what_goes_on(flower: str, path: str) -> None:
    query = {"draw": "1", "start": "0", "length": "10", "search[value]": ""}
    query |= {"order[0][column]": "0", "order[0][dir]": "asc", "columns[0][data]": "name"}
    assert httpx.get(flower + path, params=query if path == TABLE else {}).status_code == 200
    if path == TABLE:
        assert httpx.post(flower + path, data=query, headers={"Origin": flower}).status_code == 200


def test_names_that_anybody_may_own_are_refused(flower: str) -> None:
    port = flower.rpartition(":")[2]
    for host in (f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", "evil.example", f"evil.example.:{port}"):
        for path in ("/", "/api/tasks", "/static/js/flower.js"):
            assert httpx.get(flower + path, headers={"Host": host}).status_code == 403
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}", f"flower:{port}"):
        assert httpx.get(flower + "/api/tasks", headers={"Host": host}).status_code == 200


def test_pages_of_other_sites_read_nothing(flower: str) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert httpx.get(f"{flower}/api/tasks", headers=headers).status_code == 403
        assert httpx.post(flower + TABLE, headers=headers).status_code == 403
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert httpx.get(f"{flower}/tasks", headers=link).status_code == 200


def test_with_a_login_it_asks_for_it_and_still_changes_nothing(redis_url: str) -> None:
    port = free_port("127.0.0.1")
    env = plain_env(redis_url=redis_url, flower_basic_auth="me:secret")
    with subprocess.Popen([*START, "--address=127.0.0.1", f"--port={port}"], env=env) as process:
        try:
            wait_for(process, url := f"http://127.0.0.1:{port}")
            assert httpx.get(f"{url}/api/tasks").status_code == 401
            assert httpx.get(f"{url}/api/tasks", auth=("me", "secret")).status_code == 200
            assert httpx.get(f"{url}/tasks", auth=("me", "secret"), headers={"Host": "a.example"}).status_code == 200
            send = f"{url}/api/task/send-task/clear_cancelled"
            assert httpx.post(send, auth=("me", "secret"), json={"args": []}).status_code == 403
        finally:
            process.terminate()


@pytest.mark.parametrize("settings", [{}, {"publish_address": "192.0.2.7"}])
def test_without_a_login_it_is_not_published(redis_url: str, settings: dict[str, str]) -> None:
    address = "127.0.0.1" if settings else "0.0.0.0"
    env = plain_env(redis_url=redis_url, **settings)
    run = subprocess.run(
        [*START, f"--address={address}", "--port=0"], env=env, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 1
    assert "FLOWER_BASIC_AUTH" in run.stderr
