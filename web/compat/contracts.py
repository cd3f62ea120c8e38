"""The contracts of other services that this server speaks; the setting COMPAT leaves some or all of them out."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint, APIFlask

from tasks.settings import get_settings
from web.compat import azure, docling, docling_chunks, mistral, mistral_files, openwebui, tika, versions
from web.compat.examples import add_examples

BLUEPRINTS: dict[str, tuple[APIBlueprint, ...]] = {
    "azure": (azure.bp,),
    "docling": (docling.bp, docling_chunks.bp, versions.bp),
    "mistral": (mistral.bp, mistral_files.bp),
    "openwebui": (openwebui.bp,),
    "tika": (tika.bp, versions.bp),
}
BODIES = (
    azure.BODIES
    | docling.BODIES
    | docling_chunks.BODIES
    | mistral.BODIES
    | mistral_files.BODIES
    | openwebui.BODIES
    | tika.BODIES
)  # that APIFlask does not read, by path and method

METHODS = {"get", "put", "post", "delete"}


def register_contracts(app: APIFlask) -> None:
    served = (blueprint for name in get_settings().contracts() for blueprint in BLUEPRINTS[name])
    for blueprint in dict.fromkeys(served):
        app.register_blueprint(blueprint)


def describe_bodies(spec: dict[str, Any]) -> None:
    """Tell OpenAPI of the bodies that APIFlask does not read, and show examples."""
    for (path, method), content in BODIES.items():
        if path in spec["paths"]:
            spec["paths"][path][method]["requestBody"] = {"content": dict(content)}
    for methods in spec["paths"].values():
        for method in METHODS & methods.keys():
            add_examples(methods[method])
