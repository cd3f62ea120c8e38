"""Whether this process lives, and whether the service can work."""

from __future__ import annotations

import logging
import uuid

from apiflask import APIBlueprint
from flask import Response, jsonify

from tasks.ledger import StoreAway
from tasks.services import get_blobs, get_impatient_ledger
from web.api.outputs import AliveOut, Answers, ReadyOut

logger = logging.getLogger(__name__)

TAG = {"name": "Health", "description": "For load balancers and monitors."}

bp = APIBlueprint("health", __name__, tag=TAG)

QUEUES = ("cpu", "gpu")
PROBE = bytes(64 * 1024)  # a full disk still takes an empty file


NOT_READY: Answers = {
    503: {
        "description": "Something is missing; `checks` says what",
        "content": {"application/json": {"schema": ReadyOut.model_json_schema()}},
    }
}


@bp.get("/healthz")
@bp.output(AliveOut)
def healthz() -> AliveOut:
    """Whether the web process answers"""
    return AliveOut(status="ok")


@bp.get("/readyz")
@bp.output(ReadyOut)
@bp.doc(responses=NOT_READY)
def readyz() -> Response:
    """Whether jobs can be done

    Looks at Redis, the file store, and for a live worker on each queue; where the engine asks a model server, at that.
    """
    checks = {"redis": check_redis(), "blobs": check_blobs()}
    checks |= {f"{queue}_worker": check_worker(queue) for queue in QUEUES}
    is_ready = all(value == "ok" for value in checks.values())
    response = jsonify(status="ready" if is_ready else "not ready", checks=checks, runtimes=find_runtimes())
    if not is_ready:
        response.status_code = 503
        response.headers["Retry-After"] = "5"
    return response


def check_redis() -> str:
    try:
        get_impatient_ledger().ping()
    except StoreAway as exc:
        return f"away: {type(exc).__name__}"
    return "ok"


def check_blobs() -> str:
    key = f"health/{uuid.uuid4().hex}"
    try:
        try:
            get_blobs().write(key, PROBE)
        finally:
            get_blobs().delete(key)
    except OSError as exc:
        logger.warning("the file store cannot be written: %s", exc)
        return f"cannot be written: {type(exc).__name__}"
    return "ok"


def check_worker(queue: str) -> str:
    """What keeps all workers of the queue from their work: none runs, or the model server they need is in trouble."""
    try:
        reports = get_impatient_ledger().workers(queue).values()
    except StoreAway as exc:
        return f"unknown: {type(exc).__name__}"
    troubles = [str(report.get("trouble", "")) for report in reports]
    return "ok" if "" in troubles else next(iter(troubles), "none is running")


def find_runtimes() -> list[str]:
    """What the workers that generate say they compute with, each once; empty where none says, or nobody knows."""
    try:
        reports = get_impatient_ledger().workers("gpu").values()
    except StoreAway:
        return []
    return sorted({str(report["runtime"]) for report in reports if report.get("runtime")})
