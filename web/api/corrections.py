"""REST: a page's text corrected by a person, and taken back; what was read stays."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import Response
from pydantic import Field

from tasks.corrections import NotCorrected, correct_page, undo_correction
from tasks.ledger.records import Job
from web.api.inputs import Input
from web.api.jobs import find_job
from web.api.outputs import Answers, PageTextOut
from web.api.page_source import shown_source
from web.api.problems import Problem
from web.api.shown import find_page, page_text_out

MOST_CHARACTERS = 200_000  # of a page; one of a book has some 3,000
TEXT_ANSWERS: Answers = {
    200: {"description": "The page's Markdown", "content": {"text/markdown": {"schema": {"type": "string"}}}},
    404: {"description": "Unknown job or page"},
    503: {"description": "Job store away"},
}
RESPONSES = {404: "Unknown job or page", 409: "The job runs, or the page has no text", 503: "Job store away"}

bp = APIBlueprint("corrections", __name__, url_prefix="/api/v1/jobs/<job_id>/pages/<int:number>", tag="Results")


class CorrectionFields(Input):
    """What a page says, by a person."""

    text: str = Field(max_length=MOST_CHARACTERS, description="The page's whole text as Markdown; may be empty.")


@bp.get("/text")
@bp.doc(responses=TEXT_ANSWERS, operation_id="getPageText")
def get_text(job_id: str, number: int) -> Response:
    """A page's text as Markdown

    By itself, without running heads; what `PUT` takes when it has been corrected.
    """
    job = find_job(job_id)
    text = shown_source(job, page_text_out(job, find_page(job, number)))
    response = Response(text, content_type="text/markdown; charset=utf-8")
    response.headers["Cache-Control"] = "private, no-cache"
    return response


@bp.put("/text")
@bp.input(CorrectionFields, location="json")
@bp.output(PageTextOut)
@bp.doc(responses=RESPONSES, operation_id="correctPage")
def correct(job_id: str, number: int, json_data: CorrectionFields) -> PageTextOut:
    """Correct a page's text

    Once the job has ended. The text stands in the place of what was read in all formats, with the places on the page of
    the words that it keeps or corrects. What was read is kept beside it, and reading the page again does not end the
    correction.
    """
    job = find_job(job_id)
    correct_text(job, number, json_data.text)
    return page_now(job_id, number)


@bp.delete("/text")
@bp.output(PageTextOut)
@bp.doc(responses=RESPONSES, operation_id="undoCorrection")
def undo(job_id: str, number: int) -> PageTextOut:
    """Take a correction back

    What was read stands for the page again.
    """
    take_back(find_job(job_id), number)
    return page_now(job_id, number)


def page_now(job_id: str, number: int) -> PageTextOut:
    job = find_job(job_id)
    return page_text_out(job, find_page(job, number))


def correct_text(job: Job, number: int, text: str) -> None:
    """Raises Problem where the page's text cannot be corrected now."""
    page = find_page(job, number)
    shown = shown_source(job, page_text_out(job, page, as_read=True))
    try:
        correct_page(job.id, page, shown=shown, text=text)
    except NotCorrected as exc:
        raise refusal(number, str(exc)) from exc


def take_back(job: Job, number: int) -> None:
    try:
        undo_correction(job.id, find_page(job, number))
    except NotCorrected as exc:
        raise refusal(number, str(exc)) from exc


def refusal(number: int, why: str) -> Problem:
    if why == "no_text":
        return Problem("no-text", f"Page {number} has no text that could be corrected.")
    return Problem("still-running", "Texts can be corrected once the job has ended.", {"Retry-After": "3"})
