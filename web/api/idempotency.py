"""`Idempotency-Key`: a request that is sent twice, because its answer was lost, makes its jobs once.

After draft-ietf-httpapi-idempotency-key-header-07: 409 while the first is under way, 422 for another request with the
same key, the first one's answer for a day.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence

from flask import g
from werkzeug.datastructures import FileStorage

from tasks.services import get_ledger
from web.api.inputs import JobFields
from web.api.problems import Problem

KEPT_S = 86_400
UNDER_WAY_S = 120  # after which a request whose process died no longer blocks its key
CHUNK_BYTES = 1 << 20

Submitted = tuple[str, list[str]]  # batch id, job ids


def submit_once(key: str, fingerprint: str, submit: Callable[[], Submitted]) -> tuple[Submitted, bool]:
    """What `submit` returned for this key, and whether it was an earlier call of it. Raises Problem."""
    redis = get_ledger().redis
    name = f"pf:once:{g.owner}:{hashlib.sha256(key.encode()).hexdigest()}"
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
        raise Problem("key-mismatch")
    if "job_ids" not in record:
        raise Problem("key-in-use", headers={"Retry-After": "2"})
    return record["batch_id"], record["job_ids"]


def fingerprint_of(files: Sequence[FileStorage], fields: JobFields) -> str:
    """The same for the same files and options, whatever the boundaries of the multipart body."""
    digest = hashlib.sha256(fields.model_dump_json(exclude={"file"}).encode())
    for file in files:
        digest.update(f"\0{file.filename}\0".encode())
        while chunk := file.stream.read(CHUNK_BYTES):
            digest.update(chunk)
        file.stream.seek(0)
    return digest.hexdigest()
