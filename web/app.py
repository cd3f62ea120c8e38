"""HTTP: the REST API under /api/v1, the pages for people, and the health checks."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from apiflask import APIFlask
from flask import Response

from tasks.settings import get_settings
from web.api import (
    answers,
    batches,
    convert,
    corrections,
    docs,
    events,
    health,
    jobs,
    lists,
    metrics,
    results,
    resumable,
    shares,
    system,
    tables,
)
from web.api.auth import is_signed_in, register_auth
from web.api.bodies import MIB, REQUEST_FACTOR, register_bodies
from web.api.errors import register_errors
from web.api.guests import is_guest
from web.api.render import render_markdown
from web.compat.contracts import describe_bodies, register_contracts
from web.site import actions, chosen, guests, login, pages, reader, thumbnails
from web.site import lists as lists_site
from web.site import system as system_site
from web.site.csrf import register_csrf
from web.site.wording import pace, with_code

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)


def create_app() -> APIFlask:
    """The WSGI application; its settings come from the environment."""
    app = APIFlask(
        "web",
        title="Pagefan",
        version=own_version(),
        docs_path=None,
        template_folder="site/templates",
        static_folder="site/static",
    )
    app.config.update(
        MAX_CONTENT_LENGTH=REQUEST_FACTOR * get_settings().max_upload_mb * MIB,
        AUTO_404_RESPONSE=False,
        HTTP_ERROR_SCHEMA=docs.PROBLEM_SCHEMA,
        VALIDATION_ERROR_SCHEMA=docs.PROBLEM_SCHEMA,
        DESCRIPTION=docs.DESCRIPTION,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals["pace"] = pace
    app.jinja_env.filters |= {"with_code": with_code, "markdown": render_markdown}
    register_errors(app)
    register_auth(app)
    register_bodies(app)
    register_csrf(app)
    app.context_processor(tell_pages(system_site.Banner()))
    of_job = (jobs.bp, lists.bp, events.bp, results.bp, answers.bp, corrections.bp, shares.bp, tables.bp, resumable.bp)
    of_api = (*of_job, convert.bp, batches.bp, health.bp, metrics.bp, system.bp)
    for blueprint in (
        *of_api,
        login.bp,
        pages.bp,
        lists_site.bp,
        system_site.bp,
        chosen.bp,
        thumbnails.bp,
        actions.bp,
        guests.bp,
        reader.bp,
        docs.bp,
    ):
        app.register_blueprint(blueprint)
    register_contracts(app)
    app.spec_processor(finish_spec)
    app.after_request(harden)
    return app


def tell_pages(banner: system_site.Banner) -> Callable[[], dict[str, Any]]:
    """What every page for people knows."""
    return lambda: {
        "signed_in": is_signed_in(),
        "is_guest": is_guest(),
        "is_admin": system_site.is_admin(),
        "standstill": banner.said(),
    }


def finish_spec(spec: dict[str, Any] | str) -> dict[str, Any] | str:
    if isinstance(spec, str):
        return spec
    describe_bodies(spec)
    return docs.finish_spec(spec)


def own_version() -> str:
    try:
        return version("pagefan-server")
    except PackageNotFoundError:
        return "0"


def harden(response: Response) -> Response:
    """Headers that keep a page from being more than what we serve."""
    headers = response.headers
    headers.setdefault("Content-Security-Policy", POLICY)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
    return response
