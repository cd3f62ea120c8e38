"""The contracts of other services that this server speaks; the setting COMPAT leaves some or all of them out."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint, APIFlask

from tasks.settings import get_settings
from web.compat import openwebui

BLUEPRINTS: dict[str, APIBlueprint] = {"openwebui": openwebui.bp}
BODIES = openwebui.BODIES  # bodies that are no form and no small JSON, by path and method


def register_contracts(app: APIFlask) -> None:
    for name in get_settings().contracts():
        app.register_blueprint(BLUEPRINTS[name])


def describe_bodies(spec: dict[str, Any]) -> None:
    """Tell OpenAPI of the bodies that APIFlask does not read."""
    for (path, method), content in BODIES.items():
        if path in spec["paths"]:
            spec["paths"][path][method]["requestBody"] = {"content": content}
