"""One schema a thing: what APIFlask repeats for each call is shared, as programs that write clients want it."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
PREFIX = "#/components/schemas/"


def share_schemas(spec: Json) -> None:
    """Make `JobsOut.Timings` and `JobOut.Timings` one `Timings`; those that differ keep names of their own."""
    schemas: Json = spec["components"]["schemas"]
    names = {name: name.rpartition(".")[2] for name in schemas}
    renamed = {name: with_names(schema, names) for name, schema in schemas.items()}
    for short in set(names.values()):
        same = [name for name, wanted in names.items() if wanted == short]
        if any(renamed[name] != renamed[same[0]] for name in same):
            names |= {name: name.replace(".", "") for name in same}
    spec["components"]["schemas"] = {names[name]: with_names(schema, names) for name, schema in schemas.items()}
    spec["paths"] = with_names(spec["paths"], names)


def with_names(value: Any, names: dict[str, str]) -> Any:
    """The same JSON, with each `$ref` to the schema's new name."""
    if isinstance(value, list):
        return [with_names(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    if isinstance(reference, str) and reference.startswith(PREFIX):
        name = reference.removeprefix(PREFIX)
        return value | {"$ref": PREFIX + names.get(name, name)}
    return {key: with_names(item, names) for key, item in value.items()}


def hoist(schema: Json, name: str) -> Json:
    """A schema with `$defs` as schemas side by side: itself as `name`, and each part as `name` and the part's own."""
    parts = {part: f"{name}{part[:1].upper()}{part[1:]}" for part in schema.get("$defs", {})}
    whole = {key: value for key, value in schema.items() if key not in ("$schema", "$id", "$defs")}
    found = {name: whole} | {parts[part]: value for part, value in schema.get("$defs", {}).items()}
    moved: Json = with_parts(found, {f"#/$defs/{part}": PREFIX + new for part, new in parts.items()})
    return moved


def with_parts(value: Any, moved: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [with_parts(item, moved) for item in value]
    if isinstance(value, dict):
        return {key: with_parts(item, moved) for key, item in value.items()}
    return moved.get(value, value) if isinstance(value, str) else value


def share_tags(spec: Json) -> None:
    """Each tag once, with the description that one of its blueprints gives."""
    tags: dict[str, Json] = {}
    for tag in spec["tags"]:
        tags[tag["name"]] = tag | tags.get(tag["name"], {})
    spec["tags"] = list(tags.values())


def tell_apart(operations: list[tuple[str, str, Json]]) -> None:
    """Give an id of its own to a call that has two paths: the longer one's names its parameters."""
    seen: set[str] = set()
    for path, _, operation in sorted(operations, key=lambda each: len(each[0])):
        if operation["operationId"] in seen:
            names = [part[1:-1].title() for part in path.split("/") if part.startswith("{")]
            operation["operationId"] += "With" + "".join(names)
        seen.add(operation["operationId"])
