"""`Idempotency-Key`: a request that is sent twice, because its answer was lost, makes its jobs once.

After draft-ietf-httpapi-idempotency-key-header-07: 409 while the first is under way, 422 for another request with the
same key, the first one's answer for a day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from flask import g
from werkzeug.datastructures import FileStorage

from tasks.access import once
from tasks.access.once import KeyInUse, KeyMismatch, Submitted
from web.api.inputs import JobFields
from web.api.problems import Problem

CHUNK_BYTES = 1 << 20


def submit_once(key: str, fingerprint: str, submit: Callable[[], Submitted]) -> tuple[Submitted, bool]:
    """What `submit` returned for this key, and whether it was an earlier call of it. Raises Problem."""
    try:
        return once.submit_once(g.owner, key, fingerprint, submit)
    except KeyMismatch as exc:
        raise Problem("key-mismatch") from exc
    except KeyInUse as exc:
        raise Problem("key-in-use", headers={"Retry-After": "2"}) from exc


def fingerprint_of(files: Sequence[FileStorage], fields: JobFields) -> str:
    """The same for the same files and options, whatever the boundaries of the multipart body."""
    digest = hashlib.sha256(fields.model_dump_json(exclude={"file"}).encode())
    for file in files:
        digest.update(f"\0{file.filename}\0".encode())
        while chunk := file.stream.read(CHUNK_BYTES):
            digest.update(chunk)
        file.stream.seek(0)
    return digest.hexdigest()
