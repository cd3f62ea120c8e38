"""The JSON schemas that values are extracted by: which of them are taken, and what an answer lacks of one.

A schema comes from outside and is checked against what a model writes, so that what could cost without end is refused:
references that lead out of it or in a circle, and patterns, whose matching may take for ever.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match
from referencing import Registry

MAX_CHARS = 16_000  # of the schema, for it stands in every page's prompt
MAX_DEPTH = 24
MAX_NODES = 4000  # with each reference followed wherever it stands
REFUSED = ("pattern", "patternProperties", "$dynamicRef", "$recursiveRef", "$id", "$anchor")
MAX_ERROR_CHARS = 300


class BadSchema(ValueError):
    """The schema cannot be used; the message says why and what to do."""


def check_schema(text: str) -> str:
    """The schema without its white space. Raises BadSchema for one that is not taken."""
    if len(text) > MAX_CHARS:
        raise BadSchema(f"the schema is longer than {MAX_CHARS} characters; leave descriptions out, or ask in parts")
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise BadSchema(f"the schema is no JSON: {exc}") from exc
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise BadSchema('the schema has to be of an object: {"type": "object", "properties": {…}}')
    _measure(schema, schema, 0, [0])
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as exc:
        raise BadSchema(f"the schema is not valid at {exc.json_path}: {exc.message[:MAX_ERROR_CHARS]}") from exc
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":"))


def _measure(node: Any, root: dict[str, Any], depth: int, seen: list[int]) -> None:
    """Count the parts of a schema, each reference as what it names. Raises BadSchema beyond the limits."""
    seen[0] += 1
    if depth > MAX_DEPTH or seen[0] > MAX_NODES:
        raise BadSchema(f"the schema is nested deeper than {MAX_DEPTH}, or too large once its $ref are followed")
    if isinstance(node, list):
        for part in node:
            _measure(part, root, depth + 1, seen)
    elif isinstance(node, dict):
        for name, part in node.items():
            if name in REFUSED and not isinstance(part, dict | bool):
                raise BadSchema(f"`{name}` is not taken in a schema; use enum, or look at the values yourself")
            _measure(part, root, depth + 1, seen)
        if isinstance(node.get("$ref"), str):
            _measure(_resolved(node["$ref"], root), root, depth + 1, seen)


def _resolved(ref: str, root: dict[str, Any]) -> Any:
    """What a reference within the schema names; raises BadSchema for one that leads elsewhere."""
    found: Any = root
    for step in ref.removeprefix("#").split("/")[1:]:
        found = found.get(step) if isinstance(found, dict) else None
    if not ref.startswith("#/") or not isinstance(found, dict | bool):
        raise BadSchema(f"$ref {ref[:80]!r} names nothing in the schema; put it under $defs and write #/$defs/NAME")
    return found


@lru_cache(maxsize=32)
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(schema), registry=Registry())


def fault_of(schema: str, value: Any) -> str:
    """Where a value does not fit a schema that was checked, in a sentence; empty where it does."""
    try:
        error = best_match(_validator(schema).iter_errors(value))
    except RecursionError:
        return "it is nested too deeply"
    return "" if error is None else f"at {error.json_path}: {error.message[:MAX_ERROR_CHARS]}"
