"""Tells when work stands still: it waits in a queue, or with a worker that is gone, and nothing of its kind has moved;
or nobody looks for what was lost, because beat sends no reconciler out.

A worker notes that its queue moves whenever it takes a message or is done with one, see `tasks.broker.Lease`; a message
carries the time it was sent. So one look is enough, and its cost does not grow with the queues.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from tasks.broker import SENT_AT, UNACKED, UNACKED_INDEX, queue_keys
from tasks.lanes import lanes, queue_of, queues
from tasks.ledger import Ledger
from tasks.settings import get_settings

NO_WORKER = "none is running"
RECONCILER = "reconciler"  # moves whenever it has looked

Reports = Mapping[str, Mapping[str, Any]]  # of the workers of a queue, by worker


def standstills(ledger: Ledger, reports: Mapping[str, Reports]) -> dict[str, str]:
    """By check "ok", or since when it stands still. Raises StoreAway where Redis does not answer."""
    now, settings = time.time(), get_settings()
    heads, moved, forsaken = look(ledger)
    sayings = {}
    for queue in queues():
        if is_generating(reports[queue].values()):
            moved[queue] = now  # its end is near: no batch outlives its deadline
        waits_s = now - max(moved[queue], min(heads[queue], default=now))
        forsaken_s = now - forsaken.get(queue, now)
        sayings[f"{queue}_queue"] = describe(waits_s, forsaken_s, settings.stalled_s)
    looked_s = now - (moved[RECONCILER] or now)  # one that never ran has yet to be started
    is_late = looked_s > settings.stalled_s + settings.reconcile_s
    sayings[RECONCILER] = f"has not looked for what is lost for {looked_s:.0f} s" if is_late else "ok"
    return sayings


def describe(waits_s: float, forsaken_s: float, limit_s: float) -> str:
    """What there is to say of a queue in which work waits, or waits to be handed out again, for so long."""
    if waits_s > limit_s:
        return f"stands still: work waits, and nothing has moved for {waits_s:.0f} s"
    if forsaken_s > limit_s:
        return f"stands still: what a worker held that is gone has waited for {forsaken_s:.0f} s"
    return "ok"


def look(ledger: Ledger) -> tuple[dict[str, list[float]], dict[str, float], dict[str, float]]:
    """By queue: since when the next of its waiting things wait, when it moved last, when its oldest lease lapsed."""
    keys = [(queue, key) for queue in queues() for key in queue_keys(queue)]
    with ledger.redis.pipeline(transaction=False) as pipe:
        for _, key in keys:
            pipe.lindex(key, -1)
        pipe.zrange(UNACKED_INDEX, 0, 0, withscores=True)
        *raws, leases = pipe.execute()
    heads: dict[str, list[float]] = {queue: [] for queue in queues()}
    for (queue, _), raw in zip(keys, raws, strict=True):
        if raw and (sent_at := json.loads(raw)["headers"].get(SENT_AT)):
            heads[queue].append(float(sent_at))
    for lane in lanes():
        if ready_at := ledger.ready_since(lane):
            heads[queue_of(lane)].append(ready_at)
    return heads, ledger.moved([*queues(), RECONCILER]), dict(lapsed(ledger, *lease) for lease in leases)


def lapsed(ledger: Ledger, tag: str, renewed_at: float) -> tuple[str, float]:
    """The queue of a message that a worker holds, and when its lease lapses."""
    raw = ledger.redis.hget(UNACKED, tag)
    queue = json.loads(raw)[2] if raw else ""  # [message, exchange, routing key]: kombu.transport.redis.QoS.append
    return queue, renewed_at + get_settings().visibility_timeout_s


def is_generating(reports: Iterable[Mapping[str, Any]]) -> bool:
    return any(report.get("busy", 0) > 0 for report in reports)
