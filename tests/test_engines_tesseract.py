"""The tesseract engine: reads real print in order, leaves nothing running, and says what to install."""

from __future__ import annotations

import io
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
import pymupdf
import pytest
from PIL import Image
from test_engines_ocr import LEFT, RIGHT, draw_columns, words
from test_workers_tiles import strip

from workers.engines import Control, EngineError, Generation, Line, PageRequest, Prepared
from workers.engines.registry import load_engine
from workers.engines.tesseract.engine import TesseractEngine
from workers.engines.tesseract.lines import put_in_order, read_table, runs_from_right
from workers.engines.tesseract.options import TesseractOptions
from workers.engines.tesseract.parts import read_parts

pytestmark = pytest.mark.skipif(shutil.which("tesseract") is None, reason="needs tesseract")


@pytest.fixture(scope="module")
def engine() -> Iterator[TesseractEngine]:
    engine = TesseractEngine(TesseractOptions(processes=2))
    engine.load()
    yield engine
    engine.close()


def prepare(engine: TesseractEngine, image: Image.Image, **request: Any) -> Prepared:
    return engine.prepare(image, PageRequest(page_number=1, **request))


def read(engine: TesseractEngine, image: Image.Image, control: Control | None = None, **request: str) -> Generation:
    (generation,) = engine.generate([prepare(engine, image, **request)], control or Control())
    return generation


def test_two_columns_are_read_one_after_another(engine: TesseractEngine) -> None:
    generation = read(engine, draw_columns(LEFT, RIGHT))
    assert (generation.stop_reason, generation.rotation, generation.error) == ("stop", 0, "")
    assert words(generation.text) == " ".join(LEFT + RIGHT)
    assert [line.text for line in generation.lines] == LEFT + RIGHT


def test_lines_have_boxes_and_confidence(engine: TesseractEngine) -> None:
    first = read(engine, draw_columns(LEFT)).lines[0]
    x0, y0, x1, y1 = first.box
    assert 38 <= x0 <= 48
    assert 60 <= y0 <= 75
    assert 300 <= x1 <= 400
    assert 80 <= y1 <= 100
    assert 0.8 < first.confidence <= 1.0


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_turned_page_is_read_upright_and_its_boxes_stay(engine: TesseractEngine, turned: int) -> None:
    upright = draw_columns(LEFT, RIGHT)
    page = upright.rotate(-turned, expand=True)  # clockwise
    generation = read(engine, page)
    assert generation.rotation == 360 - turned
    assert words(generation.text) == " ".join(LEFT + RIGHT)
    x0, y0, x1, y1 = generation.lines[0].box
    line = page.crop((int(x0), int(y0), int(x1), int(y1))).rotate(turned, expand=True)
    there = read(engine, upright).lines[0].box
    assert abs(line.width - (there[2] - there[0])) < 4
    assert abs(line.height - (there[3] - there[1])) < 4


def test_page_from_png_equals_the_prepared_one(engine: TesseractEngine) -> None:
    image = draw_columns(LEFT)
    out = io.BytesIO()
    image.convert("L").save(out, "PNG")
    assert engine.pack(prepare(engine, image)) is None
    prepared = engine.unpack(out.getvalue(), PageRequest(page_number=1))
    assert engine.generate([prepared], Control()) == [read(engine, image)]


@pytest.mark.parametrize("size", [(1, 1), (32, 32), (1760, 32), (32, 1760)])
def test_page_without_text_is_empty(engine: TesseractEngine, size: tuple[int, int]) -> None:
    assert read(engine, Image.new("RGB", size, "white")) == Generation(text="")


def test_pages_of_a_batch_keep_their_places_and_are_told_once(engine: TesseractEngine) -> None:
    told: dict[int, Generation] = {}
    batch = [prepare(engine, draw_columns(column)) for column in (LEFT, RIGHT, LEFT[:1])]
    generations = engine.generate(batch, Control(cancelled={1}, on_done=told.__setitem__))
    assert [generations[row] for row in range(3)] == [told[row] for row in range(3)]
    assert [words(generation.text) for generation in generations] == [" ".join(LEFT), "", LEFT[0]]
    assert [generation.stop_reason for generation in generations] == ["stop", "cancelled", "stop"]


def print_of(text: str) -> Image.Image:
    """The text in a typeface that has the letters of Western Europe, as Pillow's own has not."""
    page = pymupdf.open().new_page(width=400, height=80)
    page.insert_text((20, 40), text, fontsize=14)
    drawn = page.get_pixmap(dpi=200)
    return Image.frombytes("RGB", (drawn.width, drawn.height), drawn.samples)


def test_other_languages_read_their_letters(engine: TesseractEngine) -> None:
    text = "Größe und Maß der Straße"
    assert read(engine, print_of(text), language="deu").text == text
    assert read(engine, print_of(text), language="deu+eng").text == text
    assert read(engine, print_of(text)).text != text


@pytest.mark.parametrize(
    ("language", "packages"),
    [
        ("xqz", "tesseract-ocr-xqz,"),
        ("eng+xqz_old", "tesseract-ocr-xqz-old,"),
        ("script/Nowhere+eng", "tesseract-ocr-script-nowhere,"),
    ],
)
def test_missing_language_fails_its_page_and_names_the_package(
    engine: TesseractEngine, language: str, packages: str
) -> None:
    batch = [prepare(engine, draw_columns(LEFT), language=language), prepare(engine, draw_columns(LEFT))]
    missing, there = engine.generate(batch, Control())
    assert (missing.stop_reason, missing.text) == ("error", "")
    assert f"apt-get install {packages} or brew install tesseract-lang" in missing.error
    assert there.stop_reason == "stop"


def test_missing_default_language_stops_the_start() -> None:
    with pytest.raises(EngineError, match="apt-get install tesseract-ocr-xqz"):
        TesseractEngine(TesseractOptions(language="xqz")).load()


def test_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(EngineError, match=r"'no-such-program'.*apt-get install tesseract-ocr"):
        load_engine("tesseract", TesseractOptions(tesseract="no-such-program"))


def test_page_is_read_in_the_languages_of_its_script(engine: TesseractEngine) -> None:
    page = draw_columns(LEFT, RIGHT)
    assert words(read(engine, page, language="auto").text) == " ".join(LEFT + RIGHT)
    turned = read(engine, page.rotate(180), language="auto")
    assert (words(turned.text), turned.rotation) == (" ".join(LEFT + RIGHT), 180)


def test_page_in_a_script_that_is_not_installed_says_so(engine: TesseractEngine, corpus: Path) -> None:
    for name in ("cyr.png", "heb.png"):
        with Image.open(corpus / "field" / name) as image:
            for language in ("", "auto"):
                generation = read(engine, image, language=language)
                assert generation.rotation == 0
                assert generation.notices == ("unread_script",)


def test_what_can_be_read_is_reported(engine: TesseractEngine) -> None:
    said = engine.report()
    assert said["runtime"].startswith("tesseract ")
    assert {"deu", "eng", "auto"} <= set(said["languages"])
    assert "osd" not in said["languages"]


def test_revision_tells_installations_apart(engine: TesseractEngine, tmp_path: Path) -> None:
    (tmp_path / "eng.traineddata").write_bytes(b"another")
    other = TesseractEngine(TesseractOptions(tessdata=str(tmp_path)))
    assert other.revision.split("/")[0] == engine.revision.split("/")[0]
    assert other.revision != engine.revision == TesseractEngine(TesseractOptions(processes=1)).revision


FAKE = """\
#!/bin/sh
case "$*" in
*--version*) echo "tesseract 9.9" ;;
*--list-langs*) echo 'List of available languages in "/nowhere/" (1):'; echo eng ;;
*) {work} ;;
esac
"""
Fake = Callable[[str], TesseractEngine]


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    """An engine whose program does `work` in place of reading."""

    def make(work: str) -> TesseractEngine:
        path = tmp_path / "fake"
        path.write_text(FAKE.format(work=work))
        path.chmod(0o755)
        return TesseractEngine(TesseractOptions(tesseract=str(path), timeout_s=20.0))

    return make


def sleepers(marker: str) -> list[psutil.Process]:
    return [process for process in psutil.process_iter(["cmdline"]) if marker in (process.info["cmdline"] or [])]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("how", ["cancelled", "timeout"])
def test_stopped_page_leaves_no_process(fake: Fake, how: Literal["cancelled", "timeout"]) -> None:
    marker = f"{time.time_ns() % 10**7 + 10**7}"  # seconds, which tell our children from all others
    engine, control = fake(f"sleep {marker} & sleep {marker}"), Control()
    found: list[Generation] = []
    thread = threading.Thread(target=lambda: found.append(read(engine, draw_columns(LEFT), control)))
    thread.start()
    wait_until(lambda: len(sleepers(marker)) == 2)
    if how == "cancelled":
        control.cancelled.add(0)
    else:
        control.deadline = 0.0
    thread.join(20)
    assert found == [Generation(text="", stop_reason=how)]
    wait_until(lambda: not sleepers(marker))


def test_run_that_outlives_its_own_limit_is_stopped(fake: Fake) -> None:
    engine = fake("sleep 1000")
    engine._program._timeout_s = 0.1
    assert read(engine, draw_columns(LEFT)).stop_reason == "timeout"


def test_failure_of_the_program_is_told_in_its_words(fake: Fake) -> None:
    generation = read(fake("echo 'no room left' >&2; exit 3"), draw_columns(LEFT))
    assert (generation.stop_reason, generation.error) == ("error", "tesseract failed (3): no room left")


def row(number: int, left: int, width: int, text: str, *, top: int = 10, confidence: float = 96.0) -> str:
    return f"5\t1\t1\t1\t{number}\t1\t{left}\t{top}\t{width}\t20\t{confidence}\t{text}"


def test_cells_of_a_row_are_lines_of_their_own() -> None:
    table = "\n".join([row(1, 0, 60, "Total"), row(1, 66, 40, "sum"), row(1, 300, 50, "12.50"), "", "level\tpage_num"])
    lines = read_table(table)
    assert [line.text for line in lines] == ["Total sum", "12.50"]
    assert [line.box for line in lines] == [(0, 10, 106, 30), (300, 10, 350, 30)]
    assert put_in_order(lines).text == "Total sum\t12.50"


def test_noise_is_left_out() -> None:
    assert [
        line.text for line in read_table("\n".join([row(1, 0, 9, "~", confidence=4.0), row(2, 0, 60, "Total")]))
    ] == ["Total"]


def test_columns_of_a_script_from_the_right_are_read_from_the_right() -> None:
    def column(left: int, text: str) -> list[Line]:
        boxes = [(left, 40.0 * number, left + 300, 40.0 * number + 20) for number in range(6)]
        return [Line(text=f"{text} {number}", box=box, confidence=0.9) for number, box in enumerate(boxes)]

    hebrew = put_in_order([*column(0, "שני"), *column(400, "ראשון")])
    assert [line.text.split()[0] for line in hebrew.lines] == ["ראשון"] * 6 + ["שני"] * 6
    latin = put_in_order([*column(400, "second"), *column(0, "first")])
    assert [line.text.split()[0] for line in latin.lines] == ["first"] * 6 + ["second"] * 6
    assert runs_from_right("ab العربية")
    assert not runs_from_right("12.50")


@pytest.mark.parametrize("pitch", [26, 40])
def test_image_that_is_too_long_is_read_in_parts_with_each_line_once(pitch: int) -> None:
    """A line is a run of rows with ink; with an edge down the page there is no white row to cut at."""
    image = strip(300, 5000, pitch=pitch)
    image.paste(0, (0, 0, 2, image.height))
    sizes: list[int] = []

    def find(part: Image.Image) -> list[Line]:
        sizes.append(max(part.size))
        inked = (np.asarray(part)[:, 2:] < 128).any(axis=1)
        bounds = np.flatnonzero(np.diff(inked, prepend=False, append=False)).reshape(-1, 2).tolist()
        return [Line(text="", box=(2, top, 9, bottom), confidence=1) for top, bottom in bounds]

    whole = find(image)
    sizes.clear()
    assert sorted(line.box for line in read_parts(image, find, most=700)) == [line.box for line in whole]
    assert len(whole) > 100
    assert max(sizes) <= 700
    assert len(sizes) > 7
