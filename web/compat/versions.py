"""`GET /version`, which clients of several services ask for."""

from __future__ import annotations

from typing import Any, cast

from apiflask import APIBlueprint, APIFlask
from flask import Response, current_app, jsonify, request

from web.api.outputs import Answers

TAG = {"name": "Version", "description": "What clients of other services are told of this server."}
CONTENT: dict[str, dict[str, Any]] = {
    "application/json": {"schema": {"type": "object", "required": ["pagefan"]}},
    "text/plain": {"schema": {"type": "string"}},
}

ANSWERS: Answers = {200: {"description": "Pagefan's version", "content": CONTENT}}

bp = APIBlueprint("versions", __name__, tag=TAG)


@bp.get("/version")
@bp.doc(operation_id="version", responses=ANSWERS)
def show_version() -> Response:
    """The version, as JSON, or as text for clients of Tika"""
    number = cast("APIFlask", current_app).version
    if request.accept_mimetypes.best_match(["application/json", "text/plain"]) == "text/plain":
        return Response(f"Pagefan {number}", mimetype="text/plain")
    return jsonify(pagefan=number)
