"""The pages for people, as a browser without JavaScript gets them."""

from __future__ import annotations

import html
import io
import re
from pathlib import Path
from typing import Any

import pytest
from web_service import PDF, WebService, body_of, page, web_service

from web.site.login import own_path

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)> [a](javascript:alert(1)) \"'&"


def get(web: WebService, path: str) -> Any:
    return web.client.get(path, headers=HTML)


def token(web: WebService, path: str = "/") -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', get(web, path).text)
    assert found
    return found[1]


def finished_job(web: WebService) -> str:
    job_id = web.open(3)
    web.read(job_id, 1, "first page", width=200, height=300)
    web.fail(job_id, 2)
    web.read(job_id, 3, "", state="blank")
    web.finish(job_id)
    return job_id


def test_form_makes_a_job_and_leads_to_it(web: WebService) -> None:
    data = {"csrf_token": token(web), "file": (io.BytesIO(PDF), "report.pdf"), "pages": "", "dpi": ""}
    answer = web.client.post("/jobs", data=data, headers=HTML)
    assert answer.status_code == 303
    shown = get(web, answer.headers["Location"]).text
    assert "report.pdf" in shown
    assert '<noscript><meta http-equiv="refresh"' in shown


def test_form_with_several_files_leads_to_their_batch(web: WebService) -> None:
    web.submit()
    files = [(io.BytesIO(PDF), f"{number}.pdf") for number in range(3)]
    answer = web.client.post("/jobs", data={"csrf_token": token(web), "file": files}, headers=HTML)
    shown = get(web, answer.headers["Location"]).text
    assert shown.count("data-job=") == 3
    assert get(web, "/jobs").text.count("data-job=") == 4


@pytest.mark.parametrize("sent", ["", "made-up"])
def test_form_without_its_token_does_nothing(web: WebService, sent: str) -> None:
    get(web, "/")
    data = {"csrf_token": sent, "file": (io.BytesIO(PDF), "a.pdf")}
    answer = web.client.post("/jobs", data=data, headers=HTML)
    assert answer.status_code == 403
    assert "text/html" in answer.content_type
    job_id = web.open(1)
    for action in ("cancel", "retry", "delete"):
        assert web.client.post(f"/jobs/{job_id}/{action}", data={"csrf_token": sent}).status_code == 403
    job = web.ledger.job(job_id)
    assert job is not None
    assert job.state == "running"


def test_refusals_are_pages_that_say_what_to_do(web: WebService) -> None:
    data = {"csrf_token": token(web), "file": (io.BytesIO(b"hello"), "a.txt")}
    answer = web.client.post("/jobs", data=data, headers=HTML)
    assert answer.status_code == 415
    assert "PDF" in answer.text
    assert get(web, "/jobs/unknown").status_code == 404


def test_job_page_shows_every_page_with_its_state(web: WebService) -> None:
    job_id = web.open(5)
    web.read(job_id, 1)
    web.fail(job_id, 2)
    web.read(job_id, 3, "half", state="fallback", reason="repetition")
    web.ledger.move(page(job_id, 4), "preparing")
    shown = get(web, f"/jobs/{job_id}").text
    states = re.findall(r'class="cell" id="c\d+" data-state="(\w+)"', shown)
    assert states == ["ok", "failed", "fallback", "preparing", "queued"]
    assert 'aria-label="Page 2, failed"' in shown
    assert f'href="/jobs/{job_id}/pages/3"' in shown


def test_finished_job_offers_downloads_and_repair(web: WebService) -> None:
    job_id = finished_job(web)
    shown = html.unescape(get(web, f"/jobs/{job_id}").text)
    assert "refresh" not in shown
    assert "first page" in shown
    [link] = re.findall(r'href="([^"]*format=md[^"]*)"', shown)
    download = web.client.get(link)
    assert download.status_code == 200
    assert download.headers["Content-Disposition"].startswith("attachment")
    answer = web.client.post(f"/jobs/{job_id}/retry", data={"csrf_token": token(web), "pages": "failed"})
    assert answer.status_code == 303
    job = web.ledger.job(job_id)
    assert job is not None
    assert job.run == 2


def test_cancel_and_delete_buttons_work(web: WebService) -> None:
    job_id = web.open(3)
    data = {"csrf_token": token(web, f"/jobs/{job_id}")}
    assert web.client.post(f"/jobs/{job_id}/cancel", data=data).status_code == 303
    assert "cancelled" in get(web, f"/jobs/{job_id}").text
    assert web.client.post(f"/jobs/{job_id}/delete", data=data).status_code == 303
    assert get(web, f"/jobs/{job_id}").status_code == 404


def test_page_view_has_the_lines_as_text_and_as_boxes(web: WebService) -> None:
    job_id = web.open(2)
    web.read(job_id, 1, width=200, height=300, has_image=True)
    shown = get(web, f"/jobs/{job_id}/pages/1").text
    assert 'viewBox="0 0 200 300"' in shown
    assert '<rect data-line="0" x="10.0" y="20.0" width="100.0" height="20.0"' in shown
    assert '<span class="line" data-line="0">page 1</span>' in shown
    assert 'rel="next"' in shown
    assert 'rel="prev"' not in shown


def test_page_that_is_not_read_yet_looks_again_by_itself(web: WebService) -> None:
    job_id = web.open(1)
    assert 'http-equiv="refresh"' in get(web, f"/jobs/{job_id}/pages/1").text


def test_text_of_a_document_is_inert(web: WebService) -> None:
    job_id = web.open(2, name=EVIL)
    web.read(job_id, 1, EVIL)
    web.read(job_id, 2, EVIL, reason=EVIL, state="fallback")
    web.finish(job_id)
    for path in ("/", "/jobs", f"/jobs/{job_id}", f"/jobs/{job_id}/pages/1", f"/jobs/{job_id}/pages/2"):
        shown = get(web, path).text
        assert "<script>alert" not in shown
        assert "<img src=x" not in shown
        assert 'href="javascript' not in shown
    answer = web.get(f"/jobs/{job_id}/result?format=md")
    assert answer.content_type.startswith("text/markdown")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_pages_need_nothing_inline_and_nothing_from_elsewhere(web: WebService) -> None:
    job_id = finished_job(web)
    for path in ("/", "/jobs", f"/jobs/{job_id}", f"/jobs/{job_id}/pages/1", "/docs", "/login", "/nowhere"):
        answer = get(web, path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", answer.text), path
        assert not re.search(r'(src|href)="(https?:)?//', answer.text), path


def test_docs_name_every_call_and_problem(web: WebService) -> None:
    shown = get(web, "/docs").text
    for path in body_of(web.client.get("/openapi.json"))["paths"]:
        assert path in shown
    assert "unsupported-format" in shown
    assert "curl -F file=@report.pdf" in shown


def test_browser_logs_in_with_a_key_and_out(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with web_service(redis_url, tmp_path, monkeypatch, api_keys="alpha,beta") as web:
        answer = get(web, "/jobs?x=1")
        assert answer.status_code == 303
        assert answer.headers["Location"].startswith("/login?next=")
        form = {"csrf_token": token(web, "/login"), "next": "/jobs"}
        assert web.client.post("/login", data=form | {"key": "wrong"}).status_code == 401
        answer = web.client.post("/login", data=form | {"key": "alpha"})
        assert (answer.status_code, answer.headers["Location"]) == (303, "/jobs")
        assert "HttpOnly" in answer.headers["Set-Cookie"]
        assert "alpha" not in answer.headers["Set-Cookie"]
        assert get(web, "/jobs").status_code == 200
        assert "curl -H &#34;Authorization: Bearer KEY&#34; -F file" in get(web, "/docs").text
        assert web.get("/jobs").status_code == 200
        assert web.client.post("/logout", data=form).status_code == 303
        assert web.get("/jobs").status_code == 401


def test_form_takes_a_url_instead_of_a_file_or_beside_it(web: WebService) -> None:
    form = {"csrf_token": token(web), "url": " https://public.example/papers/a%20b.pdf "}
    answer = web.client.post("/jobs", data=form | {"file": (io.BytesIO(), "")}, headers=HTML)
    assert answer.status_code == 303
    assert "a b.pdf" in get(web, answer.headers["Location"]).text
    both = web.client.post("/jobs", data=form | {"file": (io.BytesIO(PDF), "c.pdf")}, headers=HTML)
    shown = get(web, both.headers["Location"]).text
    assert shown.count("data-job=") == 2


@pytest.mark.parametrize(
    ("url", "words"), [("", "Nothing was chosen"), ("http://10.0.0.1/a", "10.0.0.1"), ("x", "URLs can be used")]
)
def test_form_without_a_document_says_what_to_do(web: WebService, url: str, words: str) -> None:
    answer = web.client.post("/jobs", data={"csrf_token": token(web), "url": url}, headers=HTML)
    assert answer.status_code == 422
    assert words in answer.text


def test_running_page_shows_what_has_been_read_so_far(web: WebService) -> None:
    job_id = web.open(3)
    web.begin(job_id, 2, "")
    assert '<section id="live" class="now" aria-labelledby="live-title" hidden>' in get(web, f"/jobs/{job_id}").text
    get(web, f"/jobs/{job_id}/pages/2")
    web.begin(job_id, 2, "so far & no further")
    assert "so far &amp; no further" in get(web, f"/jobs/{job_id}").text
    assert "so far &amp; no further" in get(web, f"/jobs/{job_id}/pages/2").text


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "evil",
        "",
        "/\t/evil.example",
        "/\t\\evil.example",
        "/\n/evil.example",
        "//[",
        "/jobs\\..",
        "/jobs\r\nSet-Cookie: a=b",
        "/é",
    ],
)
def test_login_leads_to_no_other_site(web: WebService, target: str) -> None:
    with web.app.test_request_context("/login"):
        assert own_path(target) == "/"
        assert own_path("/jobs?x=1") == "/jobs?x=1"


def test_words_are_found_while_the_job_runs_and_once_it_has_ended(web: WebService) -> None:
    job_id = web.open(3, selection="2,5,9")
    for number, text in ((2, "A lamp of oil."), (5, "none"), (9, "lamp\nof <b> lamp  OF")):
        web.read(job_id, number, text)
    running = body_of(web.client.get(f"/jobs/{job_id}/find?q=Lamp+of"))
    web.finish(job_id)
    ended = body_of(web.client.get(f"/jobs/{job_id}/find?q=Lamp+of"))
    for found in (running, ended):
        assert found["count"] == 3
        assert [(hit["page_number"], hit["count"]) for hit in found["pages"]] == [(2, 1), (9, 2)]
    assert body_of(web.client.get(f"/jobs/{job_id}/find?q=+"))["pages"] == []
    shown = get(web, f"/jobs/{job_id}?q=lamp").text
    assert f'<a href="/jobs/{job_id}?from=9#page-9">Page 9</a> <span>lamp of &lt;b&gt; lamp OF</span>' in shown
    assert get(web, f"/jobs/{job_id}?from=9").text.count('class="sheet"') == 1
    assert web.client.get("/jobs/unknown/find?q=x").status_code == 404


def test_a_preset_that_the_engine_cannot_serve_says_so(web: WebService) -> None:
    shown = html.unescape(get(web, "/").text)
    assert "Needs a language model; this server has ocr" in shown
    assert 'value="ask" disabled' in shown
