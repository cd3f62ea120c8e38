"""Layout in the flow: beside the engine, found again where it is lost, and no reason to lose a page."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from PIL import Image, ImageDraw
from web_service import WebService, page

from tasks import layout
from tasks.archive import load_job, read_content
from tasks.blobs import job_key, page_key
from tasks.layout import NO_LAYOUT, lay_out, lay_out_rest
from tasks.page_end import save_text
from tasks.services import get_blobs, get_layout_sandbox, get_sandbox
from workers.engines import Line
from workers.layout.blocks import PageLayout
from workers.sandbox.sandbox import SandboxTimeout

LINES = (
    Line(text="Left one", box=(20.0, 220.0, 180.0, 240.0), confidence=0.99),
    Line(text="and two.", box=(20.0, 244.0, 180.0, 264.0), confidence=0.99),
)


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[None]:
    yield
    for sandbox in (get_sandbox, get_layout_sandbox):
        if sandbox.cache_info().currsize:
            sandbox().close()
            sandbox.cache_clear()


def png() -> bytes:
    image = Image.new("L", (400, 560), 255)
    ImageDraw.Draw(image).text((20, 220), "Left one", fill=0)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def read(web: WebService, job_id: str, number: int) -> None:
    get_blobs().write(page_key(job_id, number - 1, "png"), png())
    save_text(page(job_id, number), "Left one\nand two.", engine="ocr", seconds=0.1, lines=LINES, width=400, height=560)
    assert web.ledger.page(job_id, number - 1).state == "ok"


def blocks_of(web: WebService, job_id: str, number: int) -> str:
    """The words of the page's blocks."""
    content = read_content(web.ledger.page(job_id, number - 1))
    return " ".join(" ".join(block["text"] for block in content.get("blocks", [{"text": "none yet"}])).split())


def shown(web: WebService, job_id: str) -> str:
    return " ".join(web.get(f"/jobs/{job_id}/result?format=md&page_marks=none").text.split())


@pytest.mark.usefixtures("sandboxes")
def test_a_page_gets_its_blocks_once_and_then_its_image_goes(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.layout.keeps_images", lambda _: False)
    monkeypatch.setattr("tasks.page_end.keeps_images", lambda _: False)
    job_id = web.open(1)
    read(web, job_id, 1)
    assert get_blobs().exists(page_key(job_id, 0, "png"))
    seq = web.ledger.page(job_id, 0).seq
    assert lay_out(page(job_id, 1))
    assert blocks_of(web, job_id, 1) == "Left one and two."
    assert web.ledger.page(job_id, 0).seq > seq
    assert not get_blobs().exists(page_key(job_id, 0, "png"))
    monkeypatch.setattr(layout, "lay_out_record", lambda *_, **__: pytest.fail("it was found before"))
    assert lay_out(page(job_id, 1))


@pytest.mark.usefixtures("sandboxes")
def test_assembly_finds_what_was_lost(web: WebService) -> None:
    job_id = web.open(3)
    for number in (1, 3):
        read(web, job_id, number)
    save_text(page(job_id, 2), "# Written", engine="vlm", seconds=0.1)
    lay_out_rest(job_id)
    assert blocks_of(web, job_id, 1) == blocks_of(web, job_id, 3) == "Left one and two."
    web.finish(job_id)
    assert shown(web, job_id).replace("# ", "") == "Left one and two. Written Left one and two."


@pytest.mark.usefixtures("sandboxes")
def test_a_page_that_another_process_is_at_is_waited_for(web: WebService) -> None:
    job_id = web.open(1)
    read(web, job_id, 1)
    web.ledger.redis.set(f"pf:layout:{page(job_id, 1).task_id}", "1", px=700)
    assert not lay_out(page(job_id, 1))
    lay_out_rest(job_id)  # until the claim of the dead process lapses
    assert blocks_of(web, job_id, 1) == "Left one and two."


@pytest.mark.usefixtures("sandboxes")
def test_a_layout_that_fails_leaves_paragraphs_and_a_notice(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_slow(*_: object, **__: object) -> None:
        raise SandboxTimeout("no answer within 20 s")

    monkeypatch.setattr(get_layout_sandbox(), "run", too_slow)
    job_id = web.open(1)
    read(web, job_id, 1)
    assert lay_out(page(job_id, 1))
    assert blocks_of(web, job_id, 1) == "Left one and two."
    assert web.ledger.page(job_id, 0).notices == (NO_LAYOUT,)


@pytest.mark.usefixtures("sandboxes")
def test_nothing_but_the_text_is_left_when_even_that_fails(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    def dead(*_: object, **__: object) -> None:
        raise SandboxTimeout("no answer within 20 s")

    for sandbox in (get_layout_sandbox(), get_sandbox()):
        monkeypatch.setattr(sandbox, "run", dead)
    job_id = web.open(1)
    read(web, job_id, 1)
    assert lay_out(page(job_id, 1))
    web.finish(job_id)
    job = load_job(job_id)
    assert job is not None
    assert shown(web, job_id) == "> Pages to look at (no layout): 1. Left one and two."


def test_a_repaired_page_is_not_touched_by_the_layout_of_the_run_before(web: WebService) -> None:
    job_id = web.open(1)
    read(web, job_id, 1)
    web.ledger.open_repair(job_id, indexes=[0], selection="1", options={})
    assert lay_out(page(job_id, 1))
    assert blocks_of(web, job_id, 1) == "none yet"


def test_pictures_that_an_earlier_reading_left_go(web: WebService) -> None:
    job_id = web.open(1)
    for number, crops in ((1, ("p001-1.png", "p001-2.png", "p001-3.png")), (2, ("p001-1.png",))):
        found = PageLayout(lines=(), blocks=(), crops=dict.fromkeys(crops, b"png"))
        save_text(page(job_id, 1), "x", engine="text-layer", seconds=0.0, layout=found)
        assert get_blobs().names(job_key(job_id, "figures")) == list(crops), number


def test_a_pdfs_own_text_has_no_confidence(web: WebService) -> None:
    job_id = web.open(1)
    save_text(page(job_id, 1), "x", engine="text-layer", seconds=0.0, lines=LINES)
    assert web.ledger.page(job_id, 0).confidence is None
    assert "confidence" not in web.client.get(f"/jobs/{job_id}/pages/1").text.split("Read this page again")[0]
