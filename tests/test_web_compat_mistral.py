"""Mistral OCR, driven by Mistral's own package, and by the requests that Open WebUI 0.12.4 and LiteLLM send."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import httpx
import pytest
from mistralai.client import Mistral
from mistralai.client.errors import MistralError
from services import make_pdf, wait_until
from stand_in import finished_job, reading, refusing
from web_service import PDF, WebService, body_of, check_problem, served, web_service

from web.stack.stack import Stack

DATA_URI = "data:application/pdf;base64,"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def data_uri(data: bytes = PDF) -> str:
    return DATA_URI + base64.b64encode(data).decode()


def ask(web: WebService, document: Any, **fields: Any) -> Any:
    return web.client.post("/v1/ocr", json={"model": "mistral-ocr-latest", "document": document, **fields})


def upload(web: WebService, data: bytes = PDF, /, **headers: str) -> Any:
    form = {"purpose": "ocr", "file": (io.BytesIO(data), "three.pdf")}
    answer = web.client.post("/v1/files", data=form, headers=headers)
    answer.request.environ["wsgi.input"].close()  # the test client leaves its file open
    return answer


@pytest.fixture
def sdk(stack: Stack) -> Mistral:
    return Mistral(api_key="none", server_url=stack.base_url)


@pytest.mark.e2e
def test_package_reads_a_data_uri(sdk: Mistral) -> None:
    document: Any = {"type": "document_url", "document_url": data_uri(make_pdf(3))}
    answer = sdk.ocr.process(model="mistral-ocr-latest", document=document, include_blocks=True)
    assert [page.index for page in answer.pages] == [0, 1, 2]
    for number, page in enumerate(answer.pages, 1):
        assert page.markdown.startswith(f"page {number} of")
    assert answer.usage_info.pages_processed == 3


@pytest.mark.e2e
def test_package_uploads_names_the_signed_url_or_the_id_and_deletes(stack: Stack, sdk: Mistral) -> None:
    pdf = make_pdf(3)
    file = sdk.files.upload(file={"file_name": "three.pdf", "content": pdf}, purpose="ocr")
    assert (file.size_bytes, file.filename) == (len(pdf), "three.pdf")
    url = sdk.files.get_signed_url(file_id=file.id).url
    assert url.startswith(stack.base_url)
    assert httpx.get(url).content == pdf
    by_url = sdk.ocr.process(model="m", document={"type": "document_url", "document_url": url})
    by_id = sdk.ocr.process(model="m", document={"type": "file", "file_id": file.id})
    assert by_url.pages == by_id.pages
    assert len(by_id.pages) == 3
    assert sdk.files.retrieve(file_id=file.id).id == file.id
    assert sdk.files.delete(file_id=file.id).deleted
    with pytest.raises(MistralError) as caught:
        sdk.ocr.process(model="m", document={"type": "file", "file_id": file.id})
    assert caught.value.status_code == 404


@pytest.mark.e2e
def test_package_reads_some_pages_of_an_image_url_and_of_a_file(sdk: Mistral) -> None:
    image: Any = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    answer = sdk.ocr.process(model="m", document=image)
    assert len(answer.pages) == 1
    document: Any = {"type": "document_url", "document_url": data_uri(make_pdf(4))}
    answer = sdk.ocr.process(model="m", document=document, pages=[1, 3])
    assert [page.index for page in answer.pages] == [1, 3]
    assert answer.pages[1].markdown.startswith("page 4 of")


def test_package_is_told_why_in_words(url: str) -> None:
    with pytest.raises(MistralError, match="The file is none of PDF") as caught:
        Mistral(api_key="none", server_url=url).files.upload(
            file={"file_name": "a.txt", "content": b"A file that is none"}
        )
    assert caught.value.status_code == 415


def test_some_pages_of_an_uploaded_file_are_given(web: WebService) -> None:
    job_id = finished_job(web, 5)
    for pages, expected in (
        ([0, 2], [0, 2]),
        ("1,3-4", [1, 3, 4]),
        (4, [4]),
        (None, [0, 1, 2, 3, 4]),
        ([], [0, 1, 2, 3, 4]),
    ):
        answer = ask(web, {"type": "file", "file_id": job_id}, pages=pages).json
        assert [page["index"] for page in answer["pages"]] == expected


def test_page_that_could_not_be_read_and_a_blank_one_keep_their_places(web: WebService) -> None:
    job_id = web.open(3)
    web.read(job_id, 1, "")
    web.fail(job_id, 2)
    web.read(job_id, 3)
    web.finish(job_id)
    pages = ask(web, {"type": "file", "file_id": job_id}).json["pages"]
    assert [page["index"] for page in pages] == [0, 1, 2]
    assert pages[0]["markdown"] == ""
    assert "VLM_ERROR page 2" in pages[1]["markdown"]


def test_litellm_sends_no_more_than_it_must(web: WebService) -> None:
    with reading(web):
        answer = ask(web, {"type": "document_url", "document_url": data_uri()})
    assert answer.status_code == 200, answer.text
    assert answer.json["model"] == "pagefan"
    assert {"images", "dimensions", "index", "markdown"} == set(answer.json["pages"][0])


def test_document_has_the_name_it_is_given(web: WebService) -> None:
    with reading(web):
        ask(web, {"type": "document_url", "document_url": data_uri(), "document_name": "bill.pdf"})
    [job] = web.ledger.jobs()
    assert job.name == "bill.pdf"


def test_url_is_fetched_by_a_worker(web: WebService) -> None:
    with reading(web):
        ask(web, {"type": "document_url", "document_url": "https://example.com/a.pdf"}, pages="0-1")
    [job] = web.ledger.jobs()
    assert (job.source_url, job.options.pages) == ("https://example.com/a.pdf", "1-2")


def test_address_of_a_file_is_the_one_that_the_client_sees(web: WebService) -> None:
    job_id = finished_job(web, 1)
    proxied = {"X-Forwarded-Host": "docs.example, inner", "X-Forwarded-Proto": "https"}
    url = body_of(web.client.get(f"/v1/files/{job_id}/url?expiry=24", headers=proxied))["url"]
    assert url == f"https://docs.example/v1/files/{job_id}/content"
    document: Any = {"type": "document_url", "document_url": url}
    answer = web.client.post("/v1/ocr", json={"document": document}, headers=proxied)
    assert len(body_of(answer)["pages"]) == 1
    assert len(web.ledger.jobs()) == 1
    strange = {"X-Forwarded-Host": "docs.example/evil?", "X-Forwarded-Proto": "javascript"}
    url = body_of(web.client.get(f"/v1/files/{job_id}/url", headers=strange))["url"]
    assert url == f"http://localhost/v1/files/{job_id}/content"


def test_file_address_of_another_server_is_fetched_there(web: WebService) -> None:
    job_id = finished_job(web, 1)
    with refusing(web):
        ask(web, {"type": "document_url", "document_url": f"https://other.example/v1/files/{job_id}/content"})
    assert len(web.ledger.jobs()) == 2


def test_files_are_their_owners_alone(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with web_service(redis_url, tmp_path, monkeypatch, api_keys="alpha,beta") as web:
        mine, theirs = {"Authorization": "Bearer alpha"}, {"Authorization": "Bearer beta"}
        file_id = upload(web, **mine).json["id"]
        for path in ("", "/url", "/content"):
            assert web.client.get(f"/v1/files/{file_id}{path}", headers=mine).status_code == 200
            check_problem(web.client.get(f"/v1/files/{file_id}{path}", headers=theirs), 404, "unknown-job")
            check_problem(web.client.get(f"/v1/files/{file_id}{path}"), 401, "unauthorized")
        check_problem(web.client.delete(f"/v1/files/{file_id}", headers=theirs), 404, "unknown-job")
        url = f"http://localhost/v1/files/{file_id}/content"
        for document in ({"type": "file", "file_id": file_id}, {"type": "document_url", "document_url": url}):
            answer = web.client.post("/v1/ocr", json={"document": document}, headers=theirs)
            check_problem(answer, 404, "unknown-job")


def test_file_is_gone_when_its_source_is(web: WebService) -> None:
    check_problem(web.client.get(f"/v1/files/{finished_job(web, 1)}/content"), 404, "unknown-job")


def test_uploaded_file_is_read_to_its_end_though_who_asked_hangs_up(web: WebService) -> None:
    file_id = upload(web).json["id"]
    with served(web) as url, pytest.raises(httpx.ReadTimeout):
        document = {"type": "file", "file_id": file_id}
        httpx.post(f"{url}/v1/ocr", json={"document": document}, timeout=httpx.Timeout(10, read=2))
    job = web.ledger.job(file_id)
    assert job
    assert not job.was_cancelled


def test_document_in_the_request_is_cancelled_when_who_asked_hangs_up(web: WebService) -> None:
    document: Any = {"type": "document_url", "document_url": data_uri()}
    with served(web) as url:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{url}/v1/ocr", json={"document": document}, timeout=httpx.Timeout(10, read=2))
        [job] = web.ledger.jobs()
        wait_until(lambda: web.job(job.id).was_cancelled, 30, "its end")


def test_key_with_one_job_may_ask_for_the_text_of_its_file(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = {"Authorization": "Bearer alpha"}
    with web_service(redis_url, tmp_path, monkeypatch, api_keys="alpha", key_active_jobs=1) as web:
        file_id = upload(web, **key).json["id"]
        check_problem(upload(web, **key), 429, "quota-exceeded")
        with reading(web):
            answer = web.client.post("/v1/ocr", json={"document": {"type": "file", "file_id": file_id}}, headers=key)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ({}, "invalid-options", "document"),
        ({"document": "x"}, "invalid-options", "document"),
        ({"document": {}}, "invalid-options", "url"),
        ({"document": {"document_url": "http://127.0.0.1/a.pdf"}}, "invalid-options", "url"),
        ({"document": {"document_url": "data:application/pdf,%25PDF"}}, "damaged-file", "base64"),
        ({"document": {"document_url": data_uri(b"hello")}}, "unsupported-format", "none of"),
        ({"document": {"file_id": "../../etc"}}, "unknown-job", "No such job"),
        ({"document": {"document_url": data_uri()}, "pages": "1-"}, "invalid-options", "pages"),
        ({"document": {"document_url": data_uri()}, "pages": [-1]}, "invalid-options", "pages"),
        ({"document": {"document_url": data_uri()}, "pages": "3-1"}, "invalid-options", "backwards"),
        ({"document": {"document_url": data_uri()}, "pages": {"a": 1}}, "invalid-options", "pages"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(web: WebService, body: Any, kind: str, words: str) -> None:
    answer = web.client.post("/v1/ocr", json=body)
    assert words in check_problem(answer, answer.status_code, kind)["detail"]
    assert web.ledger.jobs() == []


def test_upload_without_a_file_is_refused(web: WebService) -> None:
    check_problem(web.client.post("/v1/files", data={"purpose": "ocr"}), 422, "invalid-options")
    check_problem(upload(web, b"hello"), 422, "damaged-file")
