"""Documents in buckets and on servers, through fsspec: fetched, listed and written, bounded in time and size.

A connection lives as long as one call here, but for Azure. The libraries are extras, loaded when a place needs one;
what they raise is told by its type alone, for its words may have credentials in them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from fsspec.asyn import AsyncFileSystem, sync
from fsspec.callbacks import Callback

from workers.documents.kinds import SUFFIXES
from workers.net.addresses import FetchError
from workers.net.fetch import Fetched, too_large
from workers.net.places import Place, depth_of, fixed_part, matches, pattern_of

MOST_SEEN = 20_000  # files and folders that are looked at for a folder or a pattern
CONNECT_S = 10
EXTRAS = {"s3": "s3", "gs": "gcs", "az": "azure", "sftp": "sftp"}  # of pagefan-server, by protocol
CLASSES = {
    "s3": "s3fs:S3FileSystem",
    "gs": "gcsfs:GCSFileSystem",
    "az": "adlfs:AzureBlobFileSystem",
    "sftp": "sshfs:SSHFileSystem",
}
# What a place's own options go before. s3fs holds 50 MB of each of ten parts otherwise; sshfs takes any host's key,
# where () asks asyncssh to look it up in ~/.ssh/known_hosts.
DEFAULTS: dict[str, dict[str, Any]] = {
    "s3": {"use_listings_cache": False, "max_concurrency": 1},
    "gs": {"use_listings_cache": False},
    "az": {"use_listings_cache": False},
    "sftp": {"known_hosts": (), "connect_timeout": CONNECT_S, "timeout": CONNECT_S},
}


class SizeLimit(Callback):  # type: ignore[misc]
    """Ends a transfer that becomes too large while it is under way."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__()
        self.max_bytes = max_bytes

    def call(self, *_: Any, **__: Any) -> None:
        if self.value > self.max_bytes:
            raise too_large(self.max_bytes)


class Connection:
    """A place while it is used; its calls raise FetchError, and end after `timeout_s`."""

    def __init__(self, place: Place, timeout_s: float) -> None:
        self.place, self.timeout_s = place, timeout_s
        with told(place, timeout_s):
            self.fs: AsyncFileSystem = file_system(place)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.place.protocol == "sftp":  # the others close when they are gone; sshfs keeps itself alive
            self.fs.loop.call_soon_threadsafe(self.fs.client.close)

    def run(self, work: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **options: Any) -> Any:
        with told(self.place, self.timeout_s):
            return sync(self.fs.loop, work, *args, timeout=self.timeout_s, **options)

    def path_of(self, url: str) -> str:
        """As the file system has it: an object with its bucket, a file on a server without the host."""
        rest = url.partition("://")[2]
        return "/" + rest.partition("/")[2] if self.place.protocol == "sftp" else rest

    def url_of(self, path: str) -> str:
        server = self.place.url.split("/")[2] if self.place.protocol == "sftp" else ""
        return f"{self.place.protocol}://{server}{path}"


@contextmanager
def told(place: Place, timeout_s: float) -> Iterator[None]:
    """What a library raises, in our words."""
    try:
        yield
    except FetchError:
        raise
    except FileNotFoundError as exc:
        raise FetchError("fetch_failed", f"Nothing of that name is in the storage {place.name}.") from exc
    except PermissionError as exc:
        raise FetchError("fetch_failed", f"The storage {place.name} does not let the server in there.") from exc
    except TimeoutError as exc:
        detail = f"The storage {place.name} did not answer in full within {timeout_s:g} s."
        raise FetchError("fetch_timeout", detail, is_transient=True) from exc
    except Exception as exc:  # each library has errors of its own
        detail = f"The storage {place.name} could not be used: {type(exc).__name__}."
        raise FetchError("fetch_failed", detail, is_transient=True) from exc


def file_system(place: Place) -> AsyncFileSystem:
    """A new one, for those that are kept have connections that may be dead. Raises FetchError without its library."""
    module, _, name = CLASSES[place.protocol].partition(":")
    try:
        kind = getattr(import_module(module), name)
    except ImportError as exc:
        extra = f"pagefan-server[{EXTRAS[place.protocol]}]"
        detail = f"{place.protocol}:// needs {module}, which the server has not; its operator installs {extra}."
        raise FetchError("not_installed", detail) from exc
    options = DEFAULTS[place.protocol] | dict(place.options)
    if place.protocol == "sftp":
        server = urlsplit(place.url)
        options |= {"host": server.hostname} | ({"port": server.port} if server.port else {})
    return kind(skip_instance_cache=place.protocol != "az", **options)  # adlfs keeps each one for ever


def read(url: str, place: Place, path: Path, *, max_bytes: int, timeout_s: float) -> Fetched:
    """Write the document at a URL of the place to a file. Raises FetchError."""
    with Connection(place, timeout_s) as connection:
        source = connection.path_of(url)
        info = connection.run(connection.fs._info, source)
        if info["type"] != "file":
            raise FetchError("fetch_failed", "This is a folder; with / at its end all documents in it are read.")
        if (info["size"] or 0) > max_bytes:
            raise too_large(max_bytes)
        connection.run(connection.fs._get_file, source, str(path), callback=SizeLimit(max_bytes))
    return Fetched(name=source.rpartition("/")[2], size=path.stat().st_size)


def find_documents(url: str, place: Place, *, timeout_s: float) -> list[str]:
    """The URLs of what a folder or a pattern names, by the names that documents have, sorted. Raises FetchError."""
    pattern = pattern_of(url)
    root, depth = fixed_part(pattern), depth_of(pattern)
    with Connection(place, timeout_s) as connection:
        found = connection.run(list_files, connection.fs, connection.path_of(root), depth)
    return sorted(each for path in found if matches(each := connection.url_of(path), pattern))


async def list_files(fs: AsyncFileSystem, root: str, depth: int | None) -> list[str]:
    """The paths of the documents below a folder, so many folders deep. Links are not followed."""
    folders, found, num_seen = [(root, 1)], [], 0
    while folders:
        folder, level = folders.pop()
        entries = await fs._ls(folder, detail=True)
        num_seen += len(entries)
        if num_seen > MOST_SEEN:
            raise FetchError("too_large", f"Over {MOST_SEEN} files and folders are there; name a smaller part of them.")
        for entry in entries:
            name = entry["name"].rstrip("/")
            if name == folder.rstrip("/"):
                continue  # the folder's own mark, which some tools leave in a bucket
            if entry["type"] == "directory" and (depth is None or level < depth):
                folders.append((name, level + 1))
            elif entry["type"] == "file" and Path(name).suffix.lower() in SUFFIXES:
                found.append(name)
    return found


def write(url: str, place: Place, path: Path, *, timeout_s: float) -> None:
    """Store a file under a URL of the place, where it appears whole. Raises FetchError."""
    with Connection(place, timeout_s) as connection:
        target = connection.path_of(url)
        if place.protocol != "sftp":  # an object is seen when all of it is there
            connection.run(connection.fs._put_file, str(path), target)
            return
        draft = f"{target}.{secrets.token_hex(4)}.part"
        try:
            connection.run(connection.fs._put_file, str(path), draft)
            connection.run(connection.fs._mv, draft, target)
        except FetchError:
            with suppress(FetchError):
                connection.run(connection.fs._rm_file, draft)
            raise
