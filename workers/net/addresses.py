"""Which addresses may be reached on a user's word: public ones on the web's ports, and what the operator allows.

A URL is taken apart once, here, and travels on in its parts, so that no second parser can see another host in it.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self
from urllib.parse import quote, urlsplit

Address = IPv4Address | IPv6Address

DEFAULT_PORTS = {"http": 80, "https": 443}
WEB_PORTS = frozenset({80, 443, 8080, 8443})
MAX_URL = 2000
MAX_HOST = 253  # RFC 1035, without the root's dot
LABELS = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
SAFE = "/%:@!$&'()*+,;=~?"

GLOBAL_UNICAST = IPv6Network("2000::/3")  # RFC 4291, section 2.4
NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
TUNNELS = (IPv6Network("2002::/16"), IPv6Network("2001::/32"))  # 6to4, Teredo: they carry an IPv4 address to anywhere
NOT_THE_INTERNET = tuple(  # what `is_global` of some Python versions lets pass
    map(
        ip_network,
        (
            "168.63.129.16/32",  # Azure's metadata and DNS, at a public address
            "192.0.0.0/24",  # RFC 6890, IETF protocol assignments; Oracle's metadata is among them
            "192.88.99.0/24",  # RFC 7526, 6to4 relays
            "3fff::/20",  # RFC 9637, documentation
        ),
    )
)


class FetchError(Exception):
    """A URL cannot be fetched or called. `detail` says, for people, what happened and what to do next.

    Reasons: bad_url, unknown_host, address_refused, fetch_failed, fetch_timeout, too_many_redirects, too_large,
    wrong_type. `is_transient` when the same call may succeed later.
    """

    def __init__(self, reason: str, detail: str, *, is_transient: bool = False) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        self.is_transient = is_transient

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A URL in its parts: `host` in ASCII and lower case, without brackets; `path` percent-encoded, with the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """As the Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def parse_url(url: str) -> Target:
    """The parts of a http or https URL; raises FetchError for any other and for forms that hide the host."""
    if len(url) > MAX_URL or "\\" in url or any(ord(character) <= 32 or ord(character) == 127 for character in url):
        raise FetchError("bad_url", f"A URL has at most {MAX_URL} characters and no spaces or backslashes.")
    if not url.lower().startswith(("http://", "https://")):
        raise FetchError("bad_url", "Only http:// and https:// URLs can be used.")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parse_host(parts.hostname or "")
        path = quote(parts.path or "/", safe=SAFE.replace("?", ""))
        query = f"?{quote(parts.query, safe=SAFE)}" if parts.query else ""
    except ValueError as exc:
        raise FetchError("bad_url", "The URL cannot be read; check its host and port.") from exc
    if "@" in parts.netloc:
        raise FetchError("bad_url", "A URL with a user name or password in it is not used.")
    if port == 0:
        raise FetchError("bad_url", "There is no port 0.")
    return Target(scheme=parts.scheme, host=host, port=port or DEFAULT_PORTS[parts.scheme], path=path + query)


def parse_host(host: str) -> str:
    """A name or an address in its plain form; raises ValueError for 0x7f.1, 2130706433, [fe80::1%eth0] and the like."""
    if ":" in host:
        if "%" in host:
            raise ValueError("an address with a zone")
        return str(IPv6Address(host))
    name = host if host.isascii() else host.encode("idna").decode("ascii")
    name = name.lower().removesuffix(".")
    if len(name) > MAX_HOST or not LABELS.fullmatch(name):
        raise ValueError("not a host name")
    if NUMBER.fullmatch(name.rpartition(".")[2]):  # the C library would read it as an address
        return str(IPv4Address(name))
    return name


def is_public(address: Address) -> bool:
    """Whether anybody on the internet reaches this address, and reaches the same machine as we do."""
    if isinstance(address, IPv6Address):
        if address in NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        if address not in GLOBAL_UNICAST or any(address in tunnel for tunnel in TUNNELS):
            return False
    elif address.is_multicast or address.is_reserved:
        return False
    return address.is_global and not any(address in network for network in NOT_THE_INTERNET)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRules:
    """Public addresses on WEB_PORTS, and what is allowed besides: hosts with a port, networks with all ports."""

    hosts: frozenset[tuple[str, int]] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def parse(cls, allowed: str) -> Self:
        """From "127.0.0.1:8123, files.example:9000, [::1]:80, 10.1.0.0/16"; raises ValueError."""
        entries = [entry.strip() for entry in allowed.split(",") if entry.strip()]
        hosts = [entry.rpartition(":") for entry in entries if "/" not in entry]
        return cls(
            hosts=frozenset((parse_host(host.strip("[]")), int(port)) for host, _, port in hosts),
            networks=tuple(ip_network(entry) for entry in entries if "/" in entry),
        )

    def permits(self, host: str, port: int, address: Address) -> bool:
        plain = address.ipv4_mapped if isinstance(address, IPv6Address) and address.ipv4_mapped else address
        if (host, port) in self.hosts or any(plain in network for network in self.networks):
            return True
        return port in WEB_PORTS and is_public(address)

    def check_literal(self, target: Target) -> None:
        """Refuse at once what needs no look-up: a host that is an address. Raises FetchError."""
        try:
            address = ip_address(target.host)
        except ValueError:
            return
        if not self.permits(target.host, target.port, address):
            raise refused(target.host)

    def resolve(self, host: str, port: int) -> list[str]:
        """The addresses of a host, looked up once; raises FetchError unless every one of them may be reached."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as exc:
            raise FetchError("unknown_host", f"{host} is not known; check the URL.", is_transient=True) from exc
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not addresses or not all(self.permits(host, port, ip_address(address)) for address in addresses):
            raise refused(host)
        return addresses


def refused(host: str) -> FetchError:
    """The same words for all, so that nobody learns from them what a private name stands for."""
    ports = ", ".join(map(str, sorted(WEB_PORTS)))
    detail = f"{host} is not reached from here: only public addresses on port {ports} are. Send the file itself."
    return FetchError("address_refused", detail)
