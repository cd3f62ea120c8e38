"""What the reader on a job's page asks for: one page as a piece of HTML, and the pages that have some words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apiflask import APIBlueprint
from flask import Response, jsonify, render_template, request

from tasks.ledger.records import Job, Page
from web.api.guests import is_guest
from web.api.jobs import find_job
from web.api.outputs import PageTextOut
from web.api.shown import find_page, page_text_out
from web.site.answer import values_on
from web.site.find import find_words
from web.site.reading import Reading, reading_of
from workers.results.page import WITH_TEXT

bp = APIBlueprint("reader", __name__, enable_openapi=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One page as the reader shows it."""

    page: PageTextOut
    reading: Reading
    has_image: bool
    is_notable: bool
    can_correct: bool
    can_repair: bool
    values: Sequence[Mapping[str, Any]]


@bp.get("/jobs/<job_id>/pages/<int:number>/fragment")
def show_fragment(job_id: str, number: int) -> str:
    """The page's section of the reader."""
    job = find_job(job_id)
    return render_template("fragment.html", job_id=job.id, sheet=sheet_of(job, find_page(job, number)))


@bp.get("/jobs/<job_id>/find")
def find(job_id: str) -> Response:
    """The pages that have the words in `q`."""
    return jsonify(find_words(find_job(job_id), request.args.get("q", "")).model_dump())


def sheet_of(job: Job, page: Page) -> Sheet:
    shown = page_text_out(job, page)
    return Sheet(
        page=shown,
        reading=reading_of(job, shown, with_furniture=False),
        has_image=page.has_image,
        is_notable=page.state in ("ok", "blank") and page.is_notable,
        can_correct=not is_guest() and page.state in WITH_TEXT,
        can_repair=not is_guest(),
        values=values_on(job, page.page_number),
    )


def sheets_of(job: Job, pages: Sequence[Page]) -> list[Sheet]:
    return [sheet_of(job, page) for page in pages]
