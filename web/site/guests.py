"""Who comes by a link that the owner of a document has made: a cookie lets the browser read that one document."""

from __future__ import annotations

import time

from apiflask import APIBlueprint
from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from tasks.access.shares import is_shared, stop_sharing
from tasks.archive import load_job
from tasks.ids import is_job_id
from web.api.guests import COOKIE
from web.api.jobs import find_job
from web.api.problems import Problem
from web.api.shares import ShareFields, share_of
from web.site.csrf import check_csrf
from web.site.fields import form_values, validate

bp = APIBlueprint("guests", __name__, enable_openapi=False)


@bp.get("/shared/<job_id>/<token>")
def come_in(job_id: str, token: str) -> Response:
    job = load_job(job_id) if is_job_id(job_id) else None
    if job is None or not is_shared(job, token):
        raise Problem("not-found", "This link has expired, or its owner has stopped sharing the document.")
    response = redirect(url_for("pages.show_job", job_id=job_id), 303)
    response.set_cookie(
        f"{COOKIE}{job_id}",
        token,
        max_age=int(token.partition(".")[0]) - int(time.time()),
        httponly=True,
        samesite="Lax",
        secure=request.is_secure,
    )
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.post("/jobs/<job_id>/share")
def share(job_id: str) -> str:
    check_csrf()
    job = find_job(job_id)
    made = share_of(job, validate(ShareFields, form_values()).days)
    return render_template("share.html", job_id=job.id, name=job.name, share=made)


@bp.post("/jobs/<job_id>/unshare")
def unshare(job_id: str) -> Response:
    check_csrf()
    stop_sharing(find_job(job_id).id)
    return redirect(url_for("pages.show_job", job_id=job_id), 303)
