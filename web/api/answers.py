"""REST: what came of a question about a document as a whole."""

from __future__ import annotations

from typing import Any, Literal

from apiflask import APIBlueprint
from pydantic import BaseModel, Field

from tasks.assemble.answer import read_answer
from web.api.jobs import find_job
from web.api.outputs import Fault
from web.api.problems import Problem

TAG = {"name": "Results", "description": "Pages, their images, and the text."}

bp = APIBlueprint("answers", __name__, url_prefix="/api/v1/jobs/<job_id>", tag=TAG)


class ValueOut(BaseModel):
    """One value that was extracted."""

    path: str = Field(description="Where it stands in `data`, such as `items[0].price`.")
    value: str | int | float | bool | None
    page_number: int | None = Field(description="The page that it was found on, from 1; null where it was not.")
    box: tuple[float, float, float, float] | None = Field(
        description="x0, y0, x1, y1 in pixels of the page image; null where the value was not found."
    )


class AnswerOut(BaseModel):
    """What came of a question about the document, or of the values that were wanted of it. Pages count from 1."""

    task: Literal["ask", "extract"]
    question: str
    text: str = Field(description="The answer as Markdown, with pages such as `[page 3]`; of values a table.")
    is_found: bool = Field(description="Whether the document has an answer.")
    pages: list[int] = Field(description="The pages that the answer cites, or that its values were found on.")
    is_cited: bool = Field(
        description="Whether the model named them; else they are those whose words are the answer's."
    )
    pages_asked: list[int] = Field(description="The pages of whose text the model was given.")
    is_all: bool = Field(description="Whether that was all the text of the document.")
    missing_pages: list[int] = Field(description="Pages that could not be read, and that nobody looked at.")
    data: dict[str, Any] | None = Field(description="With `task=extract`: valid by the schema.")
    values: list[ValueOut]
    error: Fault | None
    engine: str
    tokens: int
    seconds: float


@bp.get("/answer")
@bp.output(AnswerOut)
@bp.doc(
    responses={404: "Unknown job", 409: "Nothing was asked, or it is not answered yet", 503: "Job store away"},
    operation_id="getAnswer",
)
def get_answer(job_id: str) -> AnswerOut:
    """The answer

    Of a job with `scope=document`: what was said to its question, or the values, with their pages.
    """
    job = find_job(job_id)
    if not job.options.asks_document:
        raise Problem("no-result", "Nothing was asked about this document as a whole; that takes `scope=document`.")
    answer = read_answer(job)
    if answer is None:
        kind = "no-result" if job.has_ended else "not-finished"
        raise Problem(kind, f"The job is {job.state}, without an answer.", {"Retry-After": "1"})
    return AnswerOut(**answer)
