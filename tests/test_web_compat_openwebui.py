"""Open WebUI's external document loader, by the requests that Open WebUI 0.12.4 sends."""

from __future__ import annotations

import httpx
import pytest
from services import make_pdf
from stand_in import reading
from web_service import PDF, WebService

from web.stack.stack import Stack


def load(url: str, data: bytes, name: str = "three.pdf") -> httpx.Response:
    """As its ExternalDocumentLoader does, to which any key is given."""
    headers = {"Content-Type": "application/pdf", "Authorization": "Bearer none", "X-Filename": name}
    return httpx.put(f"{url}/process", content=data, headers=headers, timeout=120)


@pytest.mark.e2e
def test_each_page_is_a_document_of_its_own(stack: Stack) -> None:
    pages = load(stack.base_url, make_pdf(3)).json()
    assert [page["metadata"] for page in pages] == [{"page": number, "state": "ok"} for number in range(3)]
    for number, page in enumerate(pages, 1):
        assert page["page_content"].startswith(f"page {number} ")


def test_page_that_could_not_be_read_says_so_in_its_place(web: WebService, url: str) -> None:
    with reading(web, failed=(2,)):
        pages = load(url, PDF).json()
    assert [page["metadata"]["state"] for page in pages] == ["ok", "failed", "ok"]
    assert "VLM_ERROR page 2" in pages[1]["page_content"]
    assert [page["page_content"] for page in pages[::2]] == ["page 1", "page 3"]


def test_name_is_the_one_that_was_quoted(web: WebService, url: str) -> None:
    with reading(web):
        load(url, PDF, "Gr%C3%BC%C3%9Fe%20%26%20more.pdf")
    [job] = web.ledger.jobs()
    assert job.name == "Grüße & more.pdf"


def test_refusal_is_a_sentence_that_open_webui_shows(web: WebService, url: str) -> None:
    answer = load(url, b"hello, I am no document")
    assert answer.is_error
    assert "Save it anew" in answer.text
    assert web.ledger.jobs() == []
