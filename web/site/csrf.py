"""Forms carry the token of a cookie that other sites can neither read nor send (double submit)."""

from __future__ import annotations

import hmac
import secrets

from flask import Flask, Response, g, request

from web.api.problems import Problem

COOKIE = "pagefan_csrf"


def register_csrf(app: Flask) -> None:
    app.jinja_env.globals["csrf_token"] = csrf_token
    app.after_request(send_cookie)


def csrf_token() -> str:
    """The token to put into a form; the cookie goes out with the same response."""
    if "csrf" not in g:
        g.csrf = request.cookies.get(COOKIE) or secrets.token_urlsafe(24)
    token: str = g.csrf
    return token


def send_cookie(response: Response) -> Response:
    if "csrf" in g and request.cookies.get(COOKIE) != g.csrf:
        response.set_cookie(COOKIE, g.csrf, httponly=True, samesite="Strict", secure=request.is_secure)
    return response


def check_csrf() -> None:
    """Raise Problem unless the form came from one of our pages in this browser."""
    kept = request.cookies.get(COOKIE, "")
    if not kept:  # before the form is read, which may carry files
        raise Problem("forbidden", "The form came without this browser's token; allow cookies and reload the page.")
    sent = request.form.get("csrf_token", "")
    if not hmac.compare_digest(sent.encode(), kept.encode()):
        raise Problem("forbidden", "The form's token does not fit; it may be too old.")
