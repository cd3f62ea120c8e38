"""Who is asking: API keys for programs, a session cookie for browsers. Without API_KEYS all are `local`."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from urllib.parse import urlsplit

from flask import Flask, g, request

from tasks.services import get_ledger
from tasks.settings import get_settings
from web.problems import Problem

LOCAL = "local"
SESSION_COOKIE = "pagefan_session"
SESSION_TTL_S = 7 * 86_400
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
OPEN_PATHS = ("/healthz", "/readyz", "/login", "/static/", "/openapi.json", "/docs")


def register_auth(app: Flask) -> None:
    app.before_request(refuse_other_sites)
    app.before_request(identify)


def refuse_other_sites() -> None:
    """A page of another site must not act through the browser of someone who may use this server."""
    if request.method in SAFE_METHODS:
        return
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "none")
    if site not in ("none", "same-origin") or (origin and urlsplit(origin).netloc != request.host):
        raise Problem("forbidden", "The browser says that another site sent this request.")


def identify() -> None:
    """Set `g.owner`, whose jobs this request sees; raises Problem when a key is needed and none fits."""
    g.owner = LOCAL
    if not get_settings().api_keys or request.path.startswith(OPEN_PATHS):
        return
    owner = owner_of_key(sent_key()) or owner_of_session(request.cookies.get(SESSION_COOKIE, ""))
    if owner is None:
        raise Problem("unauthorized", headers={"WWW-Authenticate": 'Bearer realm="pagefan"'})
    g.owner = owner


def sent_key() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else request.headers.get("X-API-Key", "")


def owner_of_key(key: str) -> str | None:
    """The owner a key stands for; every key is compared in constant time."""
    known = [item.strip() for item in get_settings().api_keys.split(",") if item.strip()]
    matches = [hmac.compare_digest(key.encode(), item.encode()) for item in known]
    return "key-" + hashlib.sha256(key.encode()).hexdigest()[:16] if key and any(matches) else None


def is_signed_in() -> bool:
    """Whether a browser session is behind this request, so that it can be ended."""
    return g.get("owner", LOCAL) != LOCAL and SESSION_COOKIE in request.cookies


def session_key(token: str) -> str:
    return "pf:session:" + hashlib.sha256(token.encode()).hexdigest()


def owner_of_session(token: str) -> str | None:
    return get_ledger().redis.get(session_key(token)) if token else None


def open_session(owner: str) -> str:
    """Start a browser session and return the cookie's value; the store keeps only its hash."""
    token = secrets.token_urlsafe(32)
    get_ledger().redis.set(session_key(token), owner, ex=SESSION_TTL_S)
    return token


def close_session(token: str) -> None:
    if token:
        get_ledger().redis.delete(session_key(token))
