"""The searchable PDF: the text is where the engine saw it, whichever way the page is turned, and cannot be seen."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pymupdf
import pytest
from PIL import Image

from workers.documents.kinds import DocumentError, DocumentLimits
from workers.documents.open import render_page
from workers.documents.pages import write_searchable_pdf
from workers.engines import Control, PageRequest
from workers.engines.registry import load_engine
from workers.results.invisible_font import visual

LIMITS = DocumentLimits()
SCALE = 2  # px a point
Box = Sequence[float]


def record(number: int, text: str = "", **rest: Any) -> dict[str, Any]:
    return {"page_number": number, "text": text, "lines": [], "width": 800, "height": 1200, "rotation": 0} | rest


def line(text: str, box: Box) -> dict[str, Any]:
    return {"text": text, "box": list(box), "confidence": 1.0}


def convert(source: Path, records: Sequence[dict[str, Any]], **options: Any) -> pymupdf.Document:
    pages, out = source.with_name("pages.jsonl"), source.with_name("out.pdf")
    pages.write_text("".join(json.dumps(one) + "\n" for one in records))
    write_searchable_pdf(source, pages, out, limits=LIMITS, **options)
    return pymupdf.open(out)


def seen_words(page: pymupdf.Page) -> dict[str, tuple[float, ...]]:
    """Where each word is on the page as it is seen; PyMuPDF gives the places before the page's turn."""
    to_seen = pymupdf.mupdf.FzMatrix()
    pymupdf.mupdf.pdf_page_transform(page._pdf_page(), pymupdf.mupdf.FzRect(), to_seen)
    page.set_rotation(0)
    place = ~page.transformation_matrix * pymupdf.Matrix(to_seen)
    return {word[4]: tuple(pymupdf.Rect(word[:4]) * place) for word in page.get_text("words")}


def scan_of(source: Path, path: Path) -> Path:
    """The document as a scanner gives it: images without text."""
    with pymupdf.open(source) as document, pymupdf.open() as scans:
        for page in document:
            sheet = scans.new_page(width=page.rect.width, height=page.rect.height)
            sheet.insert_image(sheet.rect, stream=page.get_pixmap(dpi=100).tobytes("png"))
        scans.save(path)
    return path


def lines_of(source: Path, index: int) -> Iterator[dict[str, Any]]:
    """The lines that a perfect engine would give."""
    with pymupdf.open(source) as document:
        for block in document[index].get_text("dict")["blocks"]:
            for found in block.get("lines", ()):
                text = "".join(span["text"] for span in found["spans"]).strip()
                if text:
                    yield line(text, [value * SCALE for value in found["bbox"]])


def test_rectangle_around_each_word_has_that_word_and_no_other(sample_pdf: Path, tmp_path: Path) -> None:
    records = [
        record(index + 1, width=595 * SCALE, height=842 * SCALE, lines=list(lines_of(sample_pdf, index)))
        for index in range(6)
    ]
    with convert(scan_of(sample_pdf, tmp_path / "scan.pdf"), records) as made, pymupdf.open(sample_pdf) as printed:
        assert made.page_count == 6
        for page, original in zip(made, printed, strict=True):
            words, found = original.get_text("words"), page.get_text("words")
            assert [word[4] for word in found] == [word[4] for word in words]
            for one, other in zip(found, words, strict=True):
                assert pymupdf.Rect(one[:4]).intersects(pymupdf.Rect(other[:4])), (one, other)
            off = [abs(one[0] - other[0]) for one, other in zip(found, words, strict=True)]
            assert not off or sum(off) / len(off) < 5  # points
        [(x0, y0, x1, y1)] = made[0].search_for("lighthouse keeper")
        assert made[0].get_textbox((x0 - 2, y0, x1 + 2, y1)).split() == ["lighthouse", "keeper"]


def test_places_of_the_ocr_engine_hold_on_a_real_scan(sample_pdf: Path, tmp_path: Path) -> None:
    engine = load_engine("ocr")
    request = PageRequest(page_number=5)
    shown = render_page(sample_pdf, 4, spec=engine.image_spec, limits=LIMITS)
    engine.load()
    [read] = engine.generate([engine.prepare(shown.image, request)], Control())
    engine.close()
    lines = [line(one.text, one.box) for one in read.lines]
    source = tmp_path / "sample.pdf"
    source.write_bytes(sample_pdf.read_bytes())
    one = record(5, read.text, lines=lines, width=shown.width, height=shown.height, rotation=read.rotation)
    with convert(source, [one]) as made:
        assert made.page_count == 1
        page = made[0]
        assert "HARBOUR OFFICE" in page.get_textbox(pymupdf.Rect(60, 90, 595, 130))
        assert "OFFICE" not in page.get_textbox(pymupdf.Rect(60, 150, 595, 800))
        assert "Page 5" in page.get_textbox(pymupdf.Rect(200, 780, 400, 842))


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("crop", [None, (20, 30, 380, 580)])
def test_text_lies_right_on_pages_that_are_turned_and_cropped(tmp_path: Path, rotate: int, crop: Box | None) -> None:
    source = tmp_path / "turned.pdf"
    with pymupdf.open() as document:
        page = document.new_page(width=400, height=600)
        page.draw_rect((100, 100, 200, 200))
        if crop:
            page.set_cropbox(pymupdf.Rect(crop))
        page.set_rotation(rotate)
        size = {"width": round(page.rect.width * SCALE), "height": round(page.rect.height * SCALE)}
        document.save(source)
    lines = [line("lamp", (100, 200, 200, 240)), line("oil", (300, 400, 340, 420))]
    with convert(source, [record(1, lines=lines, **size)]) as made:
        words = seen_words(made[0])
        assert words["lamp"] == pytest.approx((50, 100, 100, 120), abs=0.1)
        assert words["oil"] == pytest.approx((150, 200, 170, 210), abs=0.1)


@pytest.mark.parametrize(("rotation", "direction"), [(0, (1, 0)), (90, (0, -1)), (180, (-1, 0)), (270, (0, 1))])
def test_text_runs_the_way_the_engine_found_it(tmp_path: Path, rotation: int, direction: Box) -> None:
    source = tmp_path / "plain.pdf"
    with pymupdf.open() as document:
        document.new_page(width=400, height=600)
        document.save(source)
    one = record(1, lines=[line("a line of text", (100, 200, 300, 600))], rotation=rotation)
    with convert(source, [one]) as made:
        [found] = made[0].get_text("dict")["blocks"][0]["lines"]
        assert found["dir"] == pytest.approx(direction, abs=0.01)
        assert found["bbox"] == pytest.approx((50, 100, 150, 300), abs=0.1)


def test_text_cannot_be_seen(sample_pdf: Path, tmp_path: Path) -> None:
    source = scan_of(sample_pdf, tmp_path / "scan.pdf")
    with convert(source, [record(1, "words " * 400)]) as made, pymupdf.open(source) as before:
        assert "words" in made[0].get_text()
        assert made[0].get_pixmap().samples == before[0].get_pixmap().samples


def test_page_that_has_its_text_already_is_left_alone(sample_pdf: Path, tmp_path: Path) -> None:
    source = tmp_path / "sample.pdf"
    source.write_bytes(sample_pdf.read_bytes())
    with pymupdf.open(sample_pdf) as document:
        text = document[0].get_text()
    with convert(source, [record(1, text), record(2, "quite another text, in which nothing is as printed")]) as made:
        assert made[0].get_text() == text
        assert "quite another" in made[1].get_text()


def test_only_the_chosen_pages_are_there_in_order(sample_pdf: Path, tmp_path: Path) -> None:
    source = tmp_path / "sample.pdf"
    source.write_bytes(sample_pdf.read_bytes())
    with convert(source, [record(2), record(3, "unread", lines=[]), record(6)]) as made:
        assert ["Two Columns" in made[0].get_text(), "The End" in made[2].get_text()] == [True, True]
        assert made.page_count == 3


@pytest.mark.parametrize(
    "text", ["灯台守は船を書き留める", "Смотритель маяка", "φάρος", "قارئ الكتب", "שומר המגדלור", "दीपस्तंभ"]
)
def test_no_script_is_lost(tmp_path: Path, text: str) -> None:
    source = tmp_path / "plain.pdf"
    with pymupdf.open() as document:
        document.new_page(width=400, height=600)
        document.save(source)
    with convert(source, [record(1, lines=[line(text, (100, 100, 500, 140))])]) as made:
        assert made[0].get_text().strip() == text


def test_text_from_right_to_left_is_written_as_it_is_seen() -> None:
    assert visual("plain 12") == "plain 12"
    assert visual("אבג") == "גבא"
    assert visual("אב 12 גד") == "דג 12 בא"
    assert visual("see אב here") == "see בא here"


def test_images_become_pages_with_their_text(tmp_path: Path) -> None:
    source = tmp_path / "photos.tiff"
    sheets = [Image.new("RGB", (400, 600), (250, 250, 200 + number)) for number in range(40)]
    sheets[0].save(source, save_all=True, append_images=sheets[1:])
    records = [
        record(number + 1, width=400, height=608, lines=[line(f"sheet{number}", (40, 76, 200, 100))])
        for number in range(40)
    ]
    with convert(source, records) as made:
        assert [page.get_text().strip() for page in made] == [f"sheet{number}" for number in range(40)]
        assert (made[9].rect.width, made[9].rect.height) == pytest.approx((842 * 400 / 600, 842), abs=1)
        assert len(made[39].get_images()) == 1
        assert seen_words(made[0])["sheet0"][1] == pytest.approx(76 * 842 / 608, abs=0.5)


def test_encrypted_source_needs_its_password_and_gives_an_open_pdf(sample_pdf: Path, tmp_path: Path) -> None:
    source = tmp_path / "locked.pdf"
    with pymupdf.open(scan_of(sample_pdf, tmp_path / "scan.pdf")) as document:
        document.save(source, encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="sesame", owner_pw="owner")
    with pytest.raises(DocumentError, match="encrypted"):
        convert(source, [record(1, "text")])
    with convert(source, [record(1, "text of the page")], password="sesame") as made:
        assert not made.needs_pass
        assert "text of the page" in made[0].get_text()


def test_resources_that_pages_inherit_still_work(tmp_path: Path) -> None:
    source = tmp_path / "inherited.pdf"
    with pymupdf.open() as document:
        for _ in range(2):
            document.new_page(width=400, height=600).insert_text((50, 50), "seen", fontsize=20)
        parent = int(document.xref_get_key(document[0].xref, "Parent")[1].split()[0])
        document.xref_set_key(parent, "Resources", document.xref_get_key(document[0].xref, "Resources")[1])
        for page in document:
            document.xref_set_key(page.xref, "Resources", "null")
        document.save(source)
    before = pymupdf.open(source)
    with before, convert(source, [record(1, "hidden one"), record(2, "hidden two")]) as made:
        assert [page.get_pixmap().samples for page in made] == [page.get_pixmap().samples for page in before]
        assert ["hidden two" in made[1].get_text(), "seen" in made[1].get_text()] == [True, True]
