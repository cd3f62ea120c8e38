"""Turns every error into a response: problem+json for programs, a page for people, never a traceback."""

from __future__ import annotations

import json
import logging

from apiflask import HTTPError
from flask import Flask, Response, redirect, render_template, request, url_for
from kombu.exceptions import OperationalError
from werkzeug.exceptions import ClientDisconnected, HTTPException
from werkzeug.wrappers import Response as BaseResponse

from tasks.access.quotas import OverQuota
from tasks.ledger import IdTaken, LedgerError, PageBusy, StoreAway, UnknownJob
from web.api.bodies import why_too_large
from web.api.problems import Problem

logger = logging.getLogger(__name__)

RETRY_AFTER_S = 5
MOST_ERRORS = 20  # named in one answer

FOR_PEOPLE = (
    "docs",
    "login",
    "pages",
    "actions",
    "guests",
    "lists_site",
    "chosen",
    "thumbnails",
    "system_site",
)  # blueprints

BY_STATUS = {
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    413: "too-large",
    415: "unsupported-media-type",
    422: "invalid-options",
    429: "too-many-requests",
    503: "unavailable",
}


def respond(problem: Problem) -> BaseResponse:
    """The response for a problem: JSON for programs, a page for people."""
    body = problem.body()
    headers = dict(problem.headers)
    if problem.status in (429, 503):
        headers.setdefault("Retry-After", str(RETRY_AFTER_S))
    if is_for_people():
        if problem.kind == "unauthorized":
            return redirect(url_for("login.show_login", next=request.full_path.rstrip("?")), 303)
        return Response(render_template("error.html", problem=body), problem.status, headers)
    return Response(json.dumps(body), problem.status, headers, content_type="application/problem+json")


def is_for_people() -> bool:
    if request.path.startswith(("/api/", "/openapi.json")) or request.blueprint not in (None, *FOR_PEOPLE):
        return False
    return request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"


def register_errors(app: Flask) -> None:
    app.register_error_handler(Problem, respond)
    app.register_error_handler(HTTPError, on_api_error)
    app.register_error_handler(HTTPException, on_http_error)
    for away in (StoreAway, OperationalError):
        app.register_error_handler(away, on_store_away)
    app.register_error_handler(OverQuota, on_over_quota)
    app.register_error_handler(LedgerError, on_ledger_error)
    app.register_error_handler(Exception, on_bug)


def on_api_error(error: HTTPError) -> BaseResponse:
    """APIFlask's own errors: options that do not validate, first of all."""
    if error.status_code != 422:
        return respond(Problem(BY_STATUS.get(error.status_code, "bad-request"), str(error.message)))
    errors = [
        {"option": option.replace("_schema", "request"), "message": message.removeprefix("Value error, ")}
        for options in dict(error.detail).values()
        for option, messages in options.items()
        for message in messages
    ][:MOST_ERRORS]
    detail = "; ".join(f"{entry['option']}: {entry['message']}" for entry in errors)
    return respond(Problem("invalid-options", detail, extra={"errors": errors}))


def on_http_error(error: HTTPException) -> BaseResponse:
    """Flask's and Werkzeug's own errors; redirects pass as they are."""
    code = error.code or 500
    if code < 400:
        return Response(error.get_response().response, code, error.get_headers())
    if isinstance(error, ClientDisconnected):
        return respond(Problem("bad-request", "The body breaks off before its Content-Length; send it again, whole."))
    if code == 413:
        return respond(why_too_large())
    kept = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    return respond(Problem(BY_STATUS.get(code, "internal" if code >= 500 else "bad-request"), headers=kept))


def on_store_away(error: Exception) -> BaseResponse:
    logger.warning("%s %s: the job store is away: %s", request.method, request.path, error)
    return respond(Problem("unavailable"))


def on_ledger_error(error: LedgerError) -> BaseResponse:
    if isinstance(error, UnknownJob):
        return respond(Problem("unknown-job"))
    if isinstance(error, IdTaken):
        return respond(Problem("unavailable", str(error), {"Retry-After": "1"}))
    kind = "page-busy" if isinstance(error, PageBusy) else "nothing-to-retry"
    return respond(Problem(kind, str(error)))


def on_over_quota(error: OverQuota) -> BaseResponse:
    return respond(Problem("quota-exceeded", error.detail, {"Retry-After": str(error.retry_after_s)}))


def on_bug(error: Exception) -> BaseResponse:
    logger.error("%s %s failed", request.method, request.path, exc_info=error)
    return respond(Problem("internal"))
