"""The forms of ids and keys, which become paths and keys in Redis; so what comes in from outside is checked here."""

from __future__ import annotations

import hashlib
import re
import secrets

FORM = re.compile(r"[0-9a-f]{16}")
EVENT = re.compile(r"([0-9a-f]{16})\.[0-9]{1,9}\.[a-z]{1,20}")  # tasks.assemble.webhooks.event_id
MOST_NUMBER = 10**9  # of runs, positions and indexes
MOST_KEY = 500  # characters


class BadId(ValueError):
    """This is no id of ours, and nothing is done about it."""


class BadKey(ValueError):
    """This is no key of ours: it would lead out of the store."""


def new_job_id() -> str:
    return secrets.token_hex(8)


def attachment_id(parent: str, number: int) -> str:
    """The id of the job of an attached file, the same at each try; `number` is its place in the document, from 1."""
    return hashlib.sha256(f"{check_job_id(parent)}/{number}".encode()).hexdigest()[:16]


def is_job_id(value: object) -> bool:
    return isinstance(value, str) and FORM.fullmatch(value) is not None


def check_job_id(value: object) -> str:
    """The id as it is; raises BadId for anything that `new_job_id` does not make."""
    if isinstance(value, str) and FORM.fullmatch(value):
        return value
    raise BadId(f"{value!r:.80} is not the id of a job")


def check_number(value: object) -> int:
    """A run, a position or an index; raises BadId for what is none."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_NUMBER:
        return value
    raise BadId(f"{value!r:.80} is not a number of a run or a page")


def check_event(value: object, job_id: str) -> str:
    """The name of an end of this job; raises BadId for another text."""
    match = EVENT.fullmatch(value) if isinstance(value, str) else None
    if match and match[1] == job_id:
        return match[0]
    raise BadId(f"{value!r:.80} is not the end of a job")


def check_key(key: str) -> str:
    """The key as it is: names with single slashes between them. Raises BadKey for every other form."""
    if len(key) > MOST_KEY or "\\" in key or not key.isprintable():
        raise BadKey(f"{key!r:.80} is not a key")
    if any(part in ("", ".", "..") for part in key.split("/")):
        raise BadKey(f"{key!r:.80} is not a key: a part of it is no name")
    return key
