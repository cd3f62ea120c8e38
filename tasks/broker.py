"""kombu's Redis transport, whose closed channels say that the connection is lost.

A task that ends after its worker lost Redis acknowledges on the channel of the lost connection. kombu 5.7 then makes a
new client from a connection that is None; Celery, which is ready for connection errors only, would end the worker of
the AttributeError. Nothing is lost by the refusal: the lease of the message lapses, and it is handed out again.
"""

from __future__ import annotations

from typing import Any

import redis
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis


class Channel(kombu_redis.Channel):
    def _connparams(self, **options: Any) -> dict[str, Any]:
        if self.connection is None or self.connection.client is None:
            raise redis.ConnectionError("the connection of this channel to Redis was lost")
        return dict(super()._connparams(**options))


class Transport(kombu_redis.Transport):
    Channel = Channel


def use_for_redis_urls() -> None:
    """Make it the transport of broker URLs that begin with redis:// or rediss://, for the whole process."""
    TRANSPORT_ALIASES["redis"] = TRANSPORT_ALIASES["rediss"] = f"{__name__}:{Transport.__name__}"
