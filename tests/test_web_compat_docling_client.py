"""docling-serve v1, driven by docling's own service client and by LangChain's loader for it."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import pytest
from stand_in import reading, refusing
from web_service import PDF, WebService, served, web_service

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # docling uses its own older names where it is imported
    from docling.datamodel.base_models import DocumentStream
    from docling.service_client import ChunkerKind, DoclingServiceClient
    from docling.service_client.exceptions import ServiceError
    from docling_core.transforms.chunker.hierarchical_chunker import HierarchicalChunker
    from langchain_docling.loader import DoclingLoader, ExportType

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # docling's own, of its older names
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # it leaves the file open
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_client_converts_a_file_with_and_without_missing_pages(web: WebService, url: str, document: Path) -> None:
    with DoclingServiceClient(url, api_key="none") as client, reading(web, failed=(2,)):
        assert client.health().status == "ok"
        found = client.convert(document)
    assert found.status.value == "partial_success"
    assert "Page 2: " in found.errors[0].error_message
    assert found.document.export_to_text().splitlines()[0] == "page 1"
    assert [job.name for job in web.ledger.jobs()] == ["report.pdf"]  # the first try made none


@pytest.mark.parametrize("kind", list(ChunkerKind))
def test_client_gets_chunks(kind: ChunkerKind, web: WebService, url: str, document: Path) -> None:
    with DoclingServiceClient(url, api_key="none") as client, reading(web):
        found = client.submit_chunk(document, kind).result(timeout=60)
    assert [chunk.page_numbers for chunk in found.chunks] == [[1, 2, 3]]
    assert found.chunks[0].text == "page 1 page 2 page 3"
    assert found.documents[0].status.value == "success"


def test_client_says_what_was_wrong(web: WebService, url: str, document: Path) -> None:
    with DoclingServiceClient(url, api_key="none") as client, refusing(web):
        found = client.convert(document, raises_on_error=False)
    assert found.status.value == "failure"
    assert "damaged" in found.errors[0].error_message


def test_key_is_sent_as_the_client_sends_it(
    redis_url: str, tmp_path: Path, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_service(redis_url, tmp_path, monkeypatch, api_keys="alpha") as web, served(web) as url:
        with DoclingServiceClient(url, api_key="wrong") as client, pytest.raises(ServiceError) as raised:
            client.submit(DocumentStream(name="report.pdf", stream=io.BytesIO(PDF)))  # a path would be left open
        assert "A key is needed" in f"{raised.value} {raised.value.detail}"
        with DoclingServiceClient(url, api_key="alpha") as client, reading(web):
            assert client.convert(document).status.value == "success"


def test_langchain_loads_chunks_and_markdown(web: WebService, url: str, document: Path) -> None:
    with DoclingServiceClient(url, api_key="none") as client, reading(web):
        chunks = DoclingLoader(str(document), converter=client, chunker=HierarchicalChunker()).load()
        [whole] = DoclingLoader(str(document), converter=client, export_type=ExportType.MARKDOWN).load()
    assert chunks[0].page_content == "page 1 page 2 page 3"
    assert chunks[0].metadata["dl_meta"]["doc_items"][0]["prov"][0]["page_no"] == 1
    assert whole.page_content.split() == ["page", "1", "page", "2", "page", "3"]
