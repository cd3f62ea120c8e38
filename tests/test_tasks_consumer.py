"""The consumer of a worker whose Redis has gone away."""

from __future__ import annotations

from typing import Any

import pytest
from celery.worker import consumer

from tasks.app import app
from tasks.consumer import Consumer


def test_workers_use_it() -> None:
    assert app.conf.worker_consumer == f"{Consumer.__module__}:{Consumer.__name__}"


def test_connection_that_cannot_be_closed_in_order_does_not_end_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(_self: Any, _exc: Exception) -> None:
        raise AttributeError("'NoneType' object has no attribute 'hostname'")

    monkeypatch.setattr(consumer.Consumer, "on_connection_error_after_connected", stumble)
    Consumer.__new__(Consumer).on_connection_error_after_connected(ConnectionError("refused"))
