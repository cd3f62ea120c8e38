"""A page made ready for an engine: what is packed, what a blank page is spared, and what the PNG holds."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pymupdf
import pytest
from PIL import Image

from workers.documents import pages
from workers.documents.kinds import DocumentError, DocumentLimits
from workers.documents.open import render_page
from workers.documents.pages import PreparedPage, get_engine, prepare_page, warm_up
from workers.engines import Control, EngineError, Generation, ImageSpec, PageRequest, Prepared
from workers.engines.echo import EchoOptions
from workers.engines.ocr import light
from workers.engines.ocr.options import OcrOptions
from workers.engines.options import ModelOptions
from workers.engines.registry import ENGINES
from workers.reading import page_layer
from workers.sandbox.sandbox import Sandbox

LIMITS = DocumentLimits()
SPEC = ImageSpec(factor=32, max_side=256)
OCR = OcrOptions()


class PackingEngine:
    """An engine that packs the size of the image, and refuses to prepare what it is told to."""

    name = "packing"
    revision = "1"
    image_spec = SPEC
    max_batch = 1

    def __init__(self, options: ModelOptions) -> None:
        self.options = options

    def prepare(self, image: Image.Image, request: PageRequest) -> Prepared:
        if request.prompt == "refuse":
            raise EngineError("the prompt is refused")
        return Prepared(request=request, image=image, num_tokens=image.width)

    def pack(self, prepared: Prepared) -> bytes | None:
        assert prepared.image is not None
        return f"{prepared.image.size} {self.options.model}".encode()

    def unpack(self, data: bytes, request: PageRequest) -> Prepared:
        raise NotImplementedError(data, request)

    def load(self) -> None:
        raise AssertionError("a model is not loaded to prepare a page")

    def generate(self, batch: list[Prepared], control: Control) -> list[Generation]:
        raise NotImplementedError(batch, control)

    def close(self) -> None:
        raise NotImplementedError


OPTIONS = ModelOptions
ENGINE = PackingEngine


@pytest.fixture(autouse=True)
def packing_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(ENGINES, "packing", __name__)
    yield
    get_engine.cache_clear()


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """Black text, nothing, and red text."""
    path = tmp_path / "a.pdf"
    with pymupdf.open() as pdf:
        for text, color in (("black", (0, 0, 0)), ("", (0, 0, 0)), ("red", (1, 0, 0))):
            pdf.new_page(width=300, height=400).insert_text((30, 60), text, fontsize=30, color=color)
        pdf.save(path)
    return path


def prepare(path: Path, index: int, *, prompt: str = "", engine: str = "packing") -> PreparedPage:
    return prepare_page(
        path,
        index,
        engine=engine,
        options=ModelOptions(model="m"),
        request=PageRequest(page_number=index + 1, prompt=prompt),
        limits=LIMITS,
    )


def test_page_is_drawn_and_prepared(document: Path) -> None:
    page = prepare(document, 0)
    assert page.packed == b"(192, 256) m"
    assert page.num_tokens == page.width == 192
    assert (page.height, page.rotation, page.is_blank) == (256, 0, False)
    assert page.text_layer.split() == ["black"]


def test_blank_page_is_not_prepared(document: Path) -> None:
    page = prepare(document, 1, prompt="refuse")
    assert page.is_blank
    assert (page.packed, page.num_tokens) == (None, 0)
    assert Image.open(io.BytesIO(page.png)).size == (192, 256)


@pytest.mark.parametrize(("index", "mode"), [(0, "L"), (2, "RGB")])
def test_png_is_grey_without_colour_and_holds_the_same_page(document: Path, index: int, mode: str) -> None:
    image = Image.open(io.BytesIO(prepare(document, index).png))
    assert image.mode == mode
    drawn = render_page(document, index, spec=SPEC, limits=LIMITS).image
    assert np.array_equal(np.asarray(image.convert("RGB")), np.asarray(drawn))


def test_engine_is_made_once_in_a_process(document: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ModelOptions] = []
    plain = PackingEngine.__init__

    def count(self: PackingEngine, options: ModelOptions) -> None:
        made.append(options)
        plain(self, options)

    monkeypatch.setattr(PackingEngine, "__init__", count)
    for index in range(3):
        prepare(document, index)
    assert made == [ModelOptions(model="m")]


def test_warm_up_makes_the_engine_and_has_it_prepare(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(PackingEngine, "prepare", lambda _self, image, _request: seen.append(image.size))
    warm_up("packing", ModelOptions(model="m"))
    assert seen == [(256, 256)]
    assert get_engine.cache_info().currsize == 1


def test_errors_of_engine_and_document_pass_through(document: Path) -> None:
    with pytest.raises(EngineError, match="refused"):
        prepare(document, 0, prompt="refuse")
    with pytest.raises(DocumentError) as caught:
        prepare(document, 3)
    assert caught.value.reason == "page_failed"


def test_echo_engine_gets_its_page_through_the_sandbox(document: Path) -> None:
    options = EchoOptions(resize_factor=28)
    with closing(Sandbox(1, 1024, warm_up=partial(warm_up, "echo", options))) as sandbox:
        page = sandbox.run(
            prepare_page,
            document,
            2,
            engine="echo",
            options=options,
            request=PageRequest(page_number=3),
            limits=LIMITS,
            timeout_s=30,
        )
    assert page.text_layer.split() == ["red"]
    assert Image.open(io.BytesIO(page.png)).size == (page.width, page.height)
    assert not page.is_blank


def paragraph(page: pymupdf.Page, *, rows: int = 12, top: int = 80, size: float = 12) -> None:
    for row in range(rows):
        page.insert_text((60, top + row * 3 * size), f"Line {row + 1} of the lease agreement.", fontsize=size)


def prepared_by_ocr(path: Path, *, judges_layer: bool = True, options: OcrOptions = OCR) -> PreparedPage:
    request = PageRequest(page_number=1)
    return prepare_page(
        path, 0, engine="ocr", options=options, request=request, limits=LIMITS, judges_layer=judges_layer
    )


def test_page_that_its_text_layer_stands_for_needs_no_engine(tmp_path: Path) -> None:
    path = tmp_path / "plan.pdf"
    with pymupdf.open() as document:
        paragraph(document.new_page(width=1300, height=1800), rows=40, size=7)  # too small for one image
        document.save(path)
    page = prepared_by_ocr(path)
    assert (page.layer_verdict, page.packed) == ("sound", None)
    assert [word.text for word in page.layer_words[:3]] == ["Line", "1", "of"]
    x0, y0, x1, y1 = page.layer_words[0].box
    scale = page.height / 1800
    assert (x0, y1) == pytest.approx((60 * scale, 80 * scale), abs=6)
    word = Image.open(io.BytesIO(page.png)).convert("L").crop((int(x0), int(y0), int(x1), int(y1)))
    assert np.asarray(word).min() < 99
    assert prepared_by_ocr(path, judges_layer=False).packed is not None


def test_words_in_white_are_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "journal.pdf"
    with pymupdf.open() as document:
        page = document.new_page()
        paragraph(page)
        page.insert_text((60, 800), "printed by a robot", fontsize=7, color=(1, 1, 1))
        document.save(path)
    found = prepared_by_ocr(path)
    assert found.layer_verdict == "sound"
    assert found.text_layer.splitlines()[-1] == "Line 12 of the lease agreement."


@pytest.mark.parametrize(("shift", "verdict"), [(0, "sound"), (3, "unsound")])
def test_small_images_are_looked_at_larger(tmp_path: Path, shift: int, verdict: str) -> None:
    path = tmp_path / "small.pdf"
    with pymupdf.open() as scan, pymupdf.open() as document:
        paragraph(document.new_page())
        page = scan.new_page()
        page.insert_image(page.rect, pixmap=document[0].get_pixmap(dpi=150))
        for row in range(12):
            line = f"Line {row + 1} of the lease agreement."
            text = "".join(chr(ord(c) + shift) if c.isalpha() and c < "w" else c for c in line)
            page.insert_text((60, 80 + row * 36), text, fontsize=12, render_mode=3)
        scan.save(path)
    found = prepared_by_ocr(path, options=OcrOptions(max_dimension=320))
    assert found.layer_verdict == verdict
    assert all(0 <= x1 <= found.width and 0 <= y1 <= found.height for _, (_, _, x1, y1), *_ in found.layer_words)


def test_text_that_is_there_twice_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "bold.pdf"
    with pymupdf.open() as document:
        page = document.new_page()
        for _ in range(2):
            paragraph(page)
        document.save(path)
    assert prepared_by_ocr(path).text_layer.splitlines() == [
        f"Line {row} of the lease agreement." for row in range(1, 13)
    ]


def test_garbage_is_told_by_its_letters_before_its_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_layer, "READER", "no.such.module")
    path = tmp_path / "signs.pdf"
    with pymupdf.open() as document:
        document.new_page().insert_text((60, 60), "!!! ??? 123 456")
        document.save(path)
    assert prepared_by_ocr(path).layer_verdict == "unsound"


def test_layer_that_cannot_be_compared_leaves_its_page_to_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("cannot convert float NaN to integer")

    monkeypatch.setattr(pages, "read_words", fail)
    path = tmp_path / "odd.pdf"
    with pymupdf.open() as document:
        paragraph(document.new_page())
        document.save(path)
    page = prepared_by_ocr(path)
    assert (page.layer_verdict, page.text_layer.startswith("Line 1")) == ("", True)


def test_nobody_says_anything_of_a_layer_where_nothing_can_read_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise EngineError("no runtime")

    monkeypatch.setattr(light, "light_reader", fail)
    path = tmp_path / "plain.pdf"
    with pymupdf.open() as document:
        paragraph(document.new_page())
        document.save(path)
    assert prepared_by_ocr(path).layer_verdict == ""
