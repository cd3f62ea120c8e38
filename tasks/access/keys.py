"""API keys made by `pagefan keys`: one small file a key among the blobs, so that they outlive Redis.

Only a key's SHA-256 is kept. A slow, salted hash would protect short passwords from guessing; a key has 256 random
bits, which nobody guesses, and is checked with every request. A revoked key keeps its file: a server whose keys are
all revoked must not fall back to asking for none.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
import threading
import time
from dataclasses import asdict, dataclass, replace
from functools import cache

from tasks.blobs import BlobMissing, Blobs
from tasks.services import get_blobs
from tasks.settings import get_settings

logger = logging.getLogger(__name__)

LOCAL = "local"  # who everybody is where no key is asked for
FRESH_S = 5.0  # time until a web process sees that a key was made or revoked
FORM = re.compile(r"pf_([0-9a-f]{8})_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """What is kept of a key. `id` is its second part and no secret; times are Unix seconds."""

    id: str
    name: str
    digest: str
    created_at: float
    revoked_at: float | None = None
    is_admin: bool = False

    @property
    def owner(self) -> str:
        return f"key-{self.id}"


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def key_path(id: str) -> str:
    return f"keys/{id}.json"


def create_key(name: str, blobs: Blobs, *, is_admin: bool = False) -> tuple[ApiKey, str]:
    """A new key and its text, which is shown once and kept nowhere. An admin's also opens the system page."""
    id = secrets.token_hex(4)
    text = f"pf_{id}_{secrets.token_urlsafe(32)}"
    key = ApiKey(id=id, name=name, digest=digest_of(text), created_at=time.time(), is_admin=is_admin)
    blobs.write_json(key_path(id), asdict(key))
    return key, text


def read_keys(blobs: Blobs) -> list[ApiKey]:
    """All keys, the revoked too, the oldest first."""
    names = [name for name in blobs.names("keys") if name.endswith(".json")]
    return sorted((ApiKey(**blobs.read_json(f"keys/{name}")) for name in names), key=lambda key: key.created_at)


def revoke_key(id: str, blobs: Blobs) -> ApiKey | None:
    """Let the key open nothing from now on; None for an unknown id."""
    if not re.fullmatch(r"[0-9a-f]{8}", id):
        return None
    try:
        key = ApiKey(**blobs.read_json(key_path(id)))
    except BlobMissing:
        return None
    if key.revoked_at is None:
        key = replace(key, revoked_at=time.time())
        blobs.write_json(key_path(id), asdict(key))
    return key


class Keyring:
    """The keys as this process knows them, read again every FRESH_S; safe to share between threads."""

    def __init__(self, blobs: Blobs, static: str) -> None:
        self._blobs = blobs
        self._static = {
            "key-" + digest_of(key)[:16]: digest_of(key) for key in map(str.strip, static.split(",")) if key
        }
        self._keys: dict[str, ApiKey] = {}
        self._read_at = float("-inf")
        self._lock = threading.Lock()

    def keys(self) -> dict[str, ApiKey]:
        """By id. While the store is away the keys read last stay good; raises OSError when there were none yet."""
        with self._lock:
            if time.monotonic() - self._read_at > FRESH_S:
                try:
                    self._keys = {key.id: key for key in read_keys(self._blobs)}
                except OSError as exc:
                    if self._read_at < 0:
                        raise
                    logger.warning("the API keys could not be read again: %s", exc)
                self._read_at = time.monotonic()
            return self._keys

    @property
    def is_needed(self) -> bool:
        """Whether requests have to show a key."""
        return bool(self._static or self.keys())

    def owner_of(self, text: str) -> str | None:
        """Whose jobs this key opens; None for a key that opens none. Compares in constant time."""
        digest = digest_of(text)
        matches = [owner for owner, known in self._static.items() if hmac.compare_digest(digest, known)]
        form = FORM.fullmatch(text)
        key = self.keys().get(form[1]) if form else None
        if key and hmac.compare_digest(digest, key.digest) and key.revoked_at is None:
            matches.append(key.owner)
        return matches[0] if matches else None

    def is_admin(self, owner: str) -> bool:
        """Whether the owner may see how the system does: whoever has an admin's key, all where there are no keys."""
        if not self.is_needed:
            return owner == LOCAL
        admins = (key.owner for key in self.keys().values() if key.is_admin and key.revoked_at is None)
        return owner in admins

    def knows(self, owner: str) -> bool:
        """Whether the owner's key still opens something."""
        stored = (key.owner for key in self.keys().values() if key.revoked_at is None)
        return owner in self._static or owner in stored


@cache
def get_keyring() -> Keyring:
    return Keyring(get_blobs(), get_settings().api_keys)
