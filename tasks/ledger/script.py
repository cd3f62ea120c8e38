"""The ledger's script in Redis: every change to a job or a page is one call of `ledger.lua`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

PROBE_S = 60
SCRIPT = Path(__file__).with_name("ledger.lua").read_text()

StoreAway = redis.RedisError  # what all readings and changes raise while Redis is away


def connect(url: str, *, retries: int = 8) -> redis.Redis:
    """A client that outlives short absences of Redis: 8 retries are about ten seconds before it raises."""
    pool = redis.BlockingConnectionPool.from_url(  # a burst of web requests waits its turn for a connection
        url,
        max_connections=64,
        timeout=10,
        decode_responses=True,
        health_check_interval=15,
        socket_connect_timeout=3,
        socket_timeout=15,
        retry=Retry(ExponentialWithJitterBackoff(base=0.1, cap=2), retries=retries),
        retry_on_error=[redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError],
    )
    return redis.Redis.from_pool(pool)


class Script:
    """The script, ready to be called; what the ledger's stages share."""

    def __init__(self, client: redis.Redis) -> None:
        self.redis: Any = client  # redis-py types every answer as bytes or str, whatever decode_responses says
        self._script = client.register_script(SCRIPT)

    def _call(self, operation: str, **arguments: Any) -> Any:
        return json.loads(self._script(args=[operation, json.dumps(arguments)]))

    def trouble(self) -> str:
        """Why nothing can be written: Redis is away, or answers and has no memory or disk left; "" where it can."""
        try:
            self.redis.set("pf:probe", 1, ex=PROBE_S)
        except redis.ResponseError as exc:
            return f"cannot be written: {type(exc).__name__}"
        except redis.RedisError as exc:
            return f"away: {type(exc).__name__}"
        return ""
