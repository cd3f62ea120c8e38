"""What the supervisor learns from /readyz of the web server that it has started."""

from __future__ import annotations

import httpx


def ask(base_url: str) -> dict[str, str] | None:
    """What is missing, by the name of the check; empty where all is well, None while nothing answers."""
    try:
        answer = httpx.get(f"{base_url}/readyz", timeout=10)
        checks: dict[str, str] = answer.json()["checks"]
    except (httpx.TransportError, ValueError, KeyError, TypeError):
        return None
    return {name: says for name, says in checks.items() if says != "ok"}
