"""HTTP, and the commands that start it. The application is `web.app`: what only starts processes loads none of it."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    """`web.create_app`, loaded when it is asked for."""
    if name == "create_app":
        return import_module("web.app").create_app
    raise AttributeError(f"module 'web' has no attribute {name!r}")
