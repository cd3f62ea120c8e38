"""HTTP to addresses that users name: documents are fetched, webhooks called. Bounded in time and size.

Each connection goes to an address that was looked up and checked for it (`workers.net.addresses`), while Host and TLS
keep the name; a name whose address changes meanwhile gains nothing. httpcore reads no proxy from the environment.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import unquote, urljoin

import httpcore

from workers.net.addresses import AddressRules, FetchError, Target, parse_url

MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
CONNECT_S = 5.0  # for one of the host's addresses
PIECE_BYTES = 256 * 1024
AZURE_BLOBS = ".blob.core.windows.net"
IDLE_S = 15.0  # between two pieces of an answer
DOCUMENT_TYPES = frozenset(
    {
        "",
        "application/pdf",
        "application/x-pdf",
        "application/octet-stream",
        "binary/octet-stream",
        "application/download",
        "application/force-download",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What was written: `size` in bytes; `name` is the last part of the final URL's path, "" when it has none."""

    name: str
    size: int


class Deadline:
    """A moment after which every read and write raises."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._end = time.monotonic() + timeout_s

    def limit(self, timeout_s: float | None) -> float:
        """Seconds the next step may take; raises FetchError when none are left."""
        left_s = self._end - time.monotonic()
        if left_s <= 0:
            raise timed_out(self.timeout_s)
        return min(left_s, IDLE_S if timeout_s is None else timeout_s)


def timed_out(timeout_s: float) -> FetchError:
    return FetchError("fetch_timeout", f"The address did not answer in full within {timeout_s:g} s.", is_transient=True)


class TimedStream(httpcore.NetworkStream):
    """A connection that ends at the deadline, however steadily it trickles."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.limit(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.limit(timeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        inner = self._stream.start_tls(ssl_context, server_hostname, self._deadline.limit(timeout))
        return TimedStream(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        self._stream.close()


class PinnedBackend(httpcore.NetworkBackend):
    """Connects to an address that has been checked, and to no other."""

    def __init__(self, rules: AddressRules, deadline: Deadline) -> None:
        self._rules, self._deadline, self._tcp = rules, deadline, httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception | None = None
        for address in self._rules.resolve(host, port):
            limit_s = self._deadline.limit(timeout or CONNECT_S)
            try:
                stream = self._tcp.connect_tcp(address, port, limit_s, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failure = exc
            else:
                return TimedStream(stream, self._deadline)
        raise failure or httpcore.ConnectError("no address")


@cache
def tls_context() -> ssl.SSLContext:
    import httpx  # only here: it brings Rich and Click, a tenth of a process's start, and most never fetch

    return httpx.create_ssl_context()


@contextmanager
def exchange(
    method: str,
    target: Target,
    *,
    rules: AddressRules,
    deadline: Deadline,
    headers: Mapping[str, str],
    content: bytes | Iterator[bytes] | None = None,
) -> Iterator[httpcore.Response]:
    """One request on a connection of its own and the answer's head; its body is not read yet. Raises FetchError."""
    url = httpcore.URL(
        scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path.encode()
    )
    timeouts = {"connect": CONNECT_S, "read": IDLE_S, "write": IDLE_S, "pool": CONNECT_S}
    fields = {"Host": target.authority, "User-Agent": "Pagefan", **headers}
    pool = httpcore.ConnectionPool(ssl_context=tls_context(), network_backend=PinnedBackend(rules, deadline))
    try:
        with (
            pool,
            pool.stream(
                method, url, headers=list(fields.items()), content=content, extensions={"timeout": timeouts}
            ) as answer,
        ):
            yield answer
    except httpcore.TimeoutException as exc:
        raise timed_out(deadline.timeout_s) from exc
    except (httpcore.NetworkError, httpcore.ProtocolError) as exc:
        detail = f"{target.host} could not be reached, or broke off: {type(exc).__name__}."
        raise FetchError("fetch_failed", detail, is_transient=True) from exc


def fetch(url: str, out: BinaryIO, *, rules: AddressRules, max_bytes: int, timeout_s: float) -> Fetched:
    """Write the document at a URL to `out`, after MAX_REDIRECTS redirects at most. Raises FetchError."""
    deadline, target = Deadline(timeout_s), parse_url(url)
    accept = {"Accept": "application/pdf, image/*;q=0.9, */*;q=0.1", "Accept-Encoding": "identity"}
    for _ in range(MAX_REDIRECTS + 1):
        with exchange("GET", target, rules=rules, deadline=deadline, headers=accept) as answer:
            location = header(answer, "location")
            if answer.status not in REDIRECTS or not location:
                check_answer(answer, target, max_bytes)
                name = PurePosixPath(unquote(target.path.partition("?")[0])).name
                return Fetched(name=name, size=copy_body(answer, out, max_bytes))
            target = parse_url(join(target, location))
    raise FetchError("too_many_redirects", f"The address leads on more than {MAX_REDIRECTS} times.")


def join(target: Target, location: str) -> str:
    """Where a redirect leads; raises FetchError for what cannot be read."""
    try:
        return urljoin(str(target), location)
    except ValueError as exc:
        raise FetchError("bad_url", f"{target.host} leads on to an address that cannot be read.") from exc


def header(answer: httpcore.Response, name: str) -> str:
    """The first value of a header, "" without one."""
    values = (value for key, value in answer.headers if key.lower() == name.encode())
    return next(values, b"").decode("utf-8", "replace").strip()


def check_answer(answer: httpcore.Response, target: Target, max_bytes: int) -> None:
    """Raise FetchError for an answer that is no document, by its head alone."""
    if answer.status != 200:
        detail = f"{target.host} answered with HTTP {answer.status}; check that the URL opens without a login."
        raise FetchError("fetch_failed", detail, is_transient=answer.status in TRANSIENT)
    media = header(answer, "content-type").partition(";")[0].strip().lower()
    if media not in DOCUMENT_TYPES and not media.startswith("image/"):
        raise FetchError("wrong_type", f"The address gives {media[:80]!r}, neither a PDF nor an image.")
    if header(answer, "content-encoding").lower() not in ("", "identity"):
        raise FetchError("wrong_type", "The address compresses the file though asked not to; send the file itself.")
    length = header(answer, "content-length")
    if length.isdecimal() and (len(length) > 18 or int(length) > max_bytes):
        raise too_large(max_bytes)


def copy_body(answer: httpcore.Response, out: BinaryIO, max_bytes: int) -> int:
    """Write the body piece by piece and return its bytes; raises FetchError once they are too many."""
    size = 0
    for piece in answer.iter_stream():
        size += len(piece)
        if size > max_bytes:
            raise too_large(max_bytes)
        out.write(piece)
    return size


def too_large(max_bytes: int) -> FetchError:
    return FetchError("too_large", f"The document has over {max_bytes / 2**20:g} MiB; split it or make it smaller.")


def post(url: str, body: bytes, *, headers: Mapping[str, str], rules: AddressRules, timeout_s: float) -> int:
    """Send JSON to a URL and return the status of the answer, whose body is not read. No redirect is followed."""
    fields = {"Content-Type": "application/json", **headers}
    with exchange(
        "POST", parse_url(url), rules=rules, deadline=Deadline(timeout_s), headers=fields, content=body
    ) as answer:
        return int(answer.status)


def put(url: str, path: Path, *, media: str, rules: AddressRules, timeout_s: float) -> int:
    """Send a file to a URL, such as a signed one, and return the status of the answer. No redirect is followed."""
    target = parse_url(url)
    fields = {"Content-Type": media, "Content-Length": str(path.stat().st_size)}
    if target.host.endswith(AZURE_BLOBS):
        fields["x-ms-blob-type"] = "BlockBlob"  # without which Azure takes no file
    with (
        path.open("rb") as file,
        exchange(
            "PUT",
            target,
            rules=rules,
            deadline=Deadline(timeout_s),
            headers=fields,
            content=iter(partial(file.read, PIECE_BYTES), b""),
        ) as answer,
    ):
        return int(answer.status)
