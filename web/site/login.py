"""Lets a browser in with an API key, and out again."""

from __future__ import annotations

import re

from apiflask import APIBlueprint
from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from tasks.access.keys import get_keyring
from tasks.access.sessions import SESSION_TTL_S, close_session, open_session
from web.api.auth import SESSION_COOKIE
from web.site.csrf import check_csrf

OWN_PATH = re.compile(r"/(?!/)[!-\[\]-~]{0,2000}")  # no second slash, no backslash, nothing that browsers leave out

bp = APIBlueprint("login", __name__, enable_openapi=False)


@bp.get("/login")
def show_login() -> str:
    return render_template("login.html", next=request.args.get("next", ""), wrong=False)


@bp.post("/login")
def log_in() -> Response | tuple[str, int]:
    check_csrf()
    owner = get_keyring().owner_of(request.form.get("key", "").strip())
    if owner is None:
        return render_template("login.html", next=request.form.get("next", ""), wrong=True), 401
    response = redirect(own_path(request.form.get("next", "")), 303)
    response.set_cookie(
        SESSION_COOKIE,
        open_session(owner),
        max_age=SESSION_TTL_S,
        httponly=True,
        samesite="Lax",
        secure=request.is_secure,
    )
    return response


@bp.post("/logout")
def log_out() -> Response:
    check_csrf()
    close_session(request.cookies.get(SESSION_COOKIE, ""))
    response = redirect(url_for("login.show_login"), 303)
    response.delete_cookie(SESSION_COOKIE)
    return response


def own_path(target: str) -> str:
    """`target` if it is a path on this server, else the start page."""
    return target if OWN_PATH.fullmatch(target) else url_for("pages.show_upload")
