"""What people write on their jobs to find them again: metadata, keys with short values, and tags."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

MOST = 16  # keys, and tags, of a job
MOST_VALUE = 512  # characters
IN_QUERY = "metadata."  # before a key, in a query

Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Value = Annotated[str, StringConstraints(max_length=MOST_VALUE)]
Tag = Annotated[str, StringConstraints(pattern=r"^[^,\x00-\x20\x7f]{1,64}$")]


def read_json(value: Any) -> Any:
    """What a form has as text; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as exc:
        raise ValueError('write it as JSON, such as {"customer": "42"}') from exc


def split_tags(value: Any) -> Any:
    """Each tag once, of a text with commas or of several; anything else as it is."""
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        return value
    return list(dict.fromkeys(tag.strip() for part in parts for tag in part.split(",") if tag.strip()))


Metadata = Annotated[dict[Key, Value], Field(max_length=MOST), BeforeValidator(read_json)]
MetadataInQuery = Annotated[Metadata, WithJsonSchema({"type": "string"})]
Tags = Annotated[list[Tag], Field(max_length=MOST), BeforeValidator(split_tags)]


def gather_metadata(values: dict[str, Any]) -> dict[str, Any]:
    """A query's values, with all `metadata.KEY` of it together as JSON under `metadata`."""
    named = {name: value for name, value in values.items() if name.startswith(IN_QUERY)}
    rest = {name: value for name, value in values.items() if name not in named}
    if not named:
        return rest
    given = read_json(rest.get("metadata", {}))
    both = (given if isinstance(given, dict) else {}) | {key[len(IN_QUERY) :]: value for key, value in named.items()}
    return rest | {"metadata": json.dumps(both)}
