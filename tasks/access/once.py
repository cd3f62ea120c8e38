"""What the request under an idempotency key came to, kept for a day, so that the same request again makes no jobs."""

from __future__ import annotations

import json
from collections.abc import Callable

from tasks.access.keys import digest_of
from tasks.services import get_ledger

KEPT_S = 86_400
UNDER_WAY_S = 120  # after which a request whose process died no longer blocks its key

Submitted = tuple[str, list[str]]  # batch id, job ids


class KeyInUse(Exception):
    """The first request with this key is still under way."""


class KeyMismatch(Exception):
    """Another request has had this key."""


def submit_once(owner: str, key: str, fingerprint: str, submit: Callable[[], Submitted]) -> tuple[Submitted, bool]:
    """What `submit` returned for this key of the owner, and whether it was an earlier call of it.

    Raises KeyInUse, KeyMismatch, or what `submit` raises; the key is free again then.
    """
    redis = get_ledger().redis
    name = f"pf:once:{owner}:{digest_of(key)}"
    if not redis.set(name, json.dumps({"fingerprint": fingerprint}), nx=True, ex=UNDER_WAY_S):
        return recall(redis.get(name), fingerprint), True
    try:
        batch_id, job_ids = submit()
    except BaseException:
        redis.delete(name)
        raise
    record = {"fingerprint": fingerprint, "batch_id": batch_id, "job_ids": job_ids}
    redis.set(name, json.dumps(record), ex=KEPT_S)
    return (batch_id, job_ids), False


def recall(kept: str | None, fingerprint: str) -> Submitted:
    record = json.loads(kept or "{}")
    if record.get("fingerprint", fingerprint) != fingerprint:
        raise KeyMismatch
    if "job_ids" not in record:
        raise KeyInUse
    return record["batch_id"], record["job_ids"]
