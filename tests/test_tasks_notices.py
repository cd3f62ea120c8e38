"""What an engine could not read, on its way to the page's record, the job, its results and its pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_tasks_shortcuts import LAYER, TEXT, generate, open_job, prepare, text_of
from web_service import WebService, web_service
from web_service import page as page_of

from tasks.blobs import source_key
from tasks.ledger.records import Page
from tasks.pipeline import prepare_page
from tasks.prepare import render
from tasks.reasons import NOTICES, REASONS
from tasks.services import get_blobs
from workers.engines import EngineError, Generation, Line
from workers.sandbox.sandbox import SandboxTimeout


@pytest.fixture
def web(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebService]:
    with web_service(redis_url, tmp_path, monkeypatch, engine="echo") as service:
        yield service


def end(web: WebService, *notices: str, text: str = "", layer: str = "", **options: Any) -> tuple[str, Page]:
    """A job of one page whose reading came to this text with these notices."""
    job_id = open_job(web, **options)
    prepare(web, job_id, layer=layer)
    return job_id, generate(web, job_id, generation=Generation(text=text, notices=notices))


@pytest.mark.parametrize(
    ("notices", "reason"),
    [(("unreadable",), "unreadable"), (("unread_script", "unreadable"), "unread_script")],
)
def test_written_page_without_text_fails_with_its_reason(
    web: WebService, notices: tuple[str, ...], reason: str
) -> None:
    _, page = end(web, *notices)
    assert (page.state, page.reason, page.notices) == ("failed", reason, notices)
    assert page.attempts[-1]["reason"] == notices[0]


@pytest.mark.parametrize("notice", ["unreadable", "unread_script"])
@pytest.mark.parametrize("text_layer", ["fallback", "prefer"])
def test_sound_text_layer_stands_in_for_an_empty_reading(web: WebService, notice: str, text_layer: str) -> None:
    layer = LAYER if text_layer == "fallback" else "A short one."  # prefer would have taken a longer one at once
    job_id, page = end(web, notice, layer=layer, text_layer=text_layer)
    assert (page.state, page.reason, page.engine) == ("fallback", notice, "text-layer")
    assert text_of(web, job_id) == layer


def test_sound_text_layer_stands_in_for_a_poor_reading_that_lacks_its_words(web: WebService) -> None:
    job_id, page = end(web, "unread_script", text="n 'ii n", layer=LAYER, text_layer="fallback")
    assert (page.state, page.reason) == ("fallback", "unread_script")
    assert text_of(web, job_id) == LAYER


@pytest.mark.parametrize(
    ("text", "layer", "text_layer"),
    [
        ("n 'ii n", LAYER, "ignore"),
        ("n 'ii n", "\ufffd" * 99, "fallback"),
        ("n 'ii n", "", "fallback"),
        (LAYER, LAYER, "fallback"),
    ],
)
def test_poor_reading_is_kept_with_its_notice_where_no_layer_is_better(
    web: WebService, text: str, layer: str, text_layer: str
) -> None:
    job_id, page = end(web, "unread_ink", text=text, layer=layer, text_layer=text_layer)
    assert (page.state, page.notices) == ("ok", ("unread_ink",))
    assert text_of(web, job_id) == text


def test_picture_without_text_is_ok_and_says_so(web: WebService) -> None:
    _, page = end(web, "no_text")
    assert (page.state, page.notices) == ("ok", ("no_text",))


def test_page_that_could_not_be_read_is_not_cached_and_one_with_a_notice_keeps_it(web: WebService) -> None:
    assert end(web, "unreadable")[1].state == "failed"
    assert prepare(web, open_job(web)).state == "ready"
    end(web, "low_confidence", text="unsure")
    again = prepare(web, open_job(web))
    assert (again.cached, again.notices) == (True, ("low_confidence",))


def test_confidence_of_a_page_is_recorded_and_low_confidence_noticed(web: WebService) -> None:
    job_id = open_job(web)
    prepare(web, job_id)
    line = Line(text="Dear Mr Lincoln", box=(1, 2, 30, 4), confidence=0.75)
    page = generate(web, job_id, generation=Generation(text=line.text, lines=(line,)))
    assert (page.confidence, page.notices) == (0.75, ("low_confidence",))
    sure = generate(web, open_job(web), generation=TEXT)
    assert (sure.confidence, sure.notices) == (0.9, ())


def test_notices_reach_the_job_its_pages_and_every_result(web: WebService) -> None:
    job_id = open_job(web, 3)
    generate(web, job_id, 1)
    generate(web, job_id, 2, generation=Generation(text="half", notices=("unread_ink",)))
    generate(web, job_id, 3, generation=Generation(text="", notices=("unreadable",)))
    web.finish(job_id)
    job = web.get(f"/jobs/{job_id}").json
    assert (job["state"], job["missing_pages"], job["pages_to_look_at"]) == ("partial", [3], [2])
    pages = web.get(f"/jobs/{job_id}/pages").json["pages"]
    assert [page["notices"] for page in pages] == [[], ["unread_ink"], ["unreadable"]]
    assert [page["notice"] for page in pages] == ["", NOTICES["unread_ink"], ""]
    assert pages[2]["fault"]["detail"] == REASONS["unreadable"]
    markdown = web.get(f"/jobs/{job_id}/result?format=md").text
    assert markdown.startswith("> Missing pages: 3. Pages to look at (unread ink): 2.\n")
    records = web.get(f"/jobs/{job_id}/result?format=json").json["pages"]
    assert [(page["notices"], page["confidence"]) for page in records] == [
        ([], 0.9), (["unread_ink"], None), (["unreadable"], None),
    ]  # fmt: skip
    assert NOTICES["unread_ink"] in web.get(f"/jobs/{job_id}/result?format=html").text
    shown = web.client.get(f"/jobs/{job_id}").text
    assert NOTICES["unread_ink"] in shown
    assert REASONS["unreadable"] in shown
    assert NOTICES["unread_ink"] in web.client.get(f"/jobs/{job_id}/pages/2").text


def test_notices_outlive_redis(web: WebService) -> None:
    job_id, _ = end(web, "unread_ink", text="half")
    web.finish(job_id)
    web.ledger.redis.flushdb()
    assert web.get(f"/jobs/{job_id}").json["pages_to_look_at"] == [1]


def test_page_that_another_engine_has_read_says_so(web: WebService) -> None:
    job_id = open_job(web)
    prepare(web, job_id)
    page = generate(web, job_id, generation=Generation(text="Договор аренды", engine="tesseract"))
    assert (page.state, page.engine) == ("ok", "tesseract")
    again = open_job(web)
    assert (prepare(web, again).cached, web.ledger.page(again, 0).engine) == (True, "tesseract")


def test_dots_are_no_text_of_a_written_page(web: WebService) -> None:
    _, page = end(web, "unread_script", text=".\n.\n-")
    assert (page.state, page.reason) == ("failed", "unread_script")


def test_engine_that_cannot_prepare_pages_says_why_in_its_words(
    web: WebService, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Sandbox:
        def run(self, *_: Any, **__: Any) -> Any:
            raise EngineError("There is no program. Install it.")

    job_id = open_job(web)
    get_blobs().write(source_key(job_id, "pdf"), b"%PDF-1.7")
    monkeypatch.setattr("tasks.prepare.get_sandbox", Sandbox)
    prepare_page(page_of(job_id, 1).to_json())
    page = web.ledger.page(job_id, 0)
    assert (page.state, page.reason, page.detail) == ("failed", "generation_failed", "There is no program. Install it.")


def test_page_whose_text_layer_takes_too_long_to_look_at_is_rendered_without_a_look(
    web: WebService, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[bool] = []

    class Sandbox:
        def run(self, *_: Any, judges_layer: bool, **__: Any) -> str:
            looks.append(judges_layer)
            if judges_layer:
                raise SandboxTimeout("no answer within 30 s")
            return "the page"

    job_id = open_job(web, text_layer="auto")
    get_blobs().write(source_key(job_id, "pdf"), b"%PDF-1.7")
    monkeypatch.setattr("tasks.prepare.get_sandbox", Sandbox)
    assert str(render(page_of(job_id, 1))) == "the page"
    assert looks == [True, False]
