"""Prometheus metrics, kept in Redis so that one page, the web's /metrics, shows what all workers did.

A counter is one field of the hash `pf:metrics`, a histogram one field a bucket. Names get the prefix `pagefan_`.
"""

from __future__ import annotations

import contextlib
import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate

import redis
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from tasks.broker import queue_keys
from tasks.lanes import queues
from tasks.ledger import Ledger

KEY = "pf:metrics"
HISTOGRAMS = {
    "page_seconds": ("Time a page took in one step.", (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)),
    "request_seconds": (
        "Time of a request to the model server, by its outcome.",
        (0.1, 0.3, 1, 3, 10, 30, 100, 300),
    ),
    "batch_pages": ("Pages in one generation.", (1, 2, 4, 8, 16, 32, 64)),
    "cancel_seconds": ("Time from a cancellation to the engine's stop.", (0.1, 0.25, 0.5, 1, 2, 5, 10)),
}
COUNTERS = {
    "pages": "Pages by the state they ended in.",
    "pages_cached": "Pages whose text came from the page cache.",
    "tokens": "Tokens generated.",
    "claims_lost": "Pages that another process took while this one still worked on them.",
    "retries": "Pages and batches tried again, by reason.",
}


def field(name: str, part: str, labels: dict[str, str]) -> str:
    return json.dumps([name, part, sorted(labels.items())])


def count(ledger: Ledger, name: str, amount: float = 1, **labels: str) -> None:
    """Raise a counter; a metric that cannot be written is let go."""
    with contextlib.suppress(redis.RedisError):
        ledger.redis.hincrbyfloat(KEY, field(name, "", labels), amount)


def observe(ledger: Ledger, name: str, value: float, **labels: str) -> None:
    """Enter a value into a histogram; its unit is in its name."""
    place = bisect_left(HISTOGRAMS[name][1], value)
    with contextlib.suppress(redis.RedisError), ledger.redis.pipeline(transaction=False) as pipe:
        pipe.hincrbyfloat(KEY, field(name, str(place), labels), 1)
        pipe.hincrbyfloat(KEY, field(name, "sum", labels), value)
        pipe.execute()


class LedgerCollector(Collector):
    """Reads the metrics for one scrape."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def collect(self) -> Iterator[Metric]:
        series: dict[tuple[str, tuple[tuple[str, str], ...]], dict[str, float]] = {}
        for key, value in self.ledger.redis.hgetall(KEY).items():
            name, part, labels = json.loads(key)
            pairs = tuple((label, text) for label, text in labels)
            series.setdefault((name, pairs), {})[part] = float(value)
        yield from counters(series)
        yield from histograms(series)
        yield queue_depths(self.ledger)
        yield from workers(self.ledger)


Series = dict[tuple[str, tuple[tuple[str, str], ...]], dict[str, float]]


def counters(series: Series) -> Iterable[Metric]:
    for (name, pairs), parts in sorted(series.items()):
        if name in COUNTERS:
            family = CounterMetricFamily(f"pagefan_{name}", COUNTERS[name], labels=[label for label, _ in pairs])
            family.add_metric([text for _, text in pairs], parts[""])
            yield family


def histograms(series: Series) -> Iterable[Metric]:
    for (name, pairs), parts in sorted(series.items()):
        if name in HISTOGRAMS:
            help, bounds = HISTOGRAMS[name]
            family = HistogramMetricFamily(f"pagefan_{name}", help, labels=[label for label, _ in pairs])
            sums = accumulate(parts.get(str(place), 0.0) for place in range(len(bounds) + 1))
            buckets = list(zip([*map(floatToGoString, bounds), "+Inf"], sums, strict=True))
            family.add_metric([text for _, text in pairs], buckets, sum_value=parts.get("sum", 0.0))
            yield family


def queue_depths(ledger: Ledger) -> Metric:
    family = GaugeMetricFamily("pagefan_queue_depth", "Tasks that wait in a queue.", labels=["queue"])
    for queue in queues():
        family.add_metric([queue], sum(ledger.redis.llen(key) for key in queue_keys(queue)))
    return family


def workers(ledger: Ledger) -> Iterable[Metric]:
    alive = GaugeMetricFamily("pagefan_workers", "Workers that can take tasks.", labels=["queue"])
    busy = GaugeMetricFamily("pagefan_gpu_busy_ratio", "Share of time the engine generates.", labels=["worker"])
    in_flight = GaugeMetricFamily(
        "pagefan_requests_in_flight", "Requests to the model server under way.", labels=["worker"]
    )
    for queue in queues():
        reports = ledger.workers(queue)
        alive.add_metric([queue], sum(report.get("is_loaded", True) for report in reports.values()))
        for worker, report in reports.items():
            if "busy" in report:
                busy.add_metric([worker], report["busy"])
            if "in_flight" in report:
                in_flight.add_metric([worker], report["in_flight"])
    return (alive, busy, in_flight)
