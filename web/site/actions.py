"""What people do to a job in a browser: the forms of its page and of its pages, which need no JavaScript."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from tasks.repair import cancel_job, rename_job
from tasks.retention import purge_job
from web.api.corrections import MOST_CHARACTERS, correct_text, take_back
from web.api.inputs import NameFields
from web.api.jobs import find_job
from web.api.problems import Problem
from web.api.repairs import RetryFields, retry_pages
from web.site.csrf import check_csrf
from web.site.fields import form_values, validate
from workers.documents.names import clean_name

bp = APIBlueprint("actions", __name__, enable_openapi=False)


@bp.post("/jobs/<job_id>/cancel")
def cancel(job_id: str) -> Response:
    check_csrf()
    cancel_job(find_job(job_id).id)
    return to_job(job_id)


@bp.post("/jobs/<job_id>/retry")
def retry(job_id: str) -> Response:
    check_csrf()
    retry_pages(find_job(job_id), validate(RetryFields, form_values()))
    return to_job(job_id)


@bp.post("/jobs/<job_id>/rename")
def rename(job_id: str) -> Response:
    check_csrf()
    rename_job(find_job(job_id).id, clean_name(validate(NameFields, form_values()).name))
    return to_job(job_id)


@bp.post("/jobs/<job_id>/delete")
def delete(job_id: str) -> Response:
    check_csrf()
    purge_job(find_job(job_id).id, texts_too=True)
    return redirect(url_for("lists_site.show_jobs"), 303)


@bp.post("/jobs/<job_id>/pages/<int:number>/correct")
def correct(job_id: str, number: int) -> Response:
    """The page's text as it stands in the form."""
    check_csrf()
    text = request.form.get("text", "").replace("\r\n", "\n")
    if len(text) > MOST_CHARACTERS:
        raise Problem("invalid-options", f"text: a page has {MOST_CHARACTERS} characters at most.")
    correct_text(find_job(job_id), number, text)
    return to_page(job_id, number)


@bp.post("/jobs/<job_id>/pages/<int:number>/undo")
def undo(job_id: str, number: int) -> Response:
    check_csrf()
    take_back(find_job(job_id), number)
    return to_page(job_id, number)


def to_job(job_id: str) -> Response:
    return redirect(url_for("pages.show_job", job_id=job_id), 303)


def to_page(job_id: str, number: int) -> Response:
    return redirect(url_for("pages.show_page", job_id=job_id, number=number), 303)
