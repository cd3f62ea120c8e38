"""Which buckets and servers may be named for documents and results, by the operator's word: `STORAGE` has them.

Credentials stay in the options of a place. People name a place by its URL, and nothing else of it is told them.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from workers.net.addresses import MAX_URL, FetchError

PROTOCOLS = ("s3", "gs", "az", "sftp")
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
KINDS: dict[str, type] = {"url": str, "options": dict, "read": bool, "write": bool, "keys": list}
WILD = re.compile(r"[*?]")
NOT_THERE = "The server's storage has no such place for you; its operator allows places by STORAGE."


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A bucket or a server, or a folder of one. `keys` are the ids of the API keys that may name it; empty is all."""

    name: str
    url: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    read: bool = True
    write: bool = False
    keys: frozenset[str] = frozenset()

    @property
    def protocol(self) -> str:
        return self.url.partition("://")[0]

    def has(self, url: str) -> bool:
        return url.startswith(f"{self.url}/")

    def is_for(self, owner: str) -> bool:
        return not self.keys or owner.removeprefix("key-") in self.keys


def parse_places(text: str) -> tuple[Place, ...]:
    """The places of a JSON object, by name; raises ValueError, whose words have nothing of the options."""
    try:
        named = json.loads(text or "{}")
    except ValueError:
        raise ValueError("it is no JSON") from None  # whose error would show the text
    if not isinstance(named, dict):
        raise ValueError("it is no object with a place under each name")
    places = tuple(read_place(name, given) for name, given in named.items())
    if len({place.url for place in places}) < len(places):
        raise ValueError("two places have the same url")
    return places


def read_place(name: str, given: Any) -> Place:
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r:.80} is not the name of a place: letters, digits, _ and -")
    if not isinstance(given, dict) or not isinstance(given.get("url"), str):
        raise ValueError(f"{name} has no url")
    for key, value in given.items():
        if key not in KINDS:
            raise ValueError(f"{name} has {key!r:.80}, which is none of {', '.join(KINDS)}")
        if not isinstance(value, KINDS[key]):
            raise ValueError(f"{name}: {key} has the wrong type")
    url = given["url"].rstrip("/")
    protocol, _, rest = url.partition("://")
    if protocol not in PROTOCOLS or not rest or not is_plain(rest) or WILD.search(rest):
        raise ValueError(f"{name}: its url is none such as s3://bucket/folder, with {', '.join(PROTOCOLS)}")
    if "@" in rest.partition("/")[0]:
        raise ValueError(f"{name}: the user belongs into its options, not into its url")
    if protocol == "sftp":
        check_server(name, url)
    return Place(**given | {"name": name, "url": url, "keys": frozenset(map(str, given.get("keys", ())))})


def check_server(name: str, url: str) -> None:
    try:
        server = urlsplit(url)
        is_one = bool(server.hostname) and server.port != 0
    except ValueError:
        is_one = False
    if not is_one:
        raise ValueError(f"{name}: its url has no host and port such as sftp://files.example:2222/folder")


def is_storage(url: str) -> bool:
    return url.partition("://")[0] in PROTOCOLS and "://" in url


def is_many(url: str) -> bool:
    """Whether a URL of a storage names a folder, by the slash at its end, or a pattern, by * and ?."""
    return is_storage(url) and (url.endswith("/") or WILD.search(url) is not None)


def is_plain(path: str) -> bool:
    """Whether a path is names with single slashes between them, which leads nowhere but down."""
    has_controls = any(ord(character) < 32 or ord(character) == 127 for character in path)
    return not has_controls and "\\" not in path and not {"", ".", ".."} & set(path.split("/"))


def innermost(url: str, places: Iterable[Place]) -> Place | None:
    return max((place for place in places if place.has(url)), key=lambda place: len(place.url), default=None)


def find_place(url: str, places: Iterable[Place], owner: str, *, write: bool = False) -> Place:
    """The place that a URL is in, of several the innermost. Raises FetchError, with the same words for each cause."""
    if len(url) > MAX_URL or not is_plain(url.partition("://")[2].removesuffix("/")):
        raise FetchError("bad_url", f"Such a URL has at most {MAX_URL} characters, and no empty name, . or .. in it.")
    place = innermost(url, places)
    if place is None or not place.is_for(owner) or not (place.write if write else place.read):
        raise FetchError("address_refused", NOT_THERE)
    return place


def pattern_of(url: str) -> str:
    """The pattern of all documents that a folder or a pattern names; raises FetchError for one that is too wild."""
    pattern = f"{url}**/*" if url.endswith("/") else url
    if pattern.count("**") > 1:
        raise FetchError("bad_url", "A pattern has ** once at most, and a folder with it has no / at its end.")
    return pattern


def fixed_part(pattern: str) -> str:
    """The folder that all of a pattern is in."""
    wild = WILD.search(pattern)
    return pattern[: pattern.rindex("/", 0, wild.start())] if wild else pattern


def depth_of(pattern: str) -> int | None:
    """How deep below the fixed part its documents lie, 1 for right in it; None for any depth."""
    return None if "**" in pattern else pattern.count("/") - fixed_part(pattern).count("/")


def matches(url: str, pattern: str) -> bool:
    """Whether a URL is of a pattern: * and ? stand for what a name has, ** for any folders."""
    names = url.split("/")
    if "**" not in pattern:
        return match_names(names, pattern.split("/"))
    before, _, after = pattern.partition("**")
    head, tail = before.rstrip("/").split("/"), after.lstrip("/").split("/")
    is_long = len(names) >= len(head) + len(tail)
    return is_long and match_names(names[: len(head)], head) and match_names(names[-len(tail) :], tail)


def match_names(names: Sequence[str], parts: Sequence[str]) -> bool:
    pairs = zip(names, parts, strict=False)
    return len(names) == len(parts) and all(fnmatch.fnmatchcase(name, part.replace("[", "[[]")) for name, part in pairs)
