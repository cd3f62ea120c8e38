"""The Markdown of results cut into pages, and put together again without the marks of pages."""

from __future__ import annotations

import pytest
from web_service import WebService

from tasks.archive import load_job
from tasks.ledger.records import Job
from web.compat.answers import markdown_parts, text_parts, whole_markdown


def job_of(web: WebService, *texts: str | None) -> Job:
    """A job whose pages have these texts; None is a page that could not be read."""
    job_id = web.open(len(texts))
    for number, text in enumerate(texts, 1):
        if text is None:
            web.fail(job_id, number)
        else:
            web.read(job_id, number, text)
    web.finish(job_id)
    job = load_job(job_id)
    assert job
    return job


def written(monkeypatch: pytest.MonkeyPatch, markdown: str) -> None:
    monkeypatch.setattr("web.compat.answers.read_result", lambda *_: markdown)


def test_paragraph_that_goes_on_is_one_in_the_whole_and_each_pages_own_in_the_parts(web: WebService) -> None:
    job = job_of(web, "It begins", "here and", "ends.")
    assert whole_markdown(job) == "It begins here and ends."
    assert [part.text for part in markdown_parts(job)] == ["It begins", "here and", "ends."]
    assert [part.text for part in text_parts(job)] == ["It begins", "here and", "ends."]


def test_note_at_the_head_is_left_out_and_missing_pages_say_so_in_their_places(web: WebService) -> None:
    job = job_of(web, "One.", None, "Three.")
    whole = whole_markdown(job)
    assert whole.startswith("One.\n\n")
    assert "VLM_ERROR page 2" in whole
    assert whole.endswith("\n\nThree.")
    assert "<!--" not in whole
    assert [part.state for part in markdown_parts(job)] == ["ok", "failed", "ok"]


def test_pages_are_found_in_whatever_order_their_marks_stand(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(web, "1", "2", "3")
    written(monkeypatch, "> Note.\n\n<!-- page 1 -->\n\nA <!-- page 3 --> B\n\n<!-- page 2 -->\n\n")
    assert [part.text for part in markdown_parts(job)] == ["A", "", "B"]
    assert whole_markdown(job) == "A B"


def test_mark_that_a_model_wrote_moves_no_text(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(web, "1", "2")
    written(monkeypatch, "<!-- page 1 -->\n\nA\n\n<!-- page 2 -->\n\nB <!-- page 1 --> C <!-- page 77 --> D")
    assert [part.text.split() for part in markdown_parts(job)] == [["A"], ["B", "C", "D"]]


def test_links_to_figures_that_the_answer_does_not_have_are_left_out(
    web: WebService, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(web, "1")
    written(monkeypatch, "<!-- page 1 -->\n\nA\n\n![](figures/000001-1.png)\n\nB ![a](https://a.example/b.png)\n\n")
    expected = "A\n\nB ![a](https://a.example/b.png)"
    assert whole_markdown(job) == expected
    assert [part.text for part in markdown_parts(job)] == [expected]


def test_form_feed_in_a_page_is_no_end_of_it(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(web, "1", "2")
    results = {"md": "<!-- page 1 -->\n\nA\fB\n\n<!-- page 2 -->\n\nC\f", "txt": "A\fB\n\fC\n\f"}
    monkeypatch.setattr("web.compat.answers.read_result", lambda _, format: results[format])
    assert [part.text for part in markdown_parts(job)] == ["A\nB", "C"]
    assert [part.text for part in text_parts(job)] == ["A\nB", "C"]
