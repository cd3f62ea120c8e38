"""Metrics: what workers count in Redis comes out as Prometheus reads it."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tasks.ledger import Ledger, connect
from tasks.metrics import LedgerCollector, count, observe


@pytest.fixture
def ledger(redis_url: str) -> Ledger:
    ledger = Ledger(connect(redis_url))
    ledger.redis.flushdb()
    return ledger


def scrape(ledger: Ledger) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(LedgerCollector(ledger))
    text = generate_latest(registry).decode()
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {f"{s.name}{sorted(s.labels.items())}": s.value for s in samples}


def test_counters_add_up_by_label(ledger: Ledger) -> None:
    for state in ("ok", "ok", "failed"):
        count(ledger, "pages", state=state)
    found = scrape(ledger)
    assert found["pagefan_pages_total[('state', 'ok')]"] == 2
    assert found["pagefan_pages_total[('state', 'failed')]"] == 1


def test_histogram_is_cumulative(ledger: Ledger) -> None:
    for seconds in (0.2, 0.4, 400.0):
        observe(ledger, "page_seconds", seconds, step="generate", engine="echo")
    found = scrape(ledger)
    labels = "[('engine', 'echo'), ('le', '{}'), ('step', 'generate')]"
    assert found["pagefan_page_seconds_bucket" + labels.format("0.3")] == 1
    assert found["pagefan_page_seconds_bucket" + labels.format("1.0")] == 2
    assert found["pagefan_page_seconds_bucket" + labels.format("+Inf")] == 3
    assert found["pagefan_page_seconds_sum[('engine', 'echo'), ('step', 'generate')]"] == pytest.approx(400.6)


def test_queue_depth_and_busy_ratio_are_gauges(ledger: Ledger) -> None:
    ledger.redis.lpush("pf:celery:gpu\x06\x163", "a", "b")
    ledger.report_alive("gpu", "w1", engine="echo", busy=0.75)
    found = scrape(ledger)
    assert found["pagefan_queue_depth[('queue', 'gpu')]"] == 2
    assert found["pagefan_gpu_busy_ratio[('worker', 'w1')]"] == 0.75
    assert found["pagefan_workers[('queue', 'gpu')]"] == 1
