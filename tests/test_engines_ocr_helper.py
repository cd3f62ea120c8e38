"""Pages in a script that the ocr engine does not know: it says so, and hands them to tesseract where that is wanted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pymupdf
import pytest
from PIL import Image
from test_engines_ocr import LEFT, draw_columns, words

from tasks.settings import load_settings
from workers.engines import Control, EngineError, Generation, PageRequest
from workers.engines.ocr.engine import OcrEngine
from workers.engines.ocr.options import OcrOptions
from workers.reading.second_look import read_all

TEXT = "Договор аренды жилого помещения заключён в Москве"
NUM_LINES = 5
FAKE = """\
#!/bin/sh
case "$*" in
*--version*) echo "tesseract 9.9" ;;
*--list-langs*) printf 'List of available languages in "/nowhere/" (3):\\neng\\nosd\\nrus\\n' ;;
*osd*) printf 'Rotate: 0\\nScript: {script}\\nScript confidence: 9.00\\n' ;;
*rus+eng*) printf '5\\t1\\t1\\t1\\t1\\t1\\t60\\t50\\t300\\t20\\t96.0\\t%s\\n' "{text}" ;;
*) printf '5\\t1\\t1\\t1\\t1\\t1\\t60\\t50\\t300\\t20\\t20.0\\tfloroeop apeHabl\\n' ;;
esac
"""

pytest.importorskip("rapidocr")


def cyrillic_page() -> Image.Image:
    page = pymupdf.open().new_page(width=420, height=260)
    writer = pymupdf.TextWriter(page.rect)
    for number in range(NUM_LINES):
        writer.append((30, 40 + 40 * number), TEXT, pymupdf.Font("helv"), 14)
    writer.write_text(page)
    drawn = page.get_pixmap(dpi=150)
    return Image.frombytes("RGB", (drawn.width, drawn.height), drawn.samples)


def read(engine: OcrEngine, image: Image.Image) -> Generation:
    page = engine.prepare(image, PageRequest(page_number=1))
    (generation,) = read_all(engine, [page], Control(), lambda _: image)
    return generation


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], str]:
    """A program that reads Cyrillic, and takes every page to be in the script it is made with."""

    def make(script: str) -> str:
        path = tmp_path / "fake"
        path.write_text(FAKE.format(script=script, text=TEXT))
        path.chmod(0o755)
        return str(path)

    return make


def test_without_a_helper_the_page_says_so_and_is_not_turned() -> None:
    engine = OcrEngine(OcrOptions(threads=1))
    engine.load()
    generation = read(engine, cyrillic_page())
    assert "unread_script" in generation.notices
    assert (generation.rotation, generation.engine) == (0, "")
    assert engine.helper is None
    assert "languages" not in engine.report()
    engine.close()


def test_helper_reads_the_page_and_is_named_as_its_engine(program: Callable[[str], str]) -> None:
    engine = OcrEngine(OcrOptions(threads=1, helper="tesseract", tesseract=program("Cyrillic")))
    engine.load()
    assert engine.report()["languages"] == ["eng", "rus", "auto"]
    helped = read(engine, cyrillic_page())
    assert (helped.text, helped.engine, helped.notices) == (TEXT, "tesseract", ())
    known = read(engine, draw_columns(LEFT))
    assert (words(known.text), known.engine) == (" ".join(LEFT), "")
    engine.close()


def test_page_that_the_helper_cannot_read_either_stays_unread(program: Callable[[str], str]) -> None:
    engine = OcrEngine(OcrOptions(threads=1, helper="tesseract", tesseract=program("Thai")))
    engine.load()
    generation = read(engine, cyrillic_page())
    assert "unread_script" in generation.notices
    assert generation.engine == ""
    engine.close()


def test_helper_is_a_setting_and_counts_for_the_cache(program: Callable[[str], str]) -> None:
    settings = load_settings({"OCR_HELPER": "tesseract", "TESSERACT_BINARY": program("Cyrillic")})
    options = settings.engine_options("ocr")
    assert isinstance(options, OcrOptions)
    assert options.knows_languages
    assert not OcrOptions().knows_languages
    assert OcrEngine(options).revision != OcrEngine(OcrOptions()).revision


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (OcrOptions(helper="vlm"), "OCR_HELPER='vlm'"),
        (OcrOptions(helper="tesseract", tesseract="no-such-program"), "apt-get install tesseract-ocr"),
    ],
)
def test_helper_that_is_not_there_stops_the_start(options: OcrOptions, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        OcrEngine(options)


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="needs tesseract")
def test_helper_with_the_real_program_starts() -> None:
    engine = OcrEngine(OcrOptions(threads=1, helper="tesseract"))
    engine.load()
    assert "eng" in engine.report()["languages"]
    engine.close()
