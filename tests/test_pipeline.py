"""The main job end to end, over HTTP, on real Redis and real workers: every page once, in page order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pymupdf
import pytest
from services import Service, make_pdf

from web.stack.stack import Stack

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def service(start_stack: Callable[..., Stack]) -> Iterator[Service]:
    """Two GPU workers whose batches end in any order, and four render processes."""
    service = Service(
        start_stack(
            counts={"cpu": 1, "gpu": 2},
            render_processes=4,
            gpu_batch_pages=4,
            echo_seconds=0.02,
            echo_jitter_s=0.1,
            max_page_pixels=4_000_000,
            keep_page_images=40,
        )
    )
    yield service
    service.close()


@pytest.fixture(scope="module")
def serial_texts(start_stack: Callable[..., Stack]) -> Iterator[Callable[[int], list[str]]]:
    """The texts of a document of n pages when nothing runs beside anything."""
    service = Service(start_stack(counts={"cpu": 1, "gpu": 1}, render_processes=1, gpu_batch_pages=1, page_window=1))

    def run(num_pages: int) -> list[str]:
        job_id = service.submit(make_pdf(num_pages))
        assert service.wait(job_id)["state"] == "succeeded"
        return [page["text"] for page in service.result(job_id)["pages"]]

    yield run
    service.close()


@pytest.mark.parametrize("num_pages", [1, 2, 37, 250])
def test_every_page_is_there_once_in_page_order(service: Service, num_pages: int) -> None:
    job_id = service.submit(make_pdf(num_pages))
    job = service.wait(job_id)
    assert job["state"] == "succeeded"
    assert job["pages"]["total"] == job["pages"]["ok"] == num_pages
    service.check_complete(job_id, num_pages)


def test_parallel_output_equals_serial_output(service: Service, serial_texts: Callable[[int], list[str]]) -> None:
    job_id = service.submit(make_pdf(37))
    service.wait(job_id)
    assert [page["text"] for page in service.result(job_id)["pages"]] == serial_texts(37)


def test_chosen_pages_keep_their_numbers(service: Service) -> None:
    job_id = service.submit(make_pdf(37), pages="30-32,2,-1")
    assert service.wait(job_id)["state"] == "succeeded"
    assert [page["page_number"] for page in service.result(job_id)["pages"]] == [2, 30, 31, 32, 37]


def test_pages_of_different_sizes_and_a_blank_one(service: Service) -> None:
    with pymupdf.open() as document:
        for width, height in ((200, 280), (842, 595), (100, 900), (595, 842)):
            document.new_page(width=width, height=height).insert_text((20, 60), "Some words", fontsize=20)
        document.new_page(pno=2)
        data = document.tobytes()
    job_id = service.submit(data)
    assert service.wait(job_id)["state"] == "succeeded"
    pages = service.result(job_id)["pages"]
    assert [page["state"] for page in pages] == ["ok", "ok", "blank", "ok", "ok"]
    for page, ratio in zip(pages, (200 / 280, 842 / 595, 595 / 842, 100 / 900, 595 / 842), strict=True):
        assert max(page["width"], page["height"]) <= 1024
        assert page["width"] % 32 == page["height"] % 32 == 0
        assert page["width"] / page["height"] == pytest.approx(ratio, rel=0.15)


def test_page_that_raises_does_not_lose_the_others(service: Service) -> None:
    job_id = service.submit(make_pdf(12), prompt="!raise 5")
    job = service.wait(job_id)
    assert (job["state"], job["missing_pages"]) == ("partial", [5])
    pages = service.result(job_id)["pages"]
    assert [page["state"] for page in pages] == ["ok"] * 4 + ["failed"] + ["ok"] * 7
    assert pages[4]["reason"] == "generation_failed"
    markdown = service.http.get(f"/jobs/{job_id}/result", params={"format": "md"}).text
    assert "[VLM_ERROR page 5]:" in markdown
    assert markdown.index("page 4 of") < markdown.index("[VLM_ERROR page 5]") < markdown.index("page 6 of")


def test_page_that_cannot_be_rendered_does_not_lose_the_others(service: Service) -> None:
    with pymupdf.open("pdf", make_pdf(3)) as document:
        # A page whose object is no page: the reader finds it in the tree and cannot draw it.
        document.xref_set_key(document.page_xref(1), "Type", "/Nonsense")
        document.xref_set_key(document.page_xref(1), "MediaBox", "[0 0 0 0]")
        document.xref_set_key(document.page_xref(1), "Contents", "99999 0 R")
        data = document.tobytes()
    with pymupdf.open("pdf", data) as document:
        broken = document.page_count
    job_id = service.submit(data)
    job = service.wait(job_id)
    assert job["state"] in ("partial", "succeeded")
    assert job["pages"]["total"] == broken
    assert job["pages"]["ok"] >= broken - 1


def test_transient_error_is_tried_again(service: Service) -> None:
    job_id = service.submit(make_pdf(6), prompt="!oom 2")
    assert service.wait(job_id)["state"] == "succeeded"
    service.check_complete(job_id, 6)


def test_looping_page_is_tried_hotter_and_then_kept_as_fallback(service: Service) -> None:
    job_id = service.submit(make_pdf(5), prompt="!loop 2 !loopalways 4")
    job = service.wait(job_id)
    assert (job["state"], job["missing_pages"], job["fallback_pages"]) == ("succeeded", [], [4])
    assert [page["state"] for page in service.result(job_id)["pages"]] == ["ok", "ok", "ok", "fallback", "ok"]


def test_page_that_fails_falls_back_to_its_text_layer_if_asked(service: Service) -> None:
    job_id = service.submit(make_pdf(3), prompt="!raise 2", text_layer="fallback")
    job = service.wait(job_id)
    assert (job["state"], job["fallback_pages"]) == ("succeeded", [2])
    assert service.result(job_id)["pages"][1]["text"].strip() == "Page 2"


def test_images_of_short_jobs_are_kept_and_those_of_long_jobs_are_not(service: Service) -> None:
    short, long = service.submit(make_pdf(3)), service.submit(make_pdf(41))
    service.wait(short)
    service.wait(long)
    assert service.http.get(f"/jobs/{short}/pages/2/image").headers["content-type"] == "image/png"
    assert service.http.get(f"/jobs/{long}/pages/2/image").status_code == 404


@pytest.mark.parametrize(("name", "data"), [("note.pdf", b"just words"), ("page.html", b"<html><p>hello</p></html>")])
def test_file_that_is_no_document_is_refused_with_help(service: Service, name: str, data: bytes) -> None:
    answer = service.http.post("/jobs", files={"file": (name, data)})
    assert answer.status_code in (415, 422)
    problem = answer.json()
    assert problem["type"]
    assert "PDF" in problem["detail"]


def test_document_that_cannot_be_opened_fails_with_its_reason(service: Service) -> None:
    job_id = service.submit(b"%PDF-1.7\nnothing else")
    job = service.wait(job_id)
    assert job["state"] == "failed"
    assert job["error"]["reason"] in ("corrupt", "no_pages")


def test_unknown_job_is_404(service: Service) -> None:
    for path in ("", "/pages", "/pages/1", "/result", "/pages/1/image"):
        assert service.http.get(f"/jobs/0123456789abcdef{path}").status_code == 404
