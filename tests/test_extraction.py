"""Values by a schema through the whole service, from an upload to boxes in the result, on a model that stands in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import pymupdf
import pytest
from conftest import StartStack
from model_server import serve_model
from PIL import Image
from services import Service

SCHEMA = {
    "type": "object",
    "properties": {"total": {"type": "number"}, "customer": {"type": "string"}},
    "required": ["total"],
}

pytestmark = pytest.mark.e2e


def model(prompt: str, image: Image.Image) -> str:
    """Reads the first page, which is wide, and writes prose about the other."""
    assert json.dumps(SCHEMA, separators=(",", ":")) in prompt
    return '```json\n{"total": 118.5, "customer": "Ada Lovelace"}\n```' if image.width > image.height else "A letter."


@pytest.fixture
def service(start_stack: StartStack) -> Iterator[Service]:
    with serve_model(model) as server:
        stack = start_stack(engine="openai", openai_base_url=server.base_url, model="m")
        with closing(Service(stack)) as service:
            yield service


def invoice() -> bytes:
    with pymupdf.open() as document:
        for size in ((640, 400), (400, 640)):
            sheet = document.new_page(width=size[0], height=size[1])
            for at, line in enumerate(("Invoice for Ada Lovelace", "Goods and their delivery", "Total 118,50")):
                sheet.insert_text((60, 80 + 60 * at), line, fontsize=24)
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
