"""The web server under people who are slow on purpose, or only careless; a real gunicorn with few threads."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from conftest import plain_env
from web_service import PDF

from web.stack import bodies
from web.stack.bodies import MOST_HEAD, SMALL_BODY, Gathering, small_body
from web.stack.environ import read_procfile
from web.stack.redis_server import free_port

THREADS, SLOW = 8, 40
ENTER = b"\r\n"
ASKED = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.fixture(scope="module")
def access_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where gunicorn writes a line for each request, which it does only where it is told to."""
    return tmp_path_factory.mktemp("log") / "access.log"


@pytest.fixture(scope="module")
def server(redis_url: str, tmp_path_factory: pytest.TempPathFactory, access_log: Path) -> Iterator[str]:
    """The address of a web server as the Procfile starts it."""
    folder, port = tmp_path_factory.mktemp("web"), free_port("127.0.0.1")
    settings = {"redis_url": redis_url, "blob_url": f"file://{folder}/blobs", "web_port": port, "web_threads": THREADS}
    env = plain_env(**settings)
    env |= {"PATH": f"{Path(sys.executable).parent}:{env['PATH']}", "PYTHONPATH": str(Path(__file__).parent)}
    env["GUNICORN_CMD_ARGS"] = f"--access-logfile {access_log}"
    command = read_procfile()["web"].replace("web.stack.server.DeadlineWorker", "quick_server.QuickWorker")
    with subprocess.Popen(["/bin/sh", "-c", f"exec {command}"], env=env) as process:
        try:
            wait_until(lambda: is_well(f"http://127.0.0.1:{port}"))
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_until(is_true: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def is_well(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=60)


def is_open(sock: socket.socket) -> bool:
    """Whether the server has neither closed nor answered."""
    sock.setblocking(False)
    try:
        while sock.recv(len(ASKED)) == ASKED:
            pass
        return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def read_all(sock: socket.socket) -> bytes:
    sock.settimeout(60)
    pieces = []
    with contextlib.suppress(ConnectionResetError):
        while piece := sock.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


def head(method: str = "POST", path: str = "/login", **fields: object) -> bytes:
    shown = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *shown]).encode() + ENTER


API = "/api/v1/jobs"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"
BEGUN = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n' + PDF
SLOW_KINDS = {
    "connects and is silent": b"",
    "stops in the first line": b"GET /heal",
    "stops in the headers": head("GET", "/healthz"),
    "stops before a form": head(Content_Type=FORM, Content_Length=1000) + ENTER + b"key=",
    "stops in JSON": head(path=API, Content_Type="application/json", Content_Length=5000) + ENTER + b"{",
    "stops in chunks": head(path=API, Content_Type=MULTIPART, Transfer_Encoding="chunked") + ENTER + b"5\r\n",
    "stops in a file": head(path=API, Content_Type=MULTIPART, Content_Length=9_000_000) + ENTER + BEGUN,
    "is asked on": head(path=API, Content_Type=MULTIPART, Content_Length=900, Expect="100-continue") + ENTER,
}


@pytest.mark.parametrize("kind", SLOW_KINDS)
def test_slow_senders_starve_nobody_and_are_ended(server: str, kind: str) -> None:
    socks = [connect(server) for _ in range(SLOW)]
    try:
        for sock in socks:
            sock.sendall(SLOW_KINDS[kind])
        wait_until(lambda: is_well(server), 5)
        held = [sock for sock in socks if is_open(sock)]
        assert len(held) >= THREADS // 2, "they are there still, and do not matter"
        assert all(is_well(server) for _ in range(5))
        wait_until(lambda: not any(map(is_open, socks)))
        assert is_well(server)
    finally:
        for sock in socks:
            sock.close()


@pytest.mark.parametrize("kind", ["stops in JSON", "stops in chunks", "stops in a file", "stops in a short file"])
def test_whoever_ends_a_body_too_early_is_told(server: str, kind: str) -> None:
    short = head(path=API, Content_Type=MULTIPART, Content_Length=900) + ENTER + BEGUN
    with connect(server) as sock:
        sock.sendall(SLOW_KINDS.get(kind, short))
        sock.shutdown(socket.SHUT_WR)
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"breaks off" in answer or kind == "stops in JSON"  # whose reader has words of its own


def test_senders_of_one_byte_at_a_time_are_ended(server: str) -> None:
    socks = [connect(server) for _ in range(SLOW)]
    stop = threading.Event()

    def trickle() -> None:
        while not stop.wait(0.2):
            for sock in socks:
                with contextlib.suppress(OSError):
                    sock.send(b"a")

    for sock in socks:
        sock.sendall(SLOW_KINDS["stops in a file"] if sock in socks[::2] else b"GET /")
    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        wait_until(lambda: is_well(server), 5)
        wait_until(lambda: not any(map(is_open, socks)))
    finally:
        stop.set()
        thread.join()
        for sock in socks:
            sock.close()


def test_too_many_long_bodies_are_refused_with_words(server: str) -> None:
    socks = [connect(server) for _ in range(SLOW)]
    for sock in socks:
        sock.sendall(SLOW_KINDS["stops in a file"])
    answers = [read_all(sock) for sock in socks]
    for sock in socks:
        sock.close()
    kinds = [json.loads(answer.partition(ENTER * 2)[2])["type"].rpartition(":")[2] for answer in answers]
    assert kinds.count("busy") >= SLOW - THREADS
    assert kinds.count("too-slow") >= 1
    assert set(kinds) <= {"busy", "too-slow"}


def test_those_who_do_not_read_are_left_alone(server: str) -> None:
    socks = [connect(server) for _ in range(SLOW)]
    for sock in socks:
        sock.sendall((head("GET", "/openapi.json") + ENTER) * 200)
    assert all(is_well(server) for _ in range(5))
    for sock in socks:
        sock.close()


def test_a_closed_connection_does_not_stop_the_others(server: str) -> None:
    """A client that keeps its side open after the last answer holds nobody up."""
    socks = [connect(server) for _ in range(SLOW)]
    for sock in socks:
        sock.sendall(head("GET", "/healthz", Connection="close") + ENTER)
    for sock in socks:
        assert b"200 OK" in sock.recv(65536)
    assert all(is_well(server) for _ in range(5))
    for sock in socks:
        sock.close()


def test_requests_in_pieces_and_in_a_row_are_answered(server: str) -> None:
    request = head("GET", "/healthz") + ENTER
    with connect(server) as sock:
        for byte in request:
            sock.send(bytes([byte]))
        answer = b""
        while not answer.endswith(b'{"status":"ok"}\n'):  # the head may come alone
            answer += sock.recv(65536)
        assert b"200 OK" in answer
        sock.sendall(request * 3 + head("GET", "/healthz", Connection="close") + ENTER)
        assert read_all(sock).count(b'{"status":"ok"}') == 4


def test_a_head_that_never_ends_is_431(server: str) -> None:
    with connect(server) as sock, contextlib.suppress(OSError):
        for _ in range(100):
            sock.sendall(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1000)
        assert b" 431 " in read_all(sock)[:100]
    assert is_well(server)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [10, SMALL_BODY, 3_000_000])
def test_uploads_arrive_whole_and_the_connection_stays(server: str, chunked: bool, size: int) -> None:
    body = BEGUN + bytes(size) + b"\r\n--x--\r\n"
    pieces = (body[at : at + 50_000] for at in range(0, len(body), 50_000))
    with httpx.Client(base_url=server, timeout=60) as client:
        sent = client.post("/api/v1/jobs", content=pieces if chunked else body, headers={"Content-Type": MULTIPART})
        assert sent.status_code == 202, sent.text
        assert sent.json()["jobs"][0]["size"] == len(PDF) + size
        assert client.get("/healthz").status_code == 200
        assert client.delete(sent.json()["jobs"][0]["links"]["self"], params={"purge": 1}).status_code == 204


def test_who_waits_to_be_asked_is_asked(server: str) -> None:
    body = BEGUN + b"\r\n--x--\r\n"
    fields = {"Content_Type": MULTIPART, "Content_Length": len(body), "Expect": "100-continue", "Connection": "close"}
    with connect(server) as sock:
        sock.sendall(head("POST", API, **fields) + ENTER)
        assert b"100 Continue" in sock.recv(100)
        sock.sendall(body)
        assert b" 202 " in read_all(sock)


def test_a_refusal_can_be_read_though_the_body_was_not(server: str) -> None:
    with connect(server) as sock:
        sock.sendall(head(path="/login", Content_Type=FORM, Content_Length=900_000_000) + ENTER)
        with contextlib.suppress(OSError):
            for _ in range(20):
                sock.sendall(bytes(50_000))
        assert b" 413 " in read_all(sock)[:100]


def test_events_stream_while_nothing_is_sent(server: str) -> None:
    made = httpx.post(f"{server}/api/v1/jobs", files={"file": ("a.pdf", PDF)}).json()["jobs"][0]
    with httpx.stream("GET", server + made["links"]["events"], timeout=60) as events:
        lines = events.iter_lines()
        assert any(line.startswith("event: job") for line in lines)
        httpx.delete(server + made["links"]["self"])
        assert any(line.startswith("event: end") for line in lines)


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_what_is_gathered_is_whole_at_its_last_byte(cut: int) -> None:
    whole = head(Content_Length=5) + ENTER + b"12345"
    request = Gathering(0)
    request.add(whole[:cut])
    request.add(whole[cut:-1])
    assert not request.is_whole
    request.add(whole[-1:])
    assert request.is_whole


def test_a_long_body_is_not_waited_for() -> None:
    assert small_body(head(Content_Length=SMALL_BODY)) == SMALL_BODY
    assert small_body(head(content_length=SMALL_BODY + 1)) == 0
    assert small_body(head(Content_Length=5, Expect="100-continue")) == 0
    assert small_body(head(X="content-length: 5")) == 0
    request = Gathering(0)
    request.add(b"a" * (MOST_HEAD + 1))
    assert request.is_too_long
    assert bodies.BODY_S > 0


def test_client_that_hangs_up_while_it_waits_for_its_text_is_noticed(server: str) -> None:
    with pytest.raises(httpx.ReadTimeout):
        files, timeout = {"file": ("a.pdf", PDF)}, httpx.Timeout(10, read=1)
        httpx.post(f"{server}/api/v1/convert", files=files, headers={"Prefer": "wait=600"}, timeout=timeout)

    def newest() -> str:
        return str(httpx.get(f"{server}/api/v1/jobs").json()["jobs"][0]["state"])

    wait_until(lambda: newest() == "cancelled")


@pytest.mark.parametrize("path", ["/v1/status/ws/1", "/v1/status/poll/1", "/api/v1/jobs", "/healthz"])
def test_key_in_an_address_is_in_no_log(server: str, access_log: Path, path: str) -> None:
    httpx.get(f"{server}{path}?wait=0&API_key=s3cret%2Dkey&seen=1")
    wait_until(lambda: f"{path}?wait=0&seen=1" in access_log.read_text())
    assert "s3cret" not in access_log.read_text()
