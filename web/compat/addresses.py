"""Addresses of this server for answers in which clients want whole ones."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from flask import request

HOST = re.compile(r"[A-Za-z0-9._\-\[\]:]{1,255}")


def own_address() -> str:
    """Where this client reaches the server; behind a proxy, what X-Forwarded-Proto and X-Forwarded-Host say.

    It goes back to nobody but who sent these headers.
    """
    proto = first_of("X-Forwarded-Proto")
    return f"{proto if proto in ('http', 'https') else request.scheme}://{own_host()}"


def own_host() -> str:
    host = first_of("X-Forwarded-Host")
    return host if HOST.fullmatch(host) else request.host


def first_of(header: str) -> str:
    return request.headers.get(header, "").partition(",")[0].strip()


def own_path(url: str) -> str:
    """The path of a URL of this server; "" for a URL of another, or what is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return parts.path if parts.scheme in ("http", "https") and parts.netloc in (own_host(), request.host) else ""
