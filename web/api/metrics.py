"""Prometheus' page: what all workers did, read from Redis at each scrape."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from tasks.metrics import LedgerCollector
from tasks.services import get_ledger
from web.api.outputs import Answers

ANSWERS: Answers = {
    200: {"description": "The metrics", "content": {"text/plain": {"schema": {"type": "string"}}}},
    503: {"description": "Redis is away"},
}

TAG = {"name": "Metrics", "description": "What all workers did, for Prometheus."}

bp = APIBlueprint("metrics", __name__, tag=TAG)


@bp.get("/metrics")
@bp.doc(responses=ANSWERS, operation_id="getMetrics")
def metrics() -> Response:
    """Metrics in Prometheus' text format"""
    registry = CollectorRegistry()
    registry.register(LedgerCollector(get_ledger()))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
