"""Azure Document Intelligence, driven by Azure's own package as paperless-ngx 3.0.5 and Open WebUI 0.12.4 do."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymupdf
import pytest
from azure.ai.documentintelligence import DocumentIntelligenceClient
from azure.ai.documentintelligence.models import AnalyzeDocumentRequest, AnalyzeOutputOption, DocumentContentFormat
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError
from services import make_pdf, wait_until
from stand_in import Worker, finished_job, reading, refusing
from web_service import PDF, WebService, body_of, check_problem, served, web_service

from web.stack.stack import Stack

READ = "/documentintelligence/documentModels/prebuilt-read"
VERSION = "api-version=2024-11-30"


def client_of(url: str, key: str = "none") -> DocumentIntelligenceClient:
    return DocumentIntelligenceClient(endpoint=url, credential=AzureKeyCredential(key), retry_total=0)


@pytest.fixture
def azure(stack: Stack) -> Iterator[DocumentIntelligenceClient]:
    with client_of(stack.base_url) as client:
        yield client


def analyze(client: DocumentIntelligenceClient, model: str, data: bytes, **asked: Any) -> Any:
    """The file itself as the body, as Open WebUI sends it: the package takes bytes, though its types do not say so."""
    begin: Any = client.begin_analyze_document
    return begin(model, data, **asked)


def send(web: WebService, body: Any = None, query: str = "", model: str = "prebuilt-read") -> Any:
    path = f"/documentintelligence/documentModels/{model}:analyze?{VERSION}{query}"
    return web.client.post(path, json={"base64Source": base64.b64encode(PDF).decode()} if body is None else body)


def operation(web: WebService, answer: Any) -> Any:
    return web.client.get(answer.headers["Operation-Location"])


def operation_id(answer: Any) -> str:
    return str(answer.headers["Operation-Location"].rpartition("/")[2].partition("?")[0])


def ended(web: WebService, answer: Any) -> Any:
    """The answer once its job has ended."""
    wait_until(lambda: web.job(operation_id(answer)).has_ended, 30, "its end")
    return answer


@pytest.mark.e2e
def test_paperless_gets_the_text_and_a_searchable_pdf(azure: DocumentIntelligenceClient) -> None:
    poller = azure.begin_analyze_document(
        model_id="prebuilt-read",
        body=AnalyzeDocumentRequest(bytes_source=make_pdf(3)),
        output_content_format=DocumentContentFormat.TEXT,
        output=[AnalyzeOutputOption.PDF],
        content_type="application/json",
        polling_interval=1,
    )
    poller.wait()
    result, result_id = poller.result(), poller.details["operation_id"]
    assert [page.page_number for page in result.pages] == [1, 2, 3]
    for page in result.pages:
        [span] = page.spans
        text = result.content[span.offset : span.offset + span.length]
        assert text.startswith(f"page {page.page_number} of")
        assert len(text.splitlines()) == 1
    pdf = b"".join(azure.get_analyze_result_pdf(model_id="prebuilt-read", result_id=result_id))
    with pymupdf.open(stream=pdf) as document:
        assert document.page_count == 3
        assert "page 2 of" in document[1].get_text()
    azure.delete_analyze_result(model_id="prebuilt-read", result_id=result_id)
    with pytest.raises(HttpResponseError, match="No such job"):
        list(azure.get_analyze_result_pdf(model_id="prebuilt-read", result_id=result_id))


@pytest.mark.e2e
def test_open_webui_sends_the_file_as_the_body_and_wants_markdown(azure: DocumentIntelligenceClient) -> None:
    poller = analyze(
        azure, "prebuilt-layout", make_pdf(2), output_content_format=DocumentContentFormat.MARKDOWN, polling_interval=1
    )
    result = poller.result()
    assert result.content_format == "markdown"
    first, second = result.content.split("<!-- PageBreak -->")
    assert first.startswith("page 1 of")
    assert second.strip().startswith("page 2 of")


def test_package_tells_why_a_document_was_refused_or_failed(web: WebService) -> None:
    with served(web) as url, client_of(url) as client:
        with pytest.raises(HttpResponseError, match=r"\(damaged-file\)|\(unsupported-format\)"):
            analyze(client, "prebuilt-read", b"hello, I am no document")
        with refusing(web), pytest.raises(HttpResponseError, match="damaged"):
            analyze(client, "prebuilt-read", PDF, polling_interval=0).result()


def test_package_shows_its_key(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with web_service(redis_url, tmp_path, monkeypatch, api_keys="alpha") as web, served(web) as url:
        with client_of(url, "wrong") as client, pytest.raises(HttpResponseError, match="A key is needed"):
            analyze(client, "prebuilt-read", PDF)
        with client_of(url, "alpha") as client, reading(web):
            assert analyze(client, "prebuilt-read", PDF, polling_interval=0).result().content


def test_operation_runs_until_its_job_has_ended(web: WebService) -> None:
    answer = send(web)
    assert (answer.status_code, answer.data) == (202, b"")
    state = operation(web, answer)
    assert state.json["status"] == "notStarted"
    assert state.headers["Retry-After"] == "1"
    [job] = web.ledger.jobs()
    web.ledger.begin_split(job.id)
    assert operation(web, answer).json["status"] == "running"
    assert check_problem(web.client.get(f"{READ}/analyzeResults/{job.id}/pdf?{VERSION}"), 409, "not-finished")


def test_operation_with_a_pdf_runs_until_that_is_there(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    states = iter(["making", "ready", "The uploaded file is gone."])
    monkeypatch.setattr("web.compat.azure.ask_for_pdf", lambda _: next(states))
    with reading(web):
        answer = ended(web, send(web, query="&output=pdf"))
    assert operation(web, answer).json["status"] == "running"
    assert operation(web, answer).json["status"] == "succeeded"
    failed = operation(web, answer).json
    assert failed["status"] == "failed"
    assert "gone" in failed["error"]["message"]


def test_missing_pages_are_warnings(web: WebService) -> None:
    path = f"{READ}/analyzeResults/{finished_job(web, 3, failed=(2,))}?{VERSION}"
    result = body_of(web.client.get(path))["analyzeResult"]
    assert [warning["target"] for warning in result["warnings"]] == ["pages/2"]
    assert "VLM_ERROR page 2" in result["content"]


@pytest.mark.parametrize(("index_type", "offset"), [("textElements", 3), ("unicodeCodePoint", 3), ("utf16CodeUnit", 4)])
def test_offsets_count_what_was_asked_for(web: WebService, index_type: str, offset: int) -> None:
    def work(job_id: str) -> None:
        web.ledger.open_first_run(job_id, num_pages=2, selection="1-2", size=2)
        web.read(job_id, 1, "a\N{GRINNING FACE}")
        web.read(job_id, 2, "b")
        web.finish(job_id)

    with Worker(web, work):
        answer = ended(web, send(web, query=f"&stringIndexType={index_type}"))
    result = operation(web, answer).json["analyzeResult"]
    assert result["content"] == "a\N{GRINNING FACE}\nb"
    assert [page["spans"] for page in result["pages"]] == [
        [{"offset": 0, "length": offset - 1}],
        [{"offset": offset, "length": 1}],
    ]


def test_address_of_an_operation_is_the_one_that_the_client_sees(web: WebService) -> None:
    headers = {"X-Forwarded-Host": "docs.example:8443", "X-Forwarded-Proto": "https"}
    answer = web.client.post(f"{READ}:analyze?{VERSION}", data=PDF, headers=headers)
    location = answer.headers["Operation-Location"]
    assert location == f"https://docs.example:8443{READ}/analyzeResults/{operation_id(answer)}?{VERSION}"


def test_pages_and_a_url_are_understood(web: WebService) -> None:
    assert send(web, {"urlSource": "https://example.com/a.pdf"}, "&pages=1-3,7").status_code == 202
    [job] = web.ledger.jobs()
    assert (job.source_url, job.options.pages) == ("https://example.com/a.pdf", "1-3,7")


@pytest.mark.parametrize(
    ("body", "query", "words"),
    [
        ({}, "", "base64Source or urlSource"),
        ({"base64Source": "eA==", "urlSource": "https://example.com/"}, "", "base64Source or urlSource"),
        ({"urlSource": "http://127.0.0.1/"}, "", "url"),
        (None, "&pages=x", "pages"),
        (None, "&outputContentFormat=docx", "outputContentFormat"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(web: WebService, body: Any, query: str, words: str) -> None:
    assert words in check_problem(send(web, body, query), 422, "invalid-options")["detail"]
    assert web.ledger.jobs() == []


def test_other_models_are_not_there(web: WebService) -> None:
    assert "prebuilt-invoice" in check_problem(send(web, model="prebuilt-invoice"), 404, "not-found")["detail"]
    check_problem(web.client.get(f"{READ}/analyzeResults/0123456789abcdef?{VERSION}"), 404, "unknown-job")
