"""Pages and results over REST."""

from __future__ import annotations

import io
import json
import os
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import docx
import pytest
from web_service import WebService, body_of, check_problem, web_service

from pagefan.answers import Format
from tasks.assemble import searchable
from tasks.blobs import page_key
from tasks.services import get_blobs
from web.api import downloads
from web.api.result_inputs import ResultFormat
from workers.results.formats import FORMATS


@pytest.fixture
def web(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebService]:
    with web_service(redis_url, tmp_path, monkeypatch, max_upload_mb=1, max_jobs_queued=50) as service:
        yield service


def test_pages_since_gives_only_what_changed(web: WebService) -> None:
    job_id = web.open(3)
    everything = web.get(f"/jobs/{job_id}/pages").json
    assert [p["page_number"] for p in everything["pages"]] == [1, 2, 3]
    web.read(job_id, 3)
    changed = web.get(f"/jobs/{job_id}/pages?since={everything['seq']}").json
    assert [(p["page_number"], p["state"]) for p in changed["pages"]] == [(3, "ok")]
    assert web.get(f"/jobs/{job_id}/pages?since={changed['seq']}").json["pages"] == []


def test_page_shows_its_text_lines_and_number_from_one(web: WebService) -> None:
    job_id = web.open(2)
    web.read(job_id, 2)
    shown = web.get(f"/jobs/{job_id}/pages/2").json
    assert shown["page_number"] == 2
    assert shown["text"] == "page 2"
    assert shown["lines"] == [{"text": "page 2", "box": [10.0, 20.0, 110.0, 40.0], "confidence": 0.97, "doubts": []}]
    assert web.get(f"/jobs/{job_id}/pages/1").json["text"] == ""
    for number in (0, 3):
        check_problem(web.get(f"/jobs/{job_id}/pages/{number}"), 404, "unknown-page")


def test_page_outside_the_selection_is_404(web: WebService) -> None:
    job_id = web.open(9, selection="2,5")
    assert web.get(f"/jobs/{job_id}/pages/5").status_code == 200
    check_problem(web.get(f"/jobs/{job_id}/pages/3"), 404, "unknown-page")


def test_failed_page_says_why_and_what_to_do(web: WebService) -> None:
    job_id = web.open(1)
    web.fail(job_id, 1, "repetition")
    fault = web.get(f"/jobs/{job_id}/pages/1").json["fault"]
    assert fault["reason"] == "repetition"
    assert "retry" in fault["detail"].lower()


def test_missing_image_is_404(web: WebService) -> None:
    job_id = web.open(1)
    check_problem(web.get(f"/jobs/{job_id}/pages/1/image"), 404, "no-image")


@pytest.mark.parametrize(
    ("format", "accept", "content_type"),
    [
        ("md", "text/markdown", "text/markdown; charset=utf-8"),
        ("txt", "text/plain", "text/plain; charset=utf-8"),
        ("json", "application/json", "application/json"),
    ],
)
def test_result_by_format_and_by_accept_are_the_same(
    web: WebService, format: str, accept: str, content_type: str
) -> None:
    job_id = web.open(2)
    web.read(job_id, 2, "second")
    web.read(job_id, 1, "first")
    web.finish(job_id)
    by_format = web.get(f"/jobs/{job_id}/result?format={format}")
    by_accept = web.get(f"/jobs/{job_id}/result", headers={"Accept": accept})
    assert by_format.status_code == 200
    assert by_format.data == by_accept.data
    assert by_format.content_type == by_accept.content_type == content_type
    assert 0 <= by_format.text.index("first") < by_format.text.index("second")


def test_unwanted_format_is_406(web: WebService) -> None:
    job_id = web.open(1)
    check_problem(web.get(f"/jobs/{job_id}/result", headers={"Accept": "image/png"}), 406, "not-acceptable")


def test_result_of_an_unfinished_job_is_409_unless_partial(web: WebService) -> None:
    job_id = web.open(2)
    web.read(job_id, 1, "only this")
    body = check_problem(web.get(f"/jobs/{job_id}/result"), 409, "not-finished")
    assert body["state"] == "running"
    partial = web.get(f"/jobs/{job_id}/result?partial=1&format=txt")
    assert partial.status_code == 200
    assert "only this" in partial.text


def test_result_of_a_job_that_could_not_be_opened_is_409_with_the_reason(web: WebService) -> None:
    job_id = web.submit()
    web.ledger.begin_split(job_id)
    web.ledger.end_job(job_id, "failed", error={"reason": "corrupt", "detail": "The file is damaged."})
    body = check_problem(web.get(f"/jobs/{job_id}/result"), 409, "no-result")
    assert body["detail"] == "The file is damaged."
    assert web.get(f"/jobs/{job_id}").json["error"]["reason"] == "corrupt"


def test_download_has_a_safe_file_name(web: WebService) -> None:
    job_id = web.open(1, name='a "quoted"\r\nname.pdf')
    web.read(job_id, 1)
    web.finish(job_id)
    disposition = web.get(f"/jobs/{job_id}/result?download=1").headers["Content-Disposition"]
    assert disposition.startswith("attachment; filename=")
    assert "\n" not in disposition
    assert ".md" in disposition


def test_finished_job_outlives_the_ledger(web: WebService) -> None:
    job_id = web.open(2)
    web.read(job_id, 1, "kept")
    web.fail(job_id, 2)
    web.finish(job_id)
    before = web.get(f"/jobs/{job_id}").json
    web.ledger.redis.flushdb()
    after = web.get(f"/jobs/{job_id}").json
    assert after["state"] == "partial"
    assert after["missing_pages"] == before["missing_pages"] == [2]
    assert "kept" in web.get(f"/jobs/{job_id}/result?format=txt").text
    assert web.get(f"/jobs/{job_id}/pages/1").json["text"] == "kept"
    assert [p["state"] for p in web.get(f"/jobs/{job_id}/pages").json["pages"]] == ["ok", "failed"]


def test_page_whose_reading_lacks_words_of_the_pdf_is_flagged(web: WebService) -> None:
    job_id = web.open(3)
    web.read(job_id, 1, text_layer_recall=0.42)
    web.read(job_id, 2, text_layer_recall=0.95)
    web.read(job_id, 3)
    shown = [web.get(f"/jobs/{job_id}/pages/{number}").json for number in (1, 2, 3)]
    assert [page["text_layer_recall"] for page in shown] == [0.42, 0.95, None]
    assert "42%" in shown[0]["notice"]
    assert shown[1]["notice"] == shown[2]["notice"] == ""
    html = web.client.get(f"/jobs/{job_id}").text
    assert html.count("42%") == 2  # among the pages to look at, and at the page itself
    assert "42%" in web.client.get(f"/jobs/{job_id}/pages/1").text


def test_searchable_pdf_is_asked_for_once_and_then_served(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(downloads, "WAIT_S", 0.3)
    monkeypatch.setattr(searchable.write_pdf, "apply_async", lambda arguments, **_: asked.append(arguments))
    job_id = web.open(1)
    check_problem(web.get(f"/jobs/{job_id}/result?format=pdf&partial=1"), 409, "not-finished")
    web.read(job_id, 1)
    web.finish(job_id)
    answer = web.get(f"/jobs/{job_id}/result?format=pdf")
    check_problem(answer, 409, "being-made")
    assert int(answer.headers["Retry-After"]) > 0
    web.get(f"/jobs/{job_id}/result?format=pdf")
    assert asked == [(job_id,)]
    job = web.ledger.job(job_id)
    assert job is not None
    get_blobs().write(searchable.pdf_key(job), b"%PDF-made")
    served = web.get(f"/jobs/{job_id}/result?format=pdf&download=1")
    assert (served.data, served.content_type) == (b"%PDF-made", "application/pdf")
    assert "report.pdf" in served.headers["Content-Disposition"]


def test_pdf_that_cannot_be_made_says_why_and_the_zip_goes_without(web: WebService) -> None:
    job_id = web.open(2)
    web.read(job_id, 1, has_image=True)
    web.read(job_id, 2, "second")
    get_blobs().write(page_key(job_id, 0, "png"), b"\x89PNG image")
    web.finish(job_id)
    searchable.write_pdf(job_id)  # its source was never stored
    body = check_problem(web.get(f"/jobs/{job_id}/result?format=pdf"), 409, "no-result")
    assert "gone" in body["detail"]
    answer = web.get(f"/jobs/{job_id}/result?format=zip")
    assert answer.content_type == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["report.md", "report.json", "report.txt", "report.html", "pages/000001.png"]
        assert archive.read("report.txt") == web.get(f"/jobs/{job_id}/result?format=txt").data
        assert archive.read("pages/000001.png") == b"\x89PNG image"


def test_zip_is_packed_piece_by_piece() -> None:
    def content() -> Iterator[bytes]:
        for _ in range(64):
            yield os.urandom(64 * 1024)

    tracemalloc.start()
    sizes = [len(piece) for piece in downloads.pack(iter([("big.png", content())]))]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(sizes) > 64 * 64 * 1024
    assert peak < 1_000_000


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_offered_in_http_by_the_client_and_by_the_command_line(web: WebService, name: str) -> None:
    assert set(FORMATS) == set(get_args(ResultFormat)) == set(get_args(Format))
    job_id = web.open(1)
    assert name in web.get(f"/jobs/{job_id}").json["links"]["results"]
    answers = body_of(web.client.get("/openapi.json"))["paths"]["/api/v1/jobs/{job_id}/result"]["get"]["responses"]
    assert FORMATS[name].mimetype in answers["200"]["content"]


def test_docling_document_is_made_when_it_is_asked_for(web: WebService) -> None:
    job_id = web.open(2, name="report.pdf")
    web.read(job_id, 1, "First.")
    so_far = body_of(web.get(f"/jobs/{job_id}/result?format=docling&partial=1"))
    assert [text["text"] for text in so_far["texts"]] == ["First.", "[page 2 is not finished: queued]"]
    web.read(job_id, 2, "Second.")
    web.finish(job_id)
    answer = web.get(f"/jobs/{job_id}/result?download=1", headers={"Accept": "application/vnd.docling+json"})
    assert answer.content_type == "application/vnd.docling+json"
    assert answer.headers["Content-Disposition"] == "attachment; filename=report.docling.json"
    assert [text["text"] for text in body_of(answer)["texts"]] == ["First.", "Second."]


def test_chunks_are_as_long_as_was_asked(web: WebService) -> None:
    job_id = web.open(1, name="report.pdf")
    web.read(job_id, 1, "A sentence of seven words, no more. " * 20)
    web.finish(job_id)
    answers = [web.get(f"/jobs/{job_id}/result?format=chunks{more}") for more in ("", "&max_chars=200")]
    lengths = [[json.loads(line)["num_chars"] for line in answer.text.splitlines()] for answer in answers]
    assert lengths[0] == [20 * 36 - 1]
    assert len(lengths[1]) > 3 and max(lengths[1]) <= 200
    assert answers[0].content_type == "application/x-ndjson"
    assert answers[0].headers["ETag"] != answers[1].headers["ETag"]
    assert web.get(f"/jobs/{job_id}/result?format=chunks&max_chars=7").status_code == 422


def test_word_file_is_made_so_far_and_at_the_end(web: WebService) -> None:
    job_id = web.open(2, name="report.pdf")
    web.read(job_id, 1, "First.")
    so_far = web.get(f"/jobs/{job_id}/result?format=docx&partial=1")
    assert docx.Document(io.BytesIO(so_far.data)).paragraphs[0].text == "First."
    web.read(job_id, 2, "Second.")
    web.finish(job_id)
    answer = web.get(f"/jobs/{job_id}/result?download=1", headers={"Accept": FORMATS["docx"].mimetype})
    assert answer.headers["Content-Disposition"] == "attachment; filename=report.docx"
    assert [each.text for each in docx.Document(io.BytesIO(answer.data)).paragraphs] == ["First.", "Second."]


def test_json_says_of_the_job_what_rest_says(web: WebService) -> None:
    job_id = web.open(2)
    web.read(job_id, 1)
    web.fail(job_id, 2)
    web.finish(job_id)
    web.client.patch(f"/api/v1/jobs/{job_id}", json={"name": "renamed.pdf"})
    job = json.loads(web.get(f"/jobs/{job_id}/result?format=json").text)["job"]
    shown = web.get(f"/jobs/{job_id}").json
    assert (job["state"], job["name"]) == (shown["state"], shown["name"]) == ("partial", "renamed.pdf")
    assert job["options"]["priority"] == shown["options"]["priority"] == "normal"
    assert {name: job[name] for name in ("created_at", "started_at", "ended_at")} == {
        name: shown["timings"][name] for name in ("created_at", "started_at", "ended_at")
    }
