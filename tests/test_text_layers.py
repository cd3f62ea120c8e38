"""Text layers end to end: pages of one document whose text stands for all, a part or nothing of what can be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pymupdf
import pytest
from services import Service

from web.stack.stack import Stack

pytestmark = pytest.mark.e2e

LINES = [f"{word} clause of the lease agreement between the parties" for word in ("First", "Second", "Third", "Fourth")]


@pytest.fixture(scope="module")
def service(start_stack: Callable[..., Stack]) -> Iterator[Service]:
    """A stack of our own: its render processes load the recogniser."""
    service = Service(start_stack(counts={"cpu": 1, "gpu": 1}, render_processes=1))
    yield service
    service.close()


def write(page: pymupdf.Page, lines: list[str], *, top: int = 100, hidden: bool = False) -> None:
    for row, line in enumerate(lines):
        page.insert_text((60, top + row * 40), line, fontsize=14, render_mode=3 if hidden else 0)


def make_document(layers: list[list[str] | None]) -> bytes:
    """A page for each layer: the lines as a picture with it as hidden text, or, for None, the lines as text."""
    with pymupdf.open() as document, pymupdf.open() as drawn:
        write(drawn.new_page(), LINES)
        picture = drawn[0].get_pixmap(dpi=150)
        for layer in layers:
            page = document.new_page()
            if layer is None:
                write(page, LINES)
            else:
                page.insert_image(page.rect, pixmap=picture)
                write(page, layer, hidden=True)
        return bytes(document.tobytes(deflate=True))


def test_layers_are_used_where_the_pixels_agree_with_them(service: Service) -> None:
    garbage = [line.lower()[::-1] for line in LINES]
    document = make_document([None, LINES, garbage, [], LINES[:2]])
    job_id = service.submit(document, text_layer="auto")
    assert service.wait(job_id)["state"] == "succeeded"
    pages = service.result(job_id)["pages"]
    assert [page["engine"] for page in pages] == ["text-layer", "text-layer", "echo", "echo", "echo"]
    for page in pages[:2]:
        assert page["text"].splitlines() == LINES
        assert [line["text"] for line in page["lines"]] == LINES
        for row, line in enumerate(page["lines"]):
            x0, y0, x1, y1 = line["box"]
            baseline = (100 + row * 40) * page["height"] / 842
            assert 0 < x0 < x1 < page["width"]
            assert y0 < baseline - 3 < baseline < y1 + 1


def test_repair_and_jobs_with_a_prompt_read_every_page(service: Service) -> None:
    document = make_document([None])
    job_id = service.submit(document, text_layer="auto", prompt="Translate.")
    service.wait(job_id)
    assert service.result(job_id)["pages"][0]["engine"] == "echo"
    job_id = service.submit(document, text_layer="auto")
    service.wait(job_id)
    assert service.http.post(f"/jobs/{job_id}/retry", json={"pages": "1"}).status_code == 202
    service.wait(job_id)
    assert service.result(job_id)["pages"][0]["engine"] == "echo"


def test_sound_text_of_a_pdf_spares_the_engine_if_preferred(service: Service, sample_pdf: Path) -> None:
    before = service.generations()
    job_id = service.submit(sample_pdf.read_bytes(), text_layer="prefer")
    assert service.wait(job_id)["state"] == "succeeded"
    pages = service.result(job_id)["pages"]
    assert [page["engine"] for page in pages] == ["text-layer"] * 3 + ["", "echo", "text-layer"]
    assert "The Keeper's Book" in pages[0]["text"]
    assert service.generations() - before <= 1  # the scan may be in the cache
