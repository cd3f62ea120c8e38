"""What came of a question about a document as a whole, as Markdown and as plain text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.documents.selection import in_ranges
from workers.results.escape import escape_cell
from workers.results.grid import pipe_row

NOT_YET = "There is no answer yet: the pages are being read."

Answer = Mapping[str, Any]  # as `tasks.assemble.answer` writes it


def answer_markdown(answer: Answer | None) -> str:
    """The answer or the table of values, and what to know of it."""
    if answer is None:
        return f"*{NOT_YET}*\n"
    body = values_markdown(answer) if answer["values"] else answer["text"].strip()
    notes = [f"*{note}*" for note in notes_of(answer)]
    return "\n\n".join(filter(None, (body, *notes))) + "\n"


def values_markdown(answer: Answer) -> str:
    rows = [(value["path"], text_of(value["value"]), str(value["page_number"] or "")) for value in answer["values"]]
    head = [pipe_row(("Field", "Value", "Page")), pipe_row(("---",) * 3)]
    return "\n".join(head + [pipe_row([escape_cell(text) for text in row]) for row in rows])


def answer_text(answer: Answer | None) -> str:
    if answer is None:
        return f"{NOT_YET}\n"
    body = "\n".join(map(value_line, answer["values"])) or answer["text"].strip()
    return "\n\n".join(filter(None, (body, *notes_of(answer)))) + "\n"


def value_line(value: Mapping[str, Any]) -> str:
    page = f" (page {value['page_number']})" if value["page_number"] else ""
    return f"{value['path']}: {' '.join(text_of(value['value']).split())}{page}"


def text_of(value: str | float | bool | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def notes_of(answer: Answer) -> list[str]:
    """Sentences: why there is no answer, what pages it is from, and what was not looked at."""
    notes = []
    if answer["error"]:
        notes.append(f"There is no answer: {answer['error']['detail']}")
    elif answer["pages"] and answer["task"] == "ask":
        said = "From" if answer["is_cited"] else "Its words are most like those of"
        notes.append(f"{said} {pages_in_words(answer['pages'])}.")
    if not answer["is_all"]:
        notes.append(f"Asked with what fits best, of {pages_in_words(answer['pages_asked'])}.")
    if answer["missing_pages"]:
        notes.append(f"Without {pages_in_words(answer['missing_pages'])}, which could not be read.")
    return notes


def pages_in_words(numbers: list[int]) -> str:
    shown = in_ranges(numbers)
    return f"page {shown}" if len(numbers) == 1 else f"pages {shown}"
