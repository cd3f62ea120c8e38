"""A key in the query, `?api_key=KEY`, as clients of docling-serve send it where they cannot set a header.

It is taken out of the address before anything else sees it, so that no log has it, ours or that of gunicorn.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_plus

from flask import request

NAME = "api_key"
TAKEN = "pagefan.api_key"  # in the environ of a request
WHOLE_ADDRESSES = ("RAW_URI", "REQUEST_URI")
TAKEN_AT = "/v1/"  # elsewhere a key in an address would stand in the history of browsers, and is left out of account


class HidingKeys:
    """WSGI: the application within sees no `api_key` in the query."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        query, key = without_key(environ.get("QUERY_STRING", ""))
        if key is not None:
            environ[TAKEN], environ["QUERY_STRING"] = key, query
            for name in WHOLE_ADDRESSES:
                if name in environ:
                    path = environ[name].partition("?")[0]
                    environ[name] = f"{path}?{query}" if query else path
        answer: Iterable[bytes] = self.app(environ, start_response)
        return answer


def without_key(query: str) -> tuple[str, str | None]:
    """The query without its key, and the key; None where there is none."""
    kept, key = [], None
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if unquote_plus(name).strip().lower() == NAME:
            key = unquote_plus(value).strip()
        else:
            kept.append(part)
    return "&".join(kept), key


def key_of_query() -> str:
    """The key that this request has in its query; "" for none, and where none is taken."""
    return str(request.environ.get(TAKEN, "")) if request.path.startswith(TAKEN_AT) else ""
