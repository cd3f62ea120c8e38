"""Blobs: the truth about content, as files through fsspec. Keys are paths such as `jobs/{job_id}/result.md`."""

from __future__ import annotations

import atexit
import contextlib
import errno
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import fsspec
import redis
from fsspec.implementations.local import LocalFileSystem
from tenacity import (
    Retrying,
    retry,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_fixed,
    wait_random_exponential,
)

from tasks.ids import BadKey, check_job_id, check_key, is_job_id
from workers import private

MOST_FETCHED = 64  # copies of remote blobs kept on this machine
PASSING = (errno.ENOTEMPTY, errno.ENOENT, errno.EISDIR, errno.ENOTDIR)  # while others write to a folder or remove it
IMAGE, PACKED, LAYER, WORDS = "png", "packed", "layer.txt", "words.json"  # suffixes of a page's files

# The store or Redis may be away for a while; a page that is done waits for them rather than be done again.
patiently = retry(
    retry=retry_if_exception_type((OSError, redis.ConnectionError, redis.TimeoutError)),
    wait=wait_random_exponential(multiplier=0.2, max=5),
    stop=stop_after_delay(60),
    reraise=True,
)


class BlobMissing(Exception):
    """No blob has this key."""


class Blobs:
    """A folder of files, local or remote; safe to share between threads. Nothing half-written is ever seen.

    In a local folder all is left to its owner alone, also what an earlier version made.
    """

    def __init__(self, url: str, *, is_purged: Callable[[str], bool] = lambda _: False) -> None:
        self._is_purged = is_purged
        self.fs, self.root = fsspec.core.url_to_fs(url)
        self.is_local = isinstance(self.fs, LocalFileSystem)
        if self.is_local:
            self.root = os.path.realpath(self.root)
            private.close_if_open(Path(self.root))
        self._cache: Path | None = None
        if not self.is_local:
            self._cache = Path(tempfile.mkdtemp(prefix="pagefan-"))
            atexit.register(shutil.rmtree, self._cache, ignore_errors=True)

    def path(self, key: str) -> str:
        """Where a key lies: below the root, whatever the key is. Raises BadKey for one that would lead elsewhere.

        All that reads, writes and removes comes through here. "" is the root itself, for those who list it.
        """
        path = f"{self.root}/{check_key(key)}" if key else str(self.root)
        if self.is_local and os.path.realpath(path) != path:
            raise BadKey(f"{key!r:.80} leads through a link")
        return path

    @contextlib.contextmanager
    def writer(self, key: str, mode: str = "wb") -> Iterator[IO[Any]]:
        """A file that appears under `key` when the block ends well, and not at all when it raises.

        It goes again, with the folder of its job, where the job was purged meanwhile. Raises OSError, also where the
        folder goes while the file is being written.
        """
        path = self.path(key)
        try:
            with self._local_file(path, mode) if self.is_local else self._remote_file(path, mode) as out:
                yield out
        finally:
            job_id = job_of(key)
            if job_id and self._is_purged(job_id):
                self.delete(job_key(job_id))

    def _remote_file(self, path: str, mode: str) -> contextlib.AbstractContextManager[IO[Any]]:
        return self.fs.open(path, mode)  # type: ignore[no-any-return]  # shown by stores only when it is complete

    @contextlib.contextmanager
    def _local_file(self, path: str, mode: str) -> Iterator[IO[Any]]:
        private.make_folder(Path(path).parent)
        draft = f"{path}.{secrets.token_hex(4)}.part"
        try:
            encoding = None if "b" in mode else "utf-8"
            with open(draft, mode, encoding=encoding, opener=private.opener) as out:
                yield out
            Path(draft).replace(path)
        finally:
            Path(draft).unlink(missing_ok=True)

    def write(self, key: str, data: bytes) -> None:
        with self.writer(key) as out:
            out.write(data)

    def write_json(self, key: str, value: Any) -> None:
        self.write(key, json.dumps(value, ensure_ascii=False).encode())

    def read(self, key: str) -> bytes:
        """The blob's bytes; raises BlobMissing."""
        with self.reader(key) as source:
            data: bytes = source.read()
        return data

    def read_json(self, key: str) -> Any:
        return json.loads(self.read(key))

    @contextlib.contextmanager
    def reader(self, key: str) -> Iterator[IO[bytes]]:
        try:
            source = self.fs.open(self.path(key), "rb")
        except FileNotFoundError as exc:
            raise BlobMissing(key) from exc
        with source:
            yield source

    def exists(self, key: str) -> bool:
        return bool(self.fs.isfile(self.path(key)))

    def size(self, key: str) -> int:
        """Bytes of the blob; raises BlobMissing."""
        try:
            return int(self.fs.size(self.path(key)))
        except FileNotFoundError as exc:
            raise BlobMissing(key) from exc

    def delete(self, key: str) -> None:
        """Remove a blob, or a folder of them, even while others write there; nothing happens when there is none."""
        check_key(key)  # the root itself is never removed
        for attempt in Retrying(
            retry=retry_if_exception(is_at_work), stop=stop_after_attempt(20), wait=wait_fixed(0.05), reraise=True
        ):
            with attempt:
                self._remove(self.path(key))

    def _remove(self, path: str) -> None:
        try:
            self.fs.invalidate_cache(path)  # other processes write there too
            self.fs.rm(path, recursive=True)
        except FileNotFoundError:
            if self.fs.exists(path):  # a file went while the folder was being emptied, and the rest is still there
                raise

    def names(self, key: str) -> list[str]:
        """The names directly under a folder, sorted; empty when there is none."""
        self.fs.invalidate_cache(self.path(key))  # other processes write there too
        try:
            return sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in self.fs.ls(self.path(key), detail=False))
        except FileNotFoundError:
            return []

    def ages(self, key: str) -> list[tuple[float, int, str]]:
        """(Unix time of change, bytes, key) of the files directly under a folder; empty when there is none."""
        try:
            found = self.fs.ls(self.path(key), detail=True)
        except FileNotFoundError:
            return []
        files = [info for info in found if info["type"] == "file"]
        return [(changed_at(info), int(info["size"]), f"{key}/{info['name'].rsplit('/', 1)[-1]}") for info in files]

    def last_change(self, key: str) -> float:
        """When anything below a folder was last written, in Unix seconds; 0 where the store does not tell."""
        self.fs.invalidate_cache(self.path(key))  # other processes write there too
        found = self.fs.find(self.path(key), withdirs=True, detail=True)
        return max(map(changed_at, found.values()), default=0.0)

    def local(self, key: str) -> Path:
        """A path on this machine with the blob; remote ones are fetched, and the last few stay. Raises BlobMissing."""
        check_key(key)
        if self._cache is None:
            path = Path(self.path(key))
            if not path.is_file():
                raise BlobMissing(key)
            return path
        path = self._cache / key.replace("/", "_")
        if path.is_file():
            path.touch()
            return path
        draft = path.with_suffix(f".{secrets.token_hex(4)}.part")
        with self.reader(key) as source, draft.open("wb") as out:
            shutil.copyfileobj(source, out)
        draft.replace(path)
        self._drop_oldest()
        return path

    def _drop_oldest(self) -> None:
        assert self._cache is not None
        whole = [path for path in self._cache.iterdir() if path.suffix != ".part"]
        for path in sorted(whole, key=lambda path: path.stat().st_mtime)[:-MOST_FETCHED]:
            path.unlink(missing_ok=True)


def changed_at(info: dict[str, Any]) -> float:
    """When a file was written, in Unix seconds; stores have different names for it. 0 where one has none."""
    value = next((info[name] for name in ("mtime", "LastModified", "last_modified", "updated") if name in info), 0)
    return value.timestamp() if isinstance(value, datetime) else float(value)


def job_key(job_id: str, name: str = "") -> str:
    """A file of a job, or its folder. Raises BadId for what is no id, and so never gives the folder of all jobs."""
    return f"jobs/{check_job_id(job_id)}/{name}".rstrip("/")


def source_key(job_id: str, kind: str) -> str:
    return job_key(job_id, f"source.{kind}")


def page_key(job_id: str, index: int, suffix: str) -> str:
    """Files of a page are named by its 1-based number, so that a folder sorts and reads by eye."""
    return job_key(job_id, f"pages/{index + 1:06d}.{suffix}")


def job_of(key: str) -> str:
    """The id of the job that a key belongs to; empty for other keys."""
    folder, _, rest = key.partition("/")
    job_id = rest.partition("/")[0]
    return job_id if folder == "jobs" and is_job_id(job_id) else ""


def is_at_work(exc: BaseException) -> bool:
    """Whether a folder got or lost a file while it was being removed."""
    return isinstance(exc, OSError) and exc.errno in PASSING
