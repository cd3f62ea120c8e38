"""What came of a question about a document as a whole, as people see it above its pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import url_for
from markupsafe import Markup

from tasks.assemble.answer import read_answer
from tasks.ledger.records import Job
from web.api.render import render_markdown
from workers.asking.passages import linked
from workers.results.answer import notes_of, text_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownAnswer:
    """`html` is empty for values, and where there is no answer. Values are (path, text, page number or None)."""

    title: str
    html: Markup
    values: Sequence[tuple[str, str, int | None]]
    notes: Sequence[str]
    is_open: bool


def answer_shown(job: Job) -> ShownAnswer | None:
    """None for a job that asks nothing of the document as a whole, or ended before it was asked."""
    answer = read_answer(job)
    if not job.options.asks_document or (answer is None and job.has_ended):
        return None
    title = job.options.question or "Values of the document"
    if answer is None:
        return ShownAnswer(title=title, html=Markup(""), values=(), notes=(), is_open=True)
    values = [(value["path"], text_of(value["value"]), value["page_number"]) for value in answer["values"]]
    text = linked(answer["text"], answer["pages"], lambda number: page_address(job.id, number))
    html = render_markdown(text) if text and not values else Markup("")
    return ShownAnswer(title=title, html=html, values=values, notes=notes_of(answer), is_open=False)


def page_address(job_id: str, number: int) -> str:
    return f"{url_for('pages.show_job', job_id=job_id)}?from={number}#page-{number}"


def values_on(job: Job, page_number: int) -> list[Mapping[str, Any]]:
    """The values of the document that were found on this page, with their boxes."""
    answer = read_answer(job)
    return [value for value in answer["values"] if value["page_number"] == page_number] if answer else []
