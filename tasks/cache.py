"""The page cache: what an engine read on an equal image, under equal orders, is not read again.

An entry is one small file, `cache/ab/abcd….json`, whose name is the hash of all that decides the text. Using it
writes it anew, so that its time of change is that of its last use, in any store. No entry outlives JOB_TTL_S unused.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from typing import Any

from tasks.blobs import BlobMissing
from tasks.messages import PageTask
from tasks.runs import load_run
from tasks.services import get_blobs, get_ledger
from tasks.settings import get_settings
from workers.documents.pages import PreparedPage
from workers.engines import Generation, Line
from workers.engines.options import declared
from workers.engines.profiles import profile_of
from workers.layout.blocks import Block

logger = logging.getLogger(__name__)

FOLDER = "cache"
SIZE = "pf:cache"  # in Redis, where what it has is noted
MIB = 1 << 20


def cache_key(page: PageTask, prepared: PreparedPage) -> str:
    """Where the page's text belongs in the cache; "" for a page that is not cached: switched off, or hot."""
    settings, context = get_settings(), load_run(page.job_id, page.run)
    request = context.request(page.index)
    if not settings.page_cache_mb or request.temperature:
        return ""
    options = settings.engine_options(context.engine)
    profile = profile_of(options)
    telling = [getattr(options, known.name) for known in declared(type(options)) if known.tells]
    telling += [profile.prompt, profile.dialect]
    decisive = {
        "owner": context.owner,  # or one key could learn what another has sent, by `cached` or by the time it takes
        "pixels": prepared.digest,
        "engine": [context.engine, prepared.revision, *telling],
        "request": [request.prompt, request.max_new_tokens, request.task, request.language, request.schema],
    }
    return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()


def blob_key(key: str) -> str:
    return f"{FOLDER}/{key[:2]}/{key}.json"


def look_up(key: str) -> dict[str, Any] | None:
    """What was kept under the key, {text, lines, engine, tokens, rotation, notices}; it counts as used now."""
    if not key:
        return None
    try:
        entry = dict(get_blobs().read_json(blob_key(key)))
    except (BlobMissing, ValueError):
        return None
    get_blobs().write_json(blob_key(key), entry)
    return entry


def generation_of(entry: dict[str, Any]) -> Generation:
    """What `look_up` found, as the engine made it."""
    return Generation(
        text=entry["text"],
        tokens=entry["tokens"],
        lines=tuple(Line.from_json(line) for line in entry["lines"]),
        rotation=entry["rotation"],
        notices=tuple(entry.get("notices", ())),
        blocks=tuple(map(Block.from_json, entry.get("blocks", ()))),
        data=entry.get("data", ""),
    )


def keep(key: str, generation: Generation, *, engine: str) -> None:
    """Keep a text that ended by itself; called by the engine's process, when the page is stored."""
    entry = {
        "text": generation.text,
        "lines": [line.to_json() for line in generation.lines],
        "engine": engine,
        "tokens": generation.tokens,
        "rotation": generation.rotation,
        "notices": generation.notices,
        "blocks": [block.to_json() for block in generation.blocks],
        "data": generation.data,
    }
    try:
        get_blobs().write_json(blob_key(key), entry)
    except OSError:
        logger.warning("a page could not be kept in the cache", exc_info=True)


def take_back(job_id: str, key: str) -> None:
    """Remove an entry that was just written of a job if it was purged meanwhile."""
    if get_ledger().is_purged(job_id):
        forget(key)


def forget(key: str) -> None:
    """Remove an entry, for a job that is deleted for good."""
    if key:
        get_blobs().delete(blob_key(key))


def note_size(num_pages: int, num_bytes: int) -> None:
    """Keep for the system page what the cache has; to count it takes long."""
    get_ledger().redis.hset(SIZE, mapping={"pages": num_pages, "bytes": num_bytes, "at": time.time()})


def noted_size() -> dict[str, float]:
    """{pages, bytes, at} as they were when the cache was looked through last; empty where it was not yet."""
    return {name: float(value) for name, value in get_ledger().redis.hgetall(SIZE).items()}


def trim() -> None:
    """Keep the cache within PAGE_CACHE_MB and JOB_TTL_S: what was used longest ago goes first."""
    settings, blobs = get_settings(), get_blobs()
    room, oldest = settings.page_cache_mb * MIB, time.time() - settings.job_ttl_s
    entries = [entry for folder in blobs.names(FOLDER) for entry in blobs.ages(f"{FOLDER}/{folder}")]
    note_size(len(entries), sum(size for _, size, _ in entries))
    dropped = 0
    for used_at, size, key in sorted(entries, reverse=True):
        room -= size
        if room < 0 or used_at < oldest:
            blobs.delete(key)
            dropped += 1
    if dropped:
        logger.info("the page cache gave up %d of %d pages", dropped, len(entries))
