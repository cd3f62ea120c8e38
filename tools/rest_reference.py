"""The REST reference as Markdown, made of the description that the server gives of itself at /openapi.json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, cast

from web.api.docs import describe, operations
from web.api.problems import KINDS
from web.app import create_app

Json = dict[str, Any]

HEAD = """# REST API

Every call of a server, under the address at which it runs; `/docs` shows the same on it. For programs it is
[openapi.json](openapi.json).
"""


def read_spec() -> Json:
    app = create_app()
    with app.app_context():
        return cast(Json, app._get_spec())


def rest_page(spec: Json) -> str:
    return "\n".join([HEAD, *calls(spec), *errors(), *records(spec)]) + "\n"


def calls(spec: Json) -> Iterator[str]:
    described = [describe(spec, *operation) for operation in operations(spec)]
    for tag in spec["tags"]:
        yield f"## {tag['name']}\n\n{tag.get('description', '')}\n"
        for call in described:
            if tag["name"] in call["tags"]:
                yield from one_call(spec, call)


def one_call(spec: Json, call: Json) -> Iterator[str]:
    yield f"### {call['summary']} {{ #{call['id']} }}\n\n`{call['method']} {call['path']}`\n"
    if call["description"]:
        yield f"{call['description']}\n"
    if call["inputs"]:
        yield from table(("Name", "In", "Type", "Default", "Meaning"), (input_cells(one) for one in call["inputs"]))
    yield from table(("Status", "Answer", ""), answers(spec, call))


def input_cells(one: Json) -> tuple[str, ...]:
    default = "needed" if one["required"] else code(json.dumps(one["default"])) if one["default"] else ""
    return code(one["name"]), one["where"].removesuffix("-data"), one["kind"], default, one["help"]


def answers(spec: Json, call: Json) -> Iterator[tuple[str, ...]]:
    """Status, words, and a link to the record of each answer."""
    for status, answer in call["responses"].items():
        schemas = [content.get("schema", {}) for content in answer.get("content", {}).values()]
        names = {name for schema in schemas if (name := schema.get("$ref", "").rsplit("/", 1)[-1])}
        links = ", ".join(link(name) for name in sorted(names) if name in spec["components"]["schemas"])
        yield status, answer.get("description", ""), links


def errors() -> Iterator[str]:
    yield "## Errors\n\nThe `type` of an error is `urn:pagefan:problem:NAME`; it does not change between versions.\n"
    rows = ((code(name), str(kind.status), kind.title, kind.advice) for name, kind in KINDS.items())
    yield from table(("Name", "Status", "What happened", "What to do"), rows)


def records(spec: Json) -> Iterator[str]:
    yield "## Records\n"
    for name, schema in sorted(spec["components"]["schemas"].items()):
        yield f"### {name} {{ #{name.lower()} }}\n\n{schema.get('description', '')}\n"
        fields = schema.get("properties", {})
        if fields:
            yield from table(("Field", "Type", "Meaning"), (field_cells(spec, *field) for field in fields.items()))


def field_cells(spec: Json, name: str, schema: Json) -> tuple[str, ...]:
    options = schema.get("anyOf", [schema])
    inner = [option.get("items", option).get("$ref", "").rsplit("/", 1)[-1] for option in options]
    linked = ", ".join(link(one) for one in inner if one in spec["components"]["schemas"])
    is_list = any(option.get("type") == "array" for option in options)
    kind = f"{'list of ' if is_list else ''}{linked}" if linked else " or ".join(kinds(options))
    return code(name), kind, schema.get("description", "")


def kinds(options: list[Json]) -> Iterator[str]:
    for option in options:
        named = option.get("enum") or option.get("type", "any")
        yield from map(str, named if isinstance(named, list) else [named])


def table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "|" + " --- |" * len(heads)
    for row in rows:
        yield f"| {' | '.join(cell(one) for one in row)} |"
    yield ""


def cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def code(text: str) -> str:
    return f"`{text}`"


def link(name: str) -> str:
    return f"[{name}](#{name.lower()})"
