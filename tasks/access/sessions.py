"""Browser sessions: whoever has shown a key gets a token, for a cookie. The store keeps only the token's hash."""

from __future__ import annotations

import secrets

from tasks.access.keys import digest_of, get_keyring
from tasks.services import get_ledger

SESSION_TTL_S = 7 * 86_400


def open_session(owner: str) -> str:
    """Start a session and return its token."""
    token = secrets.token_urlsafe(32)
    get_ledger().redis.set(session_key(token), owner, ex=SESSION_TTL_S)
    return token


def owner_of_session(token: str) -> str | None:
    """Whom the session is of; None once it is over or its key was revoked."""
    owner = get_ledger().redis.get(session_key(token)) if token else None
    return owner if owner and get_keyring().knows(owner) else None


def close_session(token: str) -> None:
    if token:
        get_ledger().redis.delete(session_key(token))


def session_key(token: str) -> str:
    return f"pf:session:{digest_of(token)}"
