"""URL sources: only public addresses and what is allowed besides, bounded in time, size, type and redirects."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Any

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.net.addresses import AddressRules, FetchError, is_public, parse_url
from workers.net.fetch import MAX_REDIRECTS, fetch, post

PDF = b"%PDF-1.7\n" + bytes(1000)
NAMES = {  # what the tests' own DNS says
    "public.example": ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"],
    "mixed.example": ["93.184.215.14", "10.0.0.5"],
    "inside.example": ["192.168.1.10"],
    "loop.example": ["127.0.0.1"],
    "loop6.example": ["::1"],
    "nat64.example": ["64:ff9b::a00:1"],
    "mapped.example": ["::ffff:169.254.169.254"],
    "metadata.google.internal": ["169.254.169.254"],
    "localhost": ["127.0.0.1", "::1"],
    "intranet": ["10.1.2.3"],
    "empty.example": [],
}


class SiteServer(ThreadingHTTPServer):
    """Remembers the headers and bodies it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Site)
        self.seen: list[tuple[dict[str, str], bytes]] = []


class Site(BaseHTTPRequestHandler):
    """A web site with everything that can be wrong with one."""

    server: SiteServer

    def do_GET(self) -> None:
        name, _, argument = self.path.lstrip("/").partition("/")
        getattr(self, f"send_{name}")(argument)

    def do_POST(self) -> None:
        self.server.seen.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer(302 if self.path == "/moved" else 204, {"Location": "/ok"})

    def answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def send_ok(self, _: str) -> None:
        self.server.seen.append((dict(self.headers), b""))
        self.answer(200, {"Content-Type": "application/pdf", "Content-Length": str(len(PDF))}, PDF)

    def send_hop(self, number: str) -> None:
        self.answer(302, {"Location": f"/hop/{int(number) - 1}" if int(number) > 1 else "/ok/report%20A.pdf"})

    def send_to(self, target: str) -> None:
        self.answer(302, {"Location": target})

    def send_endless(self, _: str) -> None:
        self.answer(200, {"Content-Type": "application/pdf"})
        try:
            while True:
                self.wfile.write(bytes(65536))
        except OSError:
            pass

    def send_announced(self, _: str) -> None:
        self.answer(200, {"Content-Length": str(10**12)})

    def send_trickle(self, _: str) -> None:
        try:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while True:
                self.wfile.write(b"X-More: 1\r\n")
                time.sleep(0.05)
        except OSError:
            pass

    def send_html(self, _: str) -> None:
        self.answer(200, {"Content-Type": "text/html; charset=utf-8"}, b"<p>log in")

    def send_gzip(self, _: str) -> None:
        self.answer(200, {"Content-Type": "application/pdf", "Content-Encoding": "gzip"}, b"x")

    def send_missing(self, _: str) -> None:
        self.answer(404, {})

    def send_away(self, _: str) -> None:
        self.answer(503, {})

    def send_nonsense(self, _: str) -> None:
        self.wfile.write(b"\x16\x03\x01 hello\r\n\r\n")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def site() -> Iterator[SiteServer]:
    server = SiteServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts that were looked up, in the tests' own DNS."""
    seen: list[str] = []
    literal = socket.getaddrinfo

    def look_up(host: str, port: int, *rest: Any, **options: Any) -> list[Any]:
        if host not in NAMES:
            return literal(host, port, *rest, **options | {"flags": socket.AI_NUMERICHOST})
        seen.append(host)
        return [(0, socket.SOCK_STREAM, 6, "", (address, port)) for address in NAMES[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return seen


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The addresses that a connection was opened to."""
    seen: list[tuple[str, int]] = []
    original = httpcore.SyncBackend.connect_tcp

    def connect(self: httpcore.SyncBackend, host: str, port: int, *rest: Any) -> httpcore.NetworkStream:
        seen.append((host, port))
        return original(self, host, port, *rest)

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    return seen


def get(url: str, allowed: str = "", *, max_bytes: int = 100_000, timeout_s: float = 5.0) -> tuple[str, bytes]:
    out = io.BytesIO()
    fetched = fetch(url, out, rules=AddressRules.parse(allowed), max_bytes=max_bytes, timeout_s=timeout_s)
    assert fetched.size == len(out.getvalue())
    return fetched.name, out.getvalue()


REFUSED = [
    ("http://127.0.0.1/", "address_refused"),
    ("http://127.0.0.1:8080/", "address_refused"),
    ("http://127.8.9.1/", "address_refused"),
    ("http://0.0.0.0/", "address_refused"),
    ("http://10.0.0.1/", "address_refused"),
    ("http://172.16.0.1/", "address_refused"),
    ("http://192.168.0.1/", "address_refused"),
    ("http://100.64.0.1/", "address_refused"),
    ("http://100.100.100.200/", "address_refused"),
    ("http://169.254.169.254/latest/meta-data/", "address_refused"),
    ("http://168.63.129.16/", "address_refused"),
    ("http://192.0.0.192/", "address_refused"),
    ("http://192.88.99.1/", "address_refused"),
    ("http://198.18.0.1/", "address_refused"),
    ("http://224.0.0.1/", "address_refused"),
    ("http://239.255.255.250/", "address_refused"),
    ("http://240.0.0.1/", "address_refused"),
    ("http://255.255.255.255/", "address_refused"),
    ("https://[::1]/", "address_refused"),
    ("http://[::]/", "address_refused"),
    ("http://[::ffff:127.0.0.1]/", "address_refused"),
    ("http://[::ffff:a9fe:a9fe]/", "address_refused"),
    ("http://[::127.0.0.1]/", "address_refused"),
    ("http://[64:ff9b::7f00:1]/", "address_refused"),
    ("http://[64:ff9b:1::a00:1]/", "address_refused"),
    ("http://[2002:7f00:1::]/", "address_refused"),
    ("http://[2002:5db8:d70e::1]/", "address_refused"),
    ("http://[2001:0:5ef5:79fd:0:59d:a0e5:ba1]/", "address_refused"),
    ("http://[fc00::1]/", "address_refused"),
    ("http://[fd00:ec2::254]/", "address_refused"),
    ("http://[fe80::1]/", "address_refused"),
    ("http://[fec0::1]/", "address_refused"),
    ("http://[ff02::1]/", "address_refused"),
    ("http://[2001:db8::1]/", "address_refused"),
    ("http://[fe80::1%25eth0]/", "bad_url"),
    ("http://localhost/", "address_refused"),
    ("http://LOCALHOST./", "address_refused"),
    ("http://127.0.0.1./", "address_refused"),
    ("http://loop.example/", "address_refused"),
    ("http://loop6.example./", "address_refused"),
    ("http://inside.example/", "address_refused"),
    ("http://mixed.example/", "address_refused"),
    ("http://nat64.example/", "address_refused"),
    ("http://mapped.example/", "address_refused"),
    ("http://metadata.google.internal/", "address_refused"),
    ("http://intranet/", "address_refused"),
    ("http://empty.example/", "address_refused"),
    ("http://2130706433/", "bad_url"),
    ("http://0x7f000001/", "bad_url"),
    ("http://0x7f.1/", "bad_url"),
    ("http://0177.0.0.1/", "bad_url"),
    ("http://017700000001/", "bad_url"),
    ("http://127.1/", "bad_url"),
    ("http://127.0.0.0x1/", "bad_url"),
    ("http://00000127.0.0.1/", "bad_url"),
    ("http://1.1.1.1.1/", "bad_url"),
    ("http://①②⑦.⓪.⓪.①/", "address_refused"),
    ("http://127。0。0。1/", "address_refused"),
    ("http://ⓛocalhost/", "address_refused"),
    ("http://%6c%6f%63%61%6c%68%6f%73%74/", "bad_url"),
    ("http://public.example@127.0.0.1/", "bad_url"),
    ("http://user:pass@public.example/", "bad_url"),
    ("http://127.0.0.1#@public.example/", "address_refused"),
    ("http://127.0.0.1\\@public.example/", "bad_url"),
    ("http://public.example\\@127.0.0.1/", "bad_url"),
    ("http://public.example:22/", "address_refused"),
    ("http://public.example:6379/", "address_refused"),
    ("http://public.example:0/", "bad_url"),
    ("http://public.example:99999/", "bad_url"),
    ("http://public.example:80:80/", "bad_url"),
    ("http://public.example/\r\nHost: inside", "bad_url"),
    (" http://127.0.0.1/", "bad_url"),
    ("http://127.0.0.1\t/", "bad_url"),
    ("http:///etc/passwd", "bad_url"),
    ("http://", "bad_url"),
    ("http:127.0.0.1", "bad_url"),
    ("//127.0.0.1/", "bad_url"),
    ("http://[127.0.0.1]/", "bad_url"),
    ("http://[::1/", "bad_url"),
    ("http://public.example..evil/", "bad_url"),
    ("file:///etc/passwd", "bad_url"),
    ("ftp://public.example/", "bad_url"),
    ("gopher://127.0.0.1:6379/_INFO", "bad_url"),
    ("data:application/pdf;base64,AAAA", "bad_url"),
    ("jar:http://127.0.0.1!/", "bad_url"),
    ("unix:///var/run/docker.sock", "bad_url"),
    ("", "bad_url"),
    ("http://public.example/" + "a" * 2000, "bad_url"),
]


@pytest.mark.usefixtures("lookups")
@pytest.mark.parametrize(("url", "reason"), REFUSED)
def test_url_that_leads_inside_is_refused_unconnected(url: str, reason: str, connected: list[Any]) -> None:
    with pytest.raises(FetchError) as caught:
        get(url)
    assert caught.value.reason == reason
    assert caught.value.detail
    assert not connected


@pytest.mark.usefixtures("lookups")
@pytest.mark.parametrize(
    "url", ["http://public.example/a", "https://PUBLIC.example./a", "http://public.example:8080", "https://8.8.8.8/"]
)
def test_public_url_is_permitted(url: str) -> None:
    target = parse_url(url)
    assert AddressRules().resolve(target.host, target.port)


def test_every_name_of_the_table_is_refused_with_the_same_words_whatever_it_stands_for(lookups: list[str]) -> None:
    words = set()
    for host in ("loop.example", "inside.example", "metadata.google.internal"):
        with pytest.raises(FetchError) as caught:
            get(f"http://{host}/")
        words.add(caught.value.detail.replace(host, "HOST"))
    assert len(words) == 1
    assert lookups == ["loop.example", "inside.example", "metadata.google.internal"]


@given(rest=st.text(max_size=60), scheme=st.sampled_from(["http://", "https://", "http://[", "http://a@", ""]))
def test_any_text_is_a_plain_target_or_refused(rest: str, scheme: str) -> None:
    try:
        target = parse_url(scheme + rest)
    except FetchError as exc:
        assert exc.reason == "bad_url"
    else:
        assert str(target).isascii()
        assert not set(target.host) & set("@/\\%#? ")
        assert parse_url(str(target)) == target


@pytest.mark.parametrize("address", ["64:ff9b::808:808", "::ffff:8.8.8.8", "2606:4700::1111", "8.8.8.8"])
def test_address_is_public_by_the_one_inside_it(address: str) -> None:
    assert is_public(ip_address(address))


def test_allowed_host_and_port_are_fetched_and_no_other(site: SiteServer) -> None:
    port = site.server_port
    assert get(f"http://127.0.0.1:{port}/ok/report.pdf?x=1", f"127.0.0.1:{port}") == ("report.pdf", PDF)
    assert get(f"http://127.0.0.1:{port}/ok", "10.0.0.0/8, 127.0.0.0/8")[1] == PDF
    for allowed in (f"127.0.0.1:{port + 1}", f"127.0.0.2:{port}", "10.0.0.0/8", f"localhost:{port}"):
        with pytest.raises(FetchError, match="address_refused"):
            get(f"http://127.0.0.1:{port}/ok", allowed)


def test_connection_goes_to_the_checked_address_and_host_keeps_the_name(
    site: SiteServer, lookups: list[str], connected: list[tuple[str, int]]
) -> None:
    port = site.server_port
    get(f"http://loop.example:{port}/ok", f"loop.example:{port}")
    assert lookups == ["loop.example"]
    assert connected == [("127.0.0.1", port)]
    assert site.seen[0][0]["Host"] == f"loop.example:{port}"


def test_name_whose_address_changes_gains_nothing(
    site: SiteServer, monkeypatch: pytest.MonkeyPatch, connected: list[tuple[str, int]]
) -> None:
    answers, literal = iter(["127.0.0.1", "10.0.0.1"]), socket.getaddrinfo

    def look_up(host: str, port: int, *rest: Any, **options: Any) -> list[Any]:
        if host != "rebind.example":
            return literal(host, port, *rest, **options)
        return [(0, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    url = f"http://rebind.example:{site.server_port}/to/http://rebind.example:{site.server_port}/ok"
    with pytest.raises(FetchError, match="address_refused"):
        get(url, "127.0.0.0/8")
    assert connected == [("127.0.0.1", site.server_port)]


@pytest.mark.usefixtures("lookups")
@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:1/",
        "http://inside.example/",
        "//169.254.169.254/",
        "file:///etc/passwd",
        "http://[::1]/",
        "http://[",
        "//[x]/",
        "http://a:b/",
    ],
)
def test_redirect_is_checked_like_the_first_url(
    site: SiteServer, connected: list[tuple[str, int]], target: str
) -> None:
    with pytest.raises(FetchError, match=r"address_refused|bad_url"):
        get(f"http://127.0.0.1:{site.server_port}/to/{target}", f"127.0.0.1:{site.server_port}")
    assert connected == [("127.0.0.1", site.server_port)]


def test_redirects_are_followed_to_the_limit_and_not_beyond(site: SiteServer) -> None:
    base = f"http://127.0.0.1:{site.server_port}"
    assert get(f"{base}/hop/{MAX_REDIRECTS}", "127.0.0.0/8") == ("report A.pdf", PDF)
    with pytest.raises(FetchError, match="too_many_redirects"):
        get(f"{base}/hop/{MAX_REDIRECTS + 1}", "127.0.0.0/8")


@pytest.mark.parametrize(
    ("path", "reason", "is_transient"),
    [
        ("endless", "too_large", False),
        ("announced", "too_large", False),
        ("html", "wrong_type", False),
        ("gzip", "wrong_type", False),
        ("missing", "fetch_failed", False),
        ("away", "fetch_failed", True),
        ("nonsense", "fetch_failed", True),
    ],
)
def test_bad_answer_has_its_reason(site: SiteServer, path: str, reason: str, is_transient: bool) -> None:
    with pytest.raises(FetchError) as caught:
        get(f"http://127.0.0.1:{site.server_port}/{path}", "127.0.0.0/8")
    assert (caught.value.reason, caught.value.is_transient) == (reason, is_transient)


def test_answer_that_trickles_ends_at_the_deadline(site: SiteServer) -> None:
    began = time.monotonic()
    with pytest.raises(FetchError, match="fetch_timeout"):
        get(f"http://127.0.0.1:{site.server_port}/trickle", "127.0.0.0/8", timeout_s=0.5)
    assert time.monotonic() - began < 3


def test_server_that_is_not_there_is_a_failed_fetch() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(FetchError, match="fetch_failed"):
            get(f"http://127.0.0.1:{closed.getsockname()[1]}/", "127.0.0.0/8")


def test_post_gives_the_status_and_follows_no_redirect(site: SiteServer) -> None:
    rules = AddressRules.parse("127.0.0.0/8")
    base = f"http://127.0.0.1:{site.server_port}"
    assert post(f"{base}/hook", b"{}", headers={"X-A": "b"}, rules=rules, timeout_s=5) == 204
    assert post(f"{base}/moved", b"{}", headers={}, rules=rules, timeout_s=5) == 302
    [first, second] = site.seen
    assert first[0]["X-A"] == "b"
    assert second[1] == b"{}"


@pytest.mark.parametrize("allowed", ["127.0.0.1", "a:b", "10.0.0.1/8", "300.1.1.1:80", "host:"])
def test_unreadable_allowance_is_a_value_error(allowed: str) -> None:
    with pytest.raises(ValueError):
        AddressRules.parse(allowed)
