"""Apache Tika's server, driven by the `tika` package, and by the requests that Open WebUI 0.12.4 sends."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ |= {"TIKA_CLIENT_ONLY": "true", "TIKA_LOG_FILE": ""}  # read by tika when it is imported

import httpx
import pytest
from services import make_pdf
from stand_in import reading, refusing
from tika import detector, parser
from web_service import PDF, WebService, check_problem, served, web_service

from web.stack.stack import Stack


@pytest.fixture
def three(tmp_path: Path) -> str:
    path = tmp_path / "three pages.pdf"
    path.write_bytes(make_pdf(3))
    return str(path)


def put(web: WebService, path: str, data: bytes = PDF, /, **headers: str) -> Any:
    return web.client.put(path, data=data, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.e2e
def test_tika_package_gets_text_and_metadata(stack: Stack, three: str) -> None:
    parsed = parser.from_file(three, serverEndpoint=stack.base_url)
    assert parsed["status"] == 200
    assert [f"page {number} of" in parsed["content"] for number in (1, 2, 3)] == [True] * 3
    assert parsed["metadata"]["Content-Type"] == "application/pdf"
    assert parsed["metadata"]["xmpTPg:NPages"] == "3"
    assert parsed["metadata"]["resourceName"] == "three pages.pdf"


@pytest.mark.e2e
@pytest.mark.parametrize("service", ["text", "meta"])
def test_tika_package_gets_either_alone(stack: Stack, three: str, service: str) -> None:
    parsed = parser.from_file(three, serverEndpoint=stack.base_url, service=service)
    assert parsed["status"] == 200
    if service == "text":
        assert parsed["content"].startswith("page 1 of")
    else:
        assert parsed["metadata"] == {"Content-Type": "application/pdf", "resourceName": "three pages.pdf"}


@pytest.mark.e2e
def test_tika_package_gets_html_from_a_buffer(stack: Stack) -> None:
    parsed = parser.from_buffer(make_pdf(2), serverEndpoint=stack.base_url, xmlContent=True)
    assert parsed["content"].startswith("<!doctype html>")
    assert "page 2 of" in parsed["content"]


def test_tika_package_is_told_the_kind(url: str, three: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector, "ServerEndpoint", url)
    assert detector.from_buffer(Path(three).read_bytes()) == "application/pdf"


def test_tika_package_shows_its_key_in_the_address(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, three: str
) -> None:
    with web_service(redis_url, tmp_path, monkeypatch, api_keys="alpha") as web, served(web) as url:
        assert parser.from_file(three, serverEndpoint=url, service="meta", raw_response=True)[0] == 401
        with_key = url.replace("//", "//key:alpha@")
        assert parser.from_file(three, serverEndpoint=with_key, service="meta", raw_response=True)[0] == 200


@pytest.mark.e2e
@pytest.mark.parametrize(("path", "name"), [("/tika/text", "X-TIKA:content"), ("/tika/json/md", "tk:content")])
def test_open_webui_finds_the_text_of_both_versions(stack: Stack, path: str, name: str) -> None:
    answer = httpx.put(f"{stack.base_url}{path}", content=make_pdf(2), timeout=120).json()
    assert answer["Content-Type"] == "application/pdf"
    assert answer[name].startswith("page 1 of")
    assert "page 2 of" in answer[name]


@pytest.mark.parametrize(
    ("accept", "mimetype", "begin"),
    [
        ("*/*", "text/plain", "page 1"),
        ("text/plain", "text/plain", "page 1"),
        ("text/html", "text/html", "<!doctype html>"),
        ("application/json", "application/json", "{"),
    ],
)
def test_accept_chooses_the_form(web: WebService, accept: str, mimetype: str, begin: str) -> None:
    with reading(web):
        answer = put(web, "/tika", Accept=accept)
    assert (answer.status_code, answer.mimetype) == (200, mimetype)
    assert answer.text.startswith(begin)
    assert "page 3" in answer.text


def test_html_is_shown_under_the_policy_of_results(web: WebService) -> None:
    with reading(web):
        answer = put(web, "/tika", Accept="text/html")
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_options_come_in_the_headers_that_tika_has_for_them(web: WebService) -> None:
    headers = {"Content_Disposition": 'attachment; filename="r.pdf"', "X_Tika_PDFOcrStrategy": "no_ocr"}
    headers |= {"X_Tika_OCRLanguage": "deu+fra"}
    with reading(web):
        answer = put(web, "/tika", Password="secret", **headers)
    assert answer.status_code == 200, answer.text
    [job] = web.ledger.jobs()
    assert (job.name, job.options.text_layer, job.options.has_password) == ("r.pdf", "prefer", True)
    assert job.options.language == "deu+fra"


def test_missing_pages_are_named(web: WebService) -> None:
    with reading(web, failed=(1, 3)):
        [item] = put(web, "/rmeta/text").json
    assert item["pagefan:missing-pages"] == "1,3"
    assert "VLM_ERROR page 1" in item["X-TIKA:content"]


def test_what_cannot_be_given_is_refused_before_a_page_is_read(web: WebService) -> None:
    check_problem(put(web, "/tika", Accept="image/png"), 406, "not-acceptable")
    for path in ("/tika/main", "/tika/json/main", "/rmeta/ignore"):
        check_problem(put(web, path), 404, "not-found")
    check_problem(put(web, "/meta", b"hello"), 415, "unsupported-format")
    check_problem(put(web, "/detect/stream", b""), 422, "empty-file")
    assert web.ledger.jobs() == []


def test_document_without_text_is_an_error(web: WebService) -> None:
    with refusing(web):
        check_problem(put(web, "/tika/text"), 409, "no-result")


def test_server_says_who_it_is(web: WebService) -> None:
    assert "Please PUT" in web.client.get("/tika").text
