"""What is done to several jobs of the list at once: taken away as one ZIP, retried, cancelled, deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl

from apiflask import APIBlueprint
from flask import Response, g, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from tasks.access.quotas import OverQuota
from tasks.archive import load_jobs
from tasks.ids import is_job_id
from tasks.ledger import LedgerError
from tasks.ledger.records import Job
from tasks.repair import PasswordNeeded, cancel_job, retry_job
from tasks.retention import purge_job
from web.api.downloads import pack, wait_for_pdfs
from web.api.problems import Problem
from web.api.results import open_result
from web.site.csrf import check_csrf
from workers.documents.names import file_stem
from workers.results.formats import FORMATS

bp = APIBlueprint("chosen", __name__, enable_openapi=False)

MOST = 200  # jobs at once
TOGETHER = ("md", "txt", "html", "docx", "pdf", "json")  # formats of which several go into one ZIP
LEFT_OUT = "left out.txt"


@bp.post("/jobs/chosen")
def act() -> BaseResponse:
    """The form around the list: `job` once for each that is chosen, and what is to be done."""
    check_csrf()
    jobs = chosen_jobs()
    if not jobs:
        raise Problem("invalid-options", "No job was chosen: go back, and mark one or more in the list.")
    action = request.form.get("action", "")
    if action == "download":
        return download(jobs, request.form.get("format", ""))
    if action not in ACTIONS:
        raise Problem("invalid-options", "The form does not say what to do; reload the list.")
    done = sum(ACTIONS[action](job) for job in jobs)
    return redirect(back_to_list(did=action, done=done, of=len(jobs)), 303)


def chosen_jobs() -> list[Job]:
    """The asker's jobs that the form names; others are passed over, as if they had never been."""
    ids = list(dict.fromkeys(filter(is_job_id, request.form.getlist("job"))))[:MOST]
    return [job for job in load_jobs(ids) if job.owner == g.owner]


def back_to_list(**said: Any) -> str:
    """The list as it was looked at, with what was done."""
    seen = dict(parse_qsl(request.form.get("back", "")))
    seen = {name: value for name, value in seen.items() if name in ("q", "state", "engine", "tag", "since", "until")}
    return url_for("lists_site.show_jobs", **(seen | said))


def cancel(job: Job) -> bool:
    if job.has_ended:
        return False
    cancel_job(job.id)
    return True


def delete(job: Job) -> bool:
    purge_job(job.id, texts_too=True)
    return True


def retry(job: Job) -> bool:
    """Have the pages read again that have no text; False for a job that has none, is at work or needs its password."""
    try:
        retry_job(job.id, pages="failed", options={})
    except (ValueError, LedgerError, OverQuota, PasswordNeeded):
        return False
    return True


ACTIONS: dict[str, Callable[[Job], bool]] = {"cancel": cancel, "delete": delete, "retry": retry}


def download(jobs: list[Job], format: str) -> Response:
    """A ZIP with one file for each job; those that have no result are named in a file of their own."""
    if format not in TOGETHER:
        raise Problem("invalid-options", f"format: {', '.join(TOGETHER)} can be put into one ZIP.")
    if format == "pdf":
        ended = [job for job in jobs if job.has_ended]
        wait_for_pdfs(ended, "The searchable PDFs are being made.", retry_after_s=5)
    response = Response(pack(entries_of(jobs, format)), mimetype="application/zip")
    response.headers["Content-Disposition"] = f"attachment; filename=pagefan-{len(jobs)}-documents.zip"
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def entries_of(jobs: list[Job], format: str) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Names and contents of the files, each name once."""
    names: set[str] = {LEFT_OUT}
    missing: list[str] = []
    for job in jobs:
        try:
            content = open_result(job, format, partial=False)
        except Problem as exc:
            missing.append(f"{job.name}: {exc.detail}\n")
            continue
        yield own_name(job, FORMATS[format].suffix, names), content
    if missing:
        yield LEFT_OUT, iter(["".join(missing).encode()])


def own_name(job: Job, suffix: str, taken: set[str]) -> str:
    """A name that no other file of the archive has, also where capitals count for nothing."""
    stem, number = file_stem(job.name, job.id, room=len(f"-{MOST}.{suffix}")), 1
    name = f"{stem}.{suffix}"
    while name.casefold() in taken:
        number += 1
        name = f"{stem}-{number}.{suffix}"
    taken.add(name.casefold())
    return name
