"""The API's description: OpenAPI 3.1 at /openapi.json, and the same for people at /docs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from apiflask import APIBlueprint
from flask import current_app, render_template, request

from tasks.access.keys import get_keyring
from web.api.components import hoist, share_schemas, share_tags, tell_apart
from web.api.examples import add_examples
from web.api.inputs import UrlFields
from web.api.outputs import ProblemOut
from web.api.problems import KINDS

PROBLEM_SCHEMA = ProblemOut.model_json_schema()
PROBLEM_CONTENT = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
DESCRIPTION = (
    "Send documents, follow their pages, and fetch the text. Every error is `application/problem+json` "
    "(RFC 9457) with a stable `type` and an `advice` that says what to do. Page numbers count from 1."
)
OF_EVERY_CALL = {
    "401": "A key is needed",
    "403": "Another site sent this, or under a name that is not the server's",
    "429": "The key has used up what it may",
}
RESULT_SCHEMA = Path(__file__).parents[1] / "site" / "static" / "result.schema.json"
WITH_JSON_TOO = ("/api/v1/jobs", "/api/v1/convert")
WITHOUT_KEY = ("/healthz", "/readyz")
API_KEY = {"type": "http", "scheme": "bearer", "description": "Needed where the server has API_KEYS set."}

bp = APIBlueprint("docs", __name__, enable_openapi=False)


def finish_spec(spec: dict[str, Any]) -> dict[str, Any]:
    """Say what APIFlask cannot know: a second kind of body, errors are problem+json, and keys are optional."""
    for path in WITH_JSON_TOO:
        content = spec["paths"][path]["post"]["requestBody"]["content"]
        content["application/json"] = {"schema": {"$ref": "#/components/schemas/UrlFields"}}
    for path, method, operation in operations(spec):
        for status, answer in operation["responses"].items():
            if status >= "400" and path != "/readyz":
                answer["content"] = PROBLEM_CONTENT
            if status in ("204", "304"):
                answer.pop("content", None)
        if path not in WITHOUT_KEY:
            for status, words in OF_EVERY_CALL.items():
                operation["responses"].setdefault(status, {"description": words, "content": PROBLEM_CONTENT})
        if "requestBody" in operation:
            operation["requestBody"]["required"] = True
            operation["responses"].setdefault("400", {"description": "Unreadable body", "content": PROBLEM_CONTENT})
        operation.setdefault("operationId", f"{method}_{path.strip('/').replace('/', '_')}")
    components = spec.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for repeated in ("ValidationError", "HTTPError"):
        schemas.pop(repeated, None)
    schemas |= {"Problem": PROBLEM_SCHEMA | {"title": "Problem"}, "UrlFields": UrlFields.model_json_schema()}
    schemas |= hoist(json.loads(RESULT_SCHEMA.read_text(encoding="utf-8")), "DocumentResult")
    components["securitySchemes"] = {"apiKey": API_KEY}
    spec["security"] = [{}, {"apiKey": []}]
    share_tags(spec)
    share_schemas(spec)
    tell_apart(operations(spec))
    add_examples(spec, operations(spec))
    return spec


def operations(spec: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in spec["paths"].items()
        for method, operation in methods.items()
        if method in ("get", "post", "put", "patch", "delete")
    ]


@bp.get("/docs")
def show_docs() -> str:
    spec = current_app._get_spec()  # type: ignore[attr-defined]
    calls = [describe(spec, *operation) for operation in operations(spec)]
    groups = [(tag, [call for call in calls if tag["name"] in call["tags"]]) for tag in spec["tags"]]
    server = request.host_url.rstrip("/")
    shared = {"server": server, "needs_key": get_keyring().is_needed}
    return render_template("docs.html", spec=spec, groups=groups, kinds=KINDS, **shared)


def describe(spec: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    """One call, flattened for the template."""
    content = operation.get("requestBody", {}).get("content", {})
    fields = [
        describe_schema(spec, schema) | {"name": name, "where": media, "required": name in body.get("required", [])}
        for media, entry in content.items()
        for body in [resolve(spec, entry["schema"])]
        for name, schema in body.get("properties", {}).items()
    ]
    parameters = [
        describe_schema(spec, parameter["schema"])
        | {"name": parameter["name"], "where": parameter["in"], "required": parameter.get("required", False)}
        for parameter in operation.get("parameters", [])
    ]
    return {
        "id": operation["operationId"],
        "path": path,
        "method": method.upper(),
        "summary": operation.get("summary", ""),
        "description": operation.get("description", ""),
        "tags": operation.get("tags", []),
        "inputs": parameters + fields,
        "responses": operation["responses"],
    }


def describe_schema(spec: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    schema = resolve(spec, schema)
    options = [resolve(spec, option) for option in schema.get("anyOf", [schema])]
    kinds = [
        " | ".join(map(str, option["enum"])) if "enum" in option else option.get("type", "object")
        for option in options
        if option.get("type") != "null"
    ]
    return {
        "kind": " or ".join(kinds),
        "default": schema.get("default"),
        "help": schema.get("description", ""),
    }


def resolve(spec: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref", "")
    if not reference:
        return schema
    found: dict[str, Any] = spec["components"]["schemas"][reference.rsplit("/", 1)[-1]]
    return found
