"""Whether this process lives, and whether the service can work."""

from __future__ import annotations

import logging
import uuid

from apiflask import APIBlueprint
from flask import Response, jsonify
from pydantic import BaseModel

from tasks.lanes import lanes, queue_of, queues
from tasks.ledger import StoreAway
from tasks.services import engine_names, get_blobs, get_impatient_ledger
from tasks.standstill import Reports, standstills
from tasks.system import trouble_of
from web.api.outputs import Answers

logger = logging.getLogger(__name__)

TAG = {"name": "Health", "description": "For load balancers and monitors."}

bp = APIBlueprint("health", __name__, tag=TAG)

PROBE = bytes(64 * 1024)  # a full disk still takes an empty file


class AliveOut(BaseModel):
    status: str


class ReadyOut(BaseModel):
    """Checks are "ok" or say what is wrong. Engines on CPUs compute with `runtimes`; a job gets the first engine."""

    status: str
    checks: dict[str, str]
    runtimes: list[str]
    engines: list[str]


NOT_READY: Answers = {
    503: {
        "description": "Something is missing; `checks` says what",
        "content": {"application/json": {"schema": ReadyOut.model_json_schema()}},
    }
}


@bp.get("/healthz")
@bp.output(AliveOut)
@bp.doc(operation_id="isAlive")
def healthz() -> AliveOut:
    """Whether the web process answers"""
    return AliveOut(status="ok")


@bp.get("/readyz")
@bp.output(ReadyOut)
@bp.doc(responses=NOT_READY, operation_id="isReady")
def readyz() -> Response:
    """Whether jobs can be done

    Looks at Redis, the file store, for a live worker on each queue, whether what waits in it moves, and whether lost
    work is looked for; where the engine asks a model server, at that.
    """
    checks, runtimes = look_at_redis()
    checks["blobs"] = check_blobs()
    is_ready = all(value == "ok" for value in checks.values())
    response = jsonify(
        status="ready" if is_ready else "not ready", checks=checks, runtimes=runtimes, engines=engine_names()
    )
    if not is_ready:
        response.status_code = 503
        response.headers["Retry-After"] = "5"
    return response


def look_at_redis() -> tuple[dict[str, str], list[str]]:
    """The checks of what is in Redis, and what the workers that generate compute with."""
    ledger = get_impatient_ledger()
    if trouble := ledger.trouble():
        return {"redis": trouble}, []
    try:
        reports: dict[str, Reports] = {queue: ledger.workers(queue) for queue in queues()}
        stands = standstills(ledger, reports)
    except StoreAway as exc:
        return {"redis": f"away: {type(exc).__name__}"}, []
    workers = {f"{queue}_worker": check_workers(reports[queue]) for queue in queues()}
    runtimes = {runtime for lane in lanes() for runtime in find_runtimes(reports[queue_of(lane)])}
    return {"redis": "ok"} | workers | stands, sorted(runtimes)


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


def check_workers(reports: Reports) -> str:
    """What keeps all workers of a queue from their work: none runs, or the model server they need is in trouble."""
    return trouble_of(reports) or "ok"


def find_runtimes(reports: Reports) -> set[str]:
    """What the workers that generate say they compute with, each once; empty where none says."""
    return {str(report["runtime"]) for report in reports.values() if report.get("runtime")}
