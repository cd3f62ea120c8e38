"""Celery's consumer, made to outlive a Redis that goes away while the worker holds messages."""

from __future__ import annotations

import logging

from celery.worker import consumer

logger = logging.getLogger(__name__)


class Consumer(consumer.Consumer):
    """As it closes a lost connection, kombu 5.7 tries to put the held messages back and stumbles over its closed state.

    The AttributeError would end the worker. The leases of the messages lapse, so they are handed out again anyway.
    """

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        try:
            super().on_connection_error_after_connected(exc)
        except AttributeError as error:
            logger.warning("the connection to Redis was not closed in order: %s", error)
