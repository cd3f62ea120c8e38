"""Who reads a document by a link that its owner has made: what they may see of it."""

from __future__ import annotations

from flask import g, request

from tasks.access.shares import is_shared
from tasks.archive import load_job
from tasks.ids import is_job_id
from web.api.problems import Problem

COOKIE = "pagefan_share_"  # and the job's id
READ_ONLY = frozenset(
    {
        "pages.show_job",
        "pages.show_page",
        "reader.show_fragment",
        "reader.find",
        "results.get_image",
        "results.get_result",
        "corrections.get_text",
        "tables.get_table",
        "tables.get_figure",
    }
)
NOT_FOR_GUESTS = ("json", "zip")  # they have the job's options and addresses


def shared_owner() -> str | None:
    """Whose document a guest asks to read, by the cookie of a link; None for all other requests."""
    job_id = str((request.view_args or {}).get("job_id", ""))
    token = request.cookies.get(f"{COOKIE}{job_id}", "")
    if not token or request.endpoint not in READ_ONLY or request.method not in ("GET", "HEAD"):
        return None
    job = load_job(job_id) if is_job_id(job_id) else None
    return job.owner if job and is_shared(job, token) else None


def is_guest() -> bool:
    return bool(g.get("is_guest"))


def refuse_guest(format: str) -> None:
    if is_guest() and format in NOT_FOR_GUESTS:
        raise Problem("forbidden", f"The link is for reading; {format} is for the owner of the document.")
