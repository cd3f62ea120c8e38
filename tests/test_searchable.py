"""Short cuts and the searchable PDF end to end, over HTTP, with real workers."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pymupdf
import pytest
from services import Service, make_pdf, wait_until

from web.stack.stack import Stack

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def service(start_stack: Callable[..., Stack]) -> Iterator[Service]:
    service = Service(start_stack(page_cache_mb=16))
    yield service
    service.close()


def test_pdf_and_zip_hold_the_source_with_what_was_read(service: Service, sample_pdf: Path) -> None:
    job_id = service.submit(sample_pdf.read_bytes(), pages="1,5")
    assert service.wait(job_id)["state"] == "succeeded"
    answer = wait_until(lambda: get_pdf(service, job_id), 60, "the PDF")
    with pymupdf.open(stream=answer) as document:
        assert document.page_count == 2
        assert "lighthouse keeper" in document[0].get_text()
        assert document[1].get_text().startswith("page 5 of")  # the scan, as echo read it
    archive = zipfile.ZipFile(io.BytesIO(service.http.get(f"/jobs/{job_id}/result?format=zip").content))
    with archive:
        assert archive.read("sample.pdf" if "sample.pdf" in archive.namelist() else "test.pdf") == answer
        assert [name for name in archive.namelist() if name.endswith(".png")] == [
            "pages/000001.png",
            "pages/000005.png",
        ]


def get_pdf(service: Service, job_id: str) -> bytes | None:
    answer = service.http.get(f"/jobs/{job_id}/result?format=pdf")
    assert answer.status_code in (200, 409), answer.text
    return answer.content if answer.status_code == 200 else None


def test_document_sent_again_costs_the_engine_only_its_new_pages(service: Service) -> None:
    job_id = service.submit(make_pdf(5, first=7001))
    service.wait(job_id)
    before = service.generations()
    longer = service.submit(make_pdf(7, first=7001))
    assert service.wait(longer)["state"] == "succeeded"
    assert service.generations() - before == 2
    assert [page["cached"] for page in service.result(longer)["pages"]] == [True] * 5 + [False] * 2
