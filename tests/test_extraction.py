"""Values by a schema and questions about documents through the whole service, on a model that stands in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import pymupdf
import pytest
from conftest import StartStack
from model_server import ModelServer, serve_model
from PIL import Image
from services import Service

SCHEMA = {
    "type": "object",
    "properties": {"total": {"type": "number"}, "customer": {"type": "string"}},
    "required": ["total"],
}

pytestmark = pytest.mark.e2e


KEEPER = {
    "type": "object",
    "properties": {"keeper": {"type": "string"}, "lamp_height": {"type": "number"}},
    "required": ["keeper"],
}
SENTENCES = (
    "The harbour of Holm has seven quays and a customs house beside the mole.",
    "Ships wait outside until the tide has risen above the old bar.",
    "The lamp stands 48.5 metres above the sea and is lit at sunset.",
    "Its keeper since 1931 is Marta Lindqvist, who lives in the tower.",
)


def model(prompt: str, image: Image.Image) -> str:
    """Reads an invoice's first page, which is wide, and writes prose about the other; knows what passages say."""
    if "Question: " in prompt:
        return "It is Marta Lindqvist [page 4], no ship [page 9]." if "Marta" in prompt else "NOT FOUND"
    if "lamp_height" in prompt:
        return '{"keeper": "Marta Lindqvist", "lamp_height": 48.5}'
    assert json.dumps(SCHEMA, separators=(",", ":")) in prompt, "a page was sent to be read"
    return '```json\n{"total": 118.5, "customer": "Ada Lovelace"}\n```' if image.width > image.height else "A letter."


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with serve_model(model) as server:
        yield server


@pytest.fixture(scope="module")
def service(start_stack: StartStack, server: ModelServer) -> Iterator[Service]:
    stack = start_stack(engine="openai", openai_base_url=server.base_url, model="m")
    with closing(Service(stack)) as service:
        yield service


def invoice() -> bytes:
    """A scan, and a page of text."""
    with pymupdf.open() as document:
        for size in ((640, 400), (400, 640)):
            sheet = document.new_page(width=size[0], height=size[1])
            for at, line in enumerate(("Invoice for Ada Lovelace", "Goods and their delivery", "Total 118,50")):
                sheet.insert_text((60, 80 + 60 * at), line, fontsize=24)
        scan = document[0].get_pixmap(dpi=150).tobytes("png")
        document.delete_page(0)
        document.new_page(0, width=640, height=400).insert_image((0, 0, 640, 400), stream=scan)
        return bytes(document.tobytes())


def test_values_have_pages_and_boxes_and_a_page_without_any_has_failed(service: Service) -> None:
    job = service.wait(service.submit(invoice(), task="extract", schema=json.dumps(SCHEMA)), 60)
    assert job["state"] == "partial"
    read, failed = service.result(job["id"])["pages"]
    assert read["data"] == {"total": 118.5, "customer": "Ada Lovelace"}
    total, customer = read["values"]
    assert total["page_number"] == customer["page_number"] == 1
    assert total["box"][1] > customer["box"][3]
    assert total["box"][0] < read["width"] and customer["box"][2] > customer["box"][0]
    assert (failed["state"], failed["reason"]) == ("failed", "invalid_answer")


def harbour() -> bytes:
    """Three pages of text and a scan."""
    with pymupdf.open() as document:
        for sentence in SENTENCES:
            sheet = document.new_page(width=420, height=300)
            sheet.insert_textbox((40, 40, 380, 260), f"{sentence}\n" * 3, fontsize=16)
        scan = document[3].get_pixmap(dpi=150).tobytes("png")
        document.delete_page(3)
        document.new_page(width=420, height=300).insert_image((0, 0, 420, 300), stream=scan)
        return bytes(document.tobytes())


def test_a_document_is_asked_once_and_its_answer_names_pages(service: Service, server: ModelServer) -> None:
    server.bodies.clear()
    options = {"scope": "document", "task": "ask", "question": "Who is the keeper?"}
    job = service.wait(service.submit(harbour(), **options), 60)
    assert job["state"] == "succeeded"
    assert len(server.bodies) == 1
    answer = service.http.get(f"/jobs/{job['id']}/answer").json()
    assert (answer["pages"], answer["is_cited"], answer["is_found"]) == ([4], True, True)
    assert "Marta Lindqvist" in service.http.get(f"/jobs/{job['id']}/result").text
    result = service.result(job["id"])
    assert result["answer"] == answer
    assert [page["engine"] for page in result["pages"]] == ["text-layer", "text-layer", "text-layer", "ocr"]


def test_values_of_a_document_have_their_pages_and_boxes(service: Service) -> None:
    job = service.wait(service.submit(harbour(), scope="document", task="extract", schema=json.dumps(KEEPER)), 60)
    answer = service.http.get(f"/jobs/{job['id']}/answer").json()
    assert answer["data"] == {"keeper": "Marta Lindqvist", "lamp_height": 48.5}
    keeper, height = answer["values"]
    assert (keeper["page_number"], height["page_number"]) == (4, 3)
    x0, y0, x1, y1 = keeper["box"]
    page = service.result(job["id"])["pages"][3]
    assert 0 < x0 < x1 < page["width"] and 0 < y0 < y1 < page["height"] / 2
