"""docling-serve v1, by the requests of its clients: Open WebUI, RAGFlow, LightRAG, and docling's own for LangChain."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from services import make_pdf, wait_until
from stand_in import finished_job, reading, refusing
from web_service import PDF, WebService, body_of, check_problem, web_service

from tasks.services import default_text_layer
from web.stack.stack import Stack

ALL_PAGES = ["1", "9223372036854775807"]
DOCLING = {"Accept-Docling-Document-Version": "1.10.0"}
BASE64 = base64.b64encode(PDF).decode()
DOCLING_MCP = {
    "do_ocr": "true",
    "page_range": ALL_PAGES,
    "abort_on_error": "false",
    "do_table_structure": "true",
    "include_images": "false",
    "images_scale": "1.0",
    "do_picture_description": "false",
    "target_type": "inbody",
}
LIGHTRAG = {
    "pipeline": "standard",
    "target_type": "zip",
    "image_export_mode": "referenced",
    "do_ocr": "true",
    "force_ocr": "true",
    "ocr_engine": "auto",
    "ocr_preset": "auto",
    "do_formula_enrichment": "false",
}
OPEN_WEBUI = {"image_export_mode": "placeholder", "md_page_break_placeholder": "\f", "to_formats": ["md", "json"]}


def post_file(web: WebService, path: str = "/v1/convert/file", data: bytes = PDF, /, **fields: Any) -> Any:
    headers = fields.pop("headers", {})
    answer = web.client.post(path, data={"files": (io.BytesIO(data), "three.pdf"), **fields}, headers=headers)
    answer.request.environ["wsgi.input"].close()  # the test client leaves its file open
    return answer


def post_source(web: WebService, path: str = "/v1/convert/source", **body: Any) -> Any:
    return web.client.post(path, json=body)


def file_source(content: str = BASE64) -> dict[str, str]:
    return {"kind": "file", "filename": "three.pdf", "base64_string": content}


@pytest.mark.e2e
def test_open_webui_finds_the_pages_between_form_feeds(stack: Stack) -> None:
    files = {"files": ("three.pdf", make_pdf(3), "application/pdf")}
    url = f"{stack.base_url}/v1/convert/file"
    body = httpx.post(url, files=files, data=OPEN_WEBUI, headers={"X-Api-Key": "none"}, timeout=120).json()
    assert body["status"] == "success"
    pages = [page.strip() for page in body["document"]["md_content"].split("\f")]
    assert len(pages) == 3
    for number, page in enumerate(pages, 1):
        assert page.startswith(f"page {number} ")


@pytest.mark.e2e
def test_langchain_submits_polls_and_fetches(stack: Stack) -> None:
    with httpx.Client(base_url=stack.base_url, headers=DOCLING, timeout=60) as http:
        files = {"files": ("three.pdf", make_pdf(3), "application/pdf")}
        fields = {"page_range": ALL_PAGES, "target_type": "presigned_url"}
        refused = http.post("/v1/convert/file/async", files=files, data=fields)
        assert refused.status_code == 422
        assert "artifact storage to be configured" in refused.json()["detail"]
        task = http.post("/v1/convert/file/async", files=files, data=fields | {"target_type": "inbody"})
        assert (task.status_code, task.json()["task_type"]) == (200, "convert")
        assert http.get(f"/v1/status/ws/{task.json()['task_id']}").status_code == 404

        def ended() -> bool:
            path = f"/v1/status/poll/{task.json()['task_id']}"
            return bool(http.get(path, params={"wait": 5.0}).json()["task_status"] == "success")

        wait_until(ended, 60, "the end")
        result = http.get(f"/v1/result/{task.json()['task_id']}").json()
    assert result["status"] == "success"
    assert result["errors"] == []
    assert result["processing_time"] > 0
    assert "page 3" in result["document"]["md_content"]


@pytest.mark.e2e
def test_ragflow_sends_a_long_file_in_json(stack: Stack) -> None:
    assert httpx.head(f"{stack.base_url}/openapi.json").status_code == 200
    data = make_pdf(3) + b"%" + bytes(200_000)
    options = {
        "from_formats": ["pdf"],
        "to_formats": ["json", "md", "text"],
        "do_chunking": True,
        "chunking_options": {},
    }
    source = file_source(base64.b64encode(data).decode())
    url = f"{stack.base_url}/v1/convert/source"
    body = httpx.post(url, json={"options": options, "sources": [source]}, timeout=120).json()
    assert body["document"]["filename"] == "three.pdf"
    assert body["document"]["text_content"].count("page ") >= 3
    assert "\f" not in body["document"]["text_content"]
    assert "results" not in body


def test_each_format_that_is_asked_for_is_given_and_no_other(web: WebService) -> None:
    with reading(web):
        document = post_file(web, to_formats=["md", "html"]).json["document"]
    assert document["md_content"] == "page 1 page 2 page 3"  # a paragraph that goes on from page to page
    assert document["html_content"].startswith("<!doctype html>")
    assert document["text_content"] is None


@pytest.mark.parametrize("headers", [{}, DOCLING])
def test_json_is_a_docling_document_with_the_pages(web: WebService, headers: dict[str, str]) -> None:
    with reading(web, failed=(2,)):
        document = body_of(post_file(web, **OPEN_WEBUI, headers=headers))["document"]
    content = document["json_content"]
    assert (content["schema_name"], content["version"], content["name"]) == ("DoclingDocument", "1.1.0", "three.pdf")
    assert [(text["text"], text["prov"][0]["page_no"], text["content_layer"]) for text in content["texts"]] == [
        ("page 1", 1, "body"),
        (content["texts"][1]["text"], 2, "body"),
        ("page 3", 3, "body"),
    ]
    assert len(document["md_content"].split("\f")) == 3  # as many as Open WebUI finds pages in the JSON


@pytest.mark.parametrize("formats", [["doctags"], ["yaml"]])
def test_client_that_asks_for_nothing_that_is_made_is_refused_before_a_page_is_read(
    web: WebService, formats: list[str]
) -> None:
    problem = check_problem(post_file(web, to_formats=formats), 422, "invalid-options")
    assert "to_formats" in problem["detail"]
    assert web.ledger.jobs() == []


def test_zip_has_a_file_for_each_format(web: WebService) -> None:
    with reading(web):
        answer = post_file(web, target_type="zip", to_formats=["md", "text", "json"])
    assert answer.mimetype == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.namelist() == ["three.md", "three.json", "three.txt"]
        assert json.loads(archive.read("three.json"))["schema_name"] == "DoclingDocument"
        assert archive.read("three.md") == b"page 1 page 2 page 3"


def test_missing_pages_make_a_partial_success_that_names_them(web: WebService) -> None:
    with reading(web, failed=(2,)):
        body = post_file(web).json
    assert body["status"] == "partial_success"
    [error] = body["errors"]
    assert error["error_message"].startswith("Page 2: ")
    assert error["component_type"] == "model"


def test_failed_conversion_is_an_error_to_who_waits_and_a_result_to_who_polls(web: WebService) -> None:
    with refusing(web):
        assert "damaged" in check_problem(post_file(web), 409, "no-result")["detail"]
        task = post_file(web, "/v1/convert/file/async").json["task_id"]
        state = body_of(web.client.get(f"/v1/status/poll/{task}?wait=30.0"))
        result = body_of(web.client.get(f"/v1/result/{task}"))
    assert state["task_status"] == "failure"
    assert "damaged" in state["error_message"]
    assert result["status"] == "failure"
    assert "damaged" in result["errors"][0]["error_message"]
    assert result["document"]["md_content"] is None


def test_task_keeps_what_it_was_asked_for(web: WebService) -> None:
    with reading(web):
        fields: dict[str, Any] = {"to_formats": ["md", "text"], "md_page_break_placeholder": "<!-- page -->"}
        task = post_file(web, "/v1/convert/file/async", **fields).json
        assert task["task_status"] in ("pending", "started", "success")
        web.client.get(f"/v1/status/poll/{task['task_id']}?wait=30")
        document = body_of(web.client.get(f"/v1/result/{task['task_id']}"))["document"]
    assert document["md_content"].split("\n\n<!-- page -->\n\n") == ["page 1", "page 2", "page 3"]
    assert document["text_content"] is not None


def test_job_that_was_sent_elsewhere_is_a_task_too(web: WebService) -> None:
    job_id = finished_job(web, 2)
    assert body_of(web.client.get(f"/v1/status/poll/{job_id}"))["task_status"] == "success"
    assert "page 2" in body_of(web.client.get(f"/v1/result/{job_id}"))["document"]["md_content"]


def test_unknown_and_unfinished_tasks_are_404_in_the_words_that_clients_know(web: WebService) -> None:
    for path in ("/v1/status/poll/0123456789abcdef", "/v1/result/x"):
        assert check_problem(web.client.get(path), 404, "unknown-job")["detail"] == "Task not found."
    task = post_file(web, "/v1/convert/file/async").json["task_id"]
    detail = check_problem(web.client.get(f"/v1/result/{task}"), 404, "unknown-job")["detail"]
    assert detail == "Task result not found. Please wait for a completion status."


@pytest.mark.parametrize(
    ("page_range", "pages"),
    [(ALL_PAGES, ""), (["2", "9223372036854775807"], "2-"), (["2", "3"], "2-3"), (["1", "2"], "1-2")],
)
def test_page_range_is_clamped_to_what_a_document_may_have(web: WebService, page_range: list[str], pages: str) -> None:
    task = post_file(web, "/v1/convert/file/async", page_range=page_range).json["task_id"]
    job = web.ledger.job(task)
    assert job
    assert job.options.pages == pages


@pytest.mark.parametrize(
    ("fields", "layer"),
    [
        ({"do_ocr": "false"}, "prefer"),
        ({"do_ocr": "true", "force_ocr": "true"}, "ignore"),
        ({"do_ocr": "true"}, default_text_layer()),
        ({}, default_text_layer()),
    ],
)
def test_own_text_of_a_pdf_is_used_as_was_asked(web: WebService, fields: dict[str, str], layer: str) -> None:
    task = post_file(web, "/v1/convert/file/async", **fields).json["task_id"]
    job = web.ledger.job(task)
    assert job
    assert job.options.text_layer == layer


def test_url_is_fetched_by_a_worker(web: WebService) -> None:
    source = {"kind": "http", "url": "https://example.com/a.pdf", "headers": {}}
    body = {
        "options": {"page_range": [1, 2**63 - 1]},
        "sources": [source],
        "target": {"kind": "inbody"},
        "callbacks": [],
    }
    task = post_source(web, "/v1/convert/source/async", **body).json["task_id"]
    job = web.ledger.job(task)
    assert job
    assert job.source_url == "https://example.com/a.pdf"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "sources: name one"),
        ({"sources": []}, "sources: name one"),
        ({"sources": [file_source(), file_source()]}, "sources: name one"),
        ({"sources": ["x"]}, "sources: name one"),
        ({"sources": [{"kind": "http", "url": "http://127.0.0.1/a.pdf"}]}, "url"),
        ({"sources": [{"kind": "http", "url": "https://a.example/", "headers": {"Cookie": "x"}}]}, "sources.headers"),
        ({"sources": [file_source()], "callbacks": ["https://a.example/"]}, "callbacks"),
        ({"sources": [file_source()], "target": {"kind": "s3"}}, "target"),
        ({"sources": [file_source()], "target": "inbody"}, "target"),
        ({"sources": [file_source()], "options": ["md"]}, "options"),
        ({"sources": [file_source()], "options": {"page_range": [3, 2]}}, "page_range"),
        ({"sources": [file_source()], "options": {"page_range": [0, 2]}}, "page_range"),
        ({"sources": [file_source()], "options": {"to_formats": 3}}, "to_formats"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_name_of_the_field(
    web: WebService, body: dict[str, Any], words: str
) -> None:
    assert words in check_problem(post_source(web, **body), 422, "invalid-options")["detail"]
    assert web.ledger.jobs() == []


@pytest.mark.parametrize("fields", [DOCLING_MCP, LIGHTRAG, OPEN_WEBUI])
def test_options_that_mean_nothing_here_are_left_out_of_account(web: WebService, fields: dict[str, Any]) -> None:
    """As docling-mcp, LightRAG and Open WebUI send them, but for the formats."""
    fields = fields | {"to_formats": ["md", "json"]}
    answer = post_file(web, "/v1/convert/file/async", **fields)
    assert answer.status_code == 200, answer.text
    [job] = web.ledger.jobs()
    assert job.options.pages == ""


def test_two_files_in_one_form_are_refused(web: WebService) -> None:
    two = {"files": [(io.BytesIO(PDF), "a.pdf"), (io.BytesIO(PDF), "b.pdf")]}
    answer = web.client.post("/v1/convert/file", data=two)
    answer.request.environ["wsgi.input"].close()
    check_problem(answer, 422, "invalid-options")


def test_file_in_json_that_is_no_document_is_refused(web: WebService) -> None:
    for content, kind in (("!!", "damaged-file"), ("aGVsbG8=", "damaged-file"), ("", "empty-file")):
        check_problem(post_source(web, sources=[file_source(content)]), 422, kind)
    answer = web.client.post("/v1/convert/source", data=json.dumps({}), content_type="text/plain")
    check_problem(answer, 415, "unsupported-media-type")


def test_health_and_version_need_no_key(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with web_service(redis_url, tmp_path, monkeypatch, api_keys="alpha") as web:
        assert web.client.get("/health").json == {"status": "ok"}
        assert set(body_of(web.client.get("/version"))) == {"pagefan"}
        assert web.client.get("/version", headers={"Accept": "text/plain"}).text.startswith("Pagefan ")
