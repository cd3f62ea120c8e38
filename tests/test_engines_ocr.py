"""The ocr engine: reads real print, in order, whichever way the page lies, and needs no network."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from rapidfuzz import fuzz

from workers.documents.kinds import DocumentLimits
from workers.documents.open import render_page
from workers.engines import Control, Generation, PageRequest, Prepared
from workers.engines.ocr.engine import OcrEngine
from workers.engines.ocr.options import OcrOptions
from workers.text_lines import Pixels, Quads, Reading

LEFT = ["Rain fell on the harbour", "and the boats lay still", "until the evening tide", "lifted them from mud"]
RIGHT = ["A lamp was lit early", "in the window above", "where nobody had lived", "for seven long years"]


@pytest.fixture(scope="module")
def engine() -> Iterator[OcrEngine]:
    pytest.importorskip("rapidocr")
    engine = OcrEngine(OcrOptions(threads=1))
    engine.load()
    yield engine
    engine.close()


def draw_columns(*columns: list[str], size: tuple[int, int] = (960, 640)) -> Image.Image:
    page = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(28)
    for number, column in enumerate(columns):
        for row, text in enumerate(column):
            draw.text((40 + number * 480, 60 + row * 44), text, "black", font)
    return page


def read(engine: OcrEngine, image: Image.Image, control: Control | None = None) -> Generation:
    (generation,) = engine.generate([prepare(engine, image)], control or Control())
    return generation


def prepare(engine: OcrEngine, image: Image.Image) -> Prepared:
    return engine.prepare(image, PageRequest(page_number=1))


def words(text: str) -> str:
    return " ".join(text.split())


def test_two_columns_are_read_one_after_another(engine: OcrEngine) -> None:
    generation = read(engine, draw_columns(LEFT, RIGHT))
    assert generation.stop_reason == "stop"
    assert generation.rotation == 0
    assert words(generation.text) == " ".join(LEFT + RIGHT)
    assert [line.text for line in generation.lines] == LEFT + RIGHT


@pytest.mark.parametrize(("share", "colour"), [(0.7, "white"), (0.3, "black")], ids=["dark", "light"])
def test_words_on_a_ground_of_dots_are_read(engine: OcrEngine, share: float, colour: str) -> None:
    page = draw_columns(LEFT)
    y, x = np.mgrid[:40, :960] * 2 * np.pi / 3.5  # dots that are 3.5 pixels apart
    dark = np.cos(x) + np.cos(y) < np.quantile(np.cos(x) + np.cos(y), share)
    page.paste(Image.fromarray(np.where(dark, 0, 255).astype(np.uint8)), (0, 400))
    ImageDraw.Draw(page).text((40, 404), "Tides of the month", colour, ImageFont.load_default(28))
    assert words(read(engine, page).text) == " ".join([*LEFT, "Tides of the month"])


def test_lines_have_boxes_and_confidence(engine: OcrEngine) -> None:
    first = read(engine, draw_columns(LEFT)).lines[0]
    x0, y0, x1, y1 = first.box
    assert 25 <= x0 <= 45
    assert 50 <= y0 <= 70
    assert 300 <= x1 <= 420
    assert 85 <= y1 <= 105
    assert 0.9 < first.confidence <= 1.0


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_turned_page_is_read_upright_and_its_boxes_stay(engine: OcrEngine, turned: int) -> None:
    upright = draw_columns(LEFT, RIGHT)
    page = upright.rotate(-turned, expand=True)  # clockwise
    generation = read(engine, page)
    assert generation.rotation == 360 - turned
    assert words(generation.text) == " ".join(LEFT + RIGHT)
    x0, y0, x1, y1 = generation.lines[0].box
    assert 0 <= x0 < x1 <= page.width
    assert 0 <= y0 < y1 <= page.height
    line = page.crop((int(x0), int(y0), int(x1), int(y1))).rotate(turned, expand=True)
    assert abs(line.width - read(engine, upright).lines[0].box[2] + 40) < 40


def test_page_from_png_equals_the_prepared_one(engine: OcrEngine) -> None:
    image = draw_columns(LEFT)
    out = io.BytesIO()
    image.convert("L").save(out, "PNG")
    prepared = engine.unpack(out.getvalue(), PageRequest(page_number=1))
    assert engine.pack(prepare(engine, image)) is None
    assert engine.generate([prepared], Control()) == [read(engine, image)]


@pytest.mark.parametrize("size", [(32, 32), (1760, 32), (32, 1760), (640, 480)])
def test_page_without_text_is_empty(engine: OcrEngine, size: tuple[int, int]) -> None:
    assert read(engine, Image.new("RGB", size, "white")) == Generation(text="")


def test_one_line_is_read(engine: OcrEngine) -> None:
    assert read(engine, draw_columns(["A single line"], size=(384, 160))).text == "A single line"


def test_cancelled_page_is_left_alone_and_the_next_is_read(engine: OcrEngine) -> None:
    batch = [prepare(engine, draw_columns(LEFT)), prepare(engine, draw_columns(RIGHT))]
    first, second = engine.generate(batch, Control(cancelled={0}))
    assert first == Generation(text="", stop_reason="cancelled")
    assert words(second.text) == " ".join(RIGHT)


def test_deadline_within_a_page_keeps_what_was_read(engine: OcrEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    models, control, num_read = engine._models, Control(), count(1)
    assert models is not None
    recognise = models.recognise

    def stop_after_three(crops: Sequence[Pixels]) -> list[Reading]:
        if next(num_read) == 3:
            control.deadline = time.monotonic() - 1.0
        return recognise(crops)

    monkeypatch.setattr("workers.engines.ocr.page.RUN_LINES", 1)
    monkeypatch.setattr(models, "recognise", stop_after_three)
    generation = read(engine, draw_columns(LEFT, RIGHT), control)
    assert generation.stop_reason == "timeout"
    assert 1 <= len(generation.lines) < len(LEFT + RIGHT)
    assert set(words(generation.text).split()) < set(" ".join(LEFT + RIGHT).split())


def test_number_of_threads_and_the_batch_change_nothing(engine: OcrEngine) -> None:
    three = OcrEngine(OcrOptions(threads=3))
    three.load()
    assert three.max_batch == 3
    images = [draw_columns(LEFT, RIGHT), draw_columns(RIGHT), draw_columns(LEFT, RIGHT).rotate(90, expand=True)]
    together = three.generate([prepare(three, image) for image in images], Control())
    assert together == [read(engine, image) for image in images] == [read(three, image) for image in images]
    three.close()


def test_error_in_one_page_leaves_the_others(engine: OcrEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    models = engine._models
    assert models is not None
    detect = models.detect

    def fail_on_small(pixels: Pixels) -> Quads:
        if pixels.shape[0] == 160:
            raise models.errors[0]("no memory left")
        return detect(pixels)

    monkeypatch.setattr(models, "detect", fail_on_small)
    batch = [prepare(engine, draw_columns(["A line"], size=(384, 160))), prepare(engine, draw_columns(LEFT))]
    first, second = engine.generate(batch, Control())
    assert (first.stop_reason, first.text) == ("error", "")
    assert "OCR failed" in first.error
    assert second.stop_reason == "stop"


def test_partial_text_grows_in_reading_order(engine: OcrEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.engines.ocr.page.TEXT_INTERVAL_S", 0.0)
    told: list[str] = []
    generation = read(engine, draw_columns(LEFT, RIGHT), Control(on_text=lambda _, text: told.append(text)))
    assert told[-1] == generation.text
    assert [len(text) for text in told] == sorted(len(text) for text in told)


def test_every_page_is_told_once(engine: OcrEngine) -> None:
    told: list[Generation] = []
    batch = [prepare(engine, draw_columns(LEFT)), prepare(engine, draw_columns(RIGHT))]
    control = Control(cancelled={0}, on_done=lambda _, generation: told.append(generation))
    assert engine.generate(batch, control) == told


def test_scan_that_lies_on_its_side_equals_its_ground_truth(engine: OcrEngine, corpus: Path) -> None:
    folder = corpus / "dev"
    (truth,) = json.loads((folder / "phototest-rotated-R.png.gt.json").read_text())
    with Image.open(folder / "phototest-rotated-R.png") as image:
        generation = read(engine, image)
    assert words(generation.text) == words(truth)
    assert generation.rotation == 270


def test_columns_with_a_narrow_gutter_are_kept_apart(engine: OcrEngine, corpus: Path) -> None:
    path = corpus / "dev" / "multicolumn.pdf"
    truth = json.loads((path.parent / "multicolumn.pdf.gt.json").read_text())[1]
    page = render_page(path, 1, spec=engine.image_spec, limits=DocumentLimits())
    assert fuzz.ratio(words(read(engine, page.image).text), words(truth)) > 98


OFFLINE = """
import os, socket, sys

def refuse(*args, **kwargs):
    os._exit(7)

socket.getaddrinfo = socket.create_connection = socket.socket.connect = refuse
from PIL import Image
from workers.engines import Control, PageRequest
from workers.engines.ocr.options import OcrOptions
from workers.engines.ocr.engine import OcrEngine
engine = OcrEngine(OcrOptions(threads=1))
assert "onnxruntime" not in sys.modules and "rapidocr" not in sys.modules
engine.load()
assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
with Image.open(sys.argv[1]) as image:
    page = engine.prepare(image, PageRequest(page_number=1))
    sys.stdout.write(engine.generate([page], Control())[0].text)
"""


def test_constructor_loads_no_library_and_nothing_is_fetched_from_a_network(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr")
    draw_columns(["Alone at home"], size=(384, 160)).save(tmp_path / "page.png")
    root = str(Path(__file__).parents[1])
    env = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"} | {"PYTHONPATH": root}
    run = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(tmp_path / "page.png")], env=env, capture_output=True, text=True
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "Alone at home", "")


def test_filled_bar_is_no_line_in_an_unknown_script(engine: OcrEngine) -> None:
    page = Image.new("RGB", (3000, 300), "white")
    ImageDraw.Draw(page).rectangle((300, 37, 2850, 263), "red", "black")
    assert read(engine, page).notices == ()
