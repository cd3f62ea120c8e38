"""What the ocr engine is made of: boxes from heat, pictures of lines, and either runtime under both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from workers.engines import Control, EngineError, PageRequest
from workers.engines.ocr.boxes import find_boxes
from workers.engines.ocr.choose import RUNTIMES, choose_runtime
from workers.engines.ocr.crops import GREY, LEAST_WIDTH, LINE_HEIGHT, STEP, cut, stack, step_width, to_height
from workers.engines.ocr.engine import OcrEngine
from workers.engines.ocr.models import OcrModels
from workers.engines.ocr.options import OcrOptions
from workers.engines.ocr.reader import MOST_LINES, Reader, batches
from workers.engines.ocr.runtimes import Steps
from workers.text_lines import Pixels

LINES = ["A lamp was lit early", "in the window", "where nobody had lived for seven long years", "1,204.50"]


def draw_line(text: str, size: int = 32) -> Pixels:
    font = ImageFont.load_default(size)
    image = Image.new("RGB", (int(font.getlength(text)) + 24, size + 16), "white")
    ImageDraw.Draw(image).text((12, 6), text, "black", font)
    return np.asarray(image)[:, :, ::-1]


def quad(*points: tuple[float, float]) -> np.ndarray:
    return np.array(points, np.float32)


@pytest.fixture(scope="module", params=list(RUNTIMES))
def models(request: pytest.FixtureRequest) -> Iterator[OcrModels]:
    pytest.importorskip("rapidocr")
    pytest.importorskip(request.param)
    yield OcrModels(choose_runtime(request.param, 1))


def test_boxes_are_grown_and_brought_to_the_page() -> None:
    heat = np.zeros((320, 480), np.float32)
    heat[100:110, 40:241] = 0.9
    (box,) = find_boxes(heat, 960, 640)
    assert box[:, 0].min() == box[0, 0] == box[3, 0]
    width, height = 201, 10  # of the island; with its outline through the middles of pixels, dilated by one
    further = 1.6 * width * height / (2 * (width + height))
    assert abs(box[0, 1] - 2 * (99 - further)) <= 3
    assert abs(box[2, 0] - 2 * (240 + further)) <= 3
    assert abs(box[2, 1] - box[0, 1] - 2 * (height + 2 * further)) <= 3


def test_box_of_a_slanted_line_slants() -> None:
    heat = np.zeros((320, 480), np.float32)
    cv2.line(heat, (50, 100), (400, 160), 0.9, 8)
    (box,) = find_boxes(heat, 480, 320)
    slope = (box[1, 1] - box[0, 1]) / (box[1, 0] - box[0, 0])
    assert abs(slope - 60 / 350) < 0.02


def test_specks_and_lukewarm_places_are_no_lines() -> None:
    heat = np.zeros((320, 480), np.float32)
    heat[20:22, 20:22] = 0.9
    heat[100:112, 40:240] = 0.4
    assert find_boxes(heat, 480, 320).shape == (0, 4, 2)


def test_boxes_come_from_the_top_and_from_the_left() -> None:
    heat = np.zeros((320, 480), np.float32)
    for x, y in ((260, 41), (20, 40), (20, 200), (260, 199)):
        heat[y : y + 12, x : x + 150] = 0.9
    assert [tuple(box[0] > 100) for box in find_boxes(heat, 480, 320)] == [
        (False, False), (True, False), (False, True), (True, True)
    ]  # fmt: skip


def test_standing_line_is_cut_lying() -> None:
    page = np.zeros((200, 100, 3), np.uint8)
    page[20:60, 10:30] = 255  # the upper end
    crop = cut(page, quad((10, 20), (30, 20), (30, 180), (10, 180)))
    assert crop.shape[:2] == (20, 160)
    assert crop[:, :40].min() == 255  # a quarter anticlockwise: the upper end comes first
    assert crop[:, 45:].max() == 0


def test_slanted_line_is_cut_level() -> None:
    page = np.zeros((200, 400, 3), np.uint8)
    cv2.fillPoly(page, [np.array([(50, 50), (350, 100), (347, 120), (47, 70)])], (255, 255, 255))
    crop = cut(page, quad((50, 50), (350, 100), (347, 120), (47, 70)))
    assert crop.shape[0] in (19, 20, 21)
    assert crop[4:-4, 4:-4].min() > 200


def test_lines_have_few_widths() -> None:
    for width in (5, 150, 151, 999):
        line = to_height(np.zeros((24, width, 3), np.uint8))
        (padded,) = stack([line])
        assert line.shape == (LINE_HEIGHT, 2 * width, 3)
        assert padded.shape[1] % STEP == 0
        assert max(LEAST_WIDTH, 2 * width) <= padded.shape[1] < max(LEAST_WIDTH + 1, 2 * width + STEP)
        assert (padded[:, 2 * width :] == GREY).all()
        assert padded.shape[1] == step_width(2 * width)


def test_batches_hold_every_line_once_and_no_other_width() -> None:
    widths = [96] * 11 + [320, 96, 320, 2000]
    found = batches(widths)
    assert sorted(i for batch in found for i in batch) == list(range(len(widths)))
    assert all(len({widths[i] for i in batch}) == 1 for batch in found)
    assert max(map(len, found)) == MOST_LINES


def test_lines_are_read_alike_alone_and_together(models: OcrModels) -> None:
    crops = [draw_line(text) for text in LINES * 3]
    together = models.recognise(crops)
    alone = [models.recognise([crop])[0] for crop in crops]
    assert [reading.text for reading in together] == LINES * 3
    assert [reading.text for reading in alone] == LINES * 3
    assert np.allclose([r.confidence for r in together], [r.confidence for r in alone], atol=0.01)
    assert models.recognise([]) == []


def test_page_is_read_with_each_runtime() -> None:
    page = Image.new("RGB", (960, 320), "white")
    for row, text in enumerate(LINES):
        ImageDraw.Draw(page).text((40, 30 + 60 * row), text, "black", ImageFont.load_default(30))
    texts = {}
    for name in RUNTIMES:
        pytest.importorskip(name)
        engine = OcrEngine(OcrOptions(threads=1, runtime=name))
        engine.load()
        texts[name] = engine.generate([engine.prepare(page, PageRequest(page_number=1))], Control())[0].text
        assert engine.report()["runtime"].replace(" ", "").lower().startswith(name)
        engine.close()
    assert set(texts.values()) == {"\n".join(LINES)}


@pytest.mark.parametrize("name", ["tensorrt", ""])
def test_unknown_runtime_is_refused(name: str) -> None:
    with pytest.raises(EngineError, match="OCR_RUNTIME"):
        choose_runtime(name, 1)


def test_onnx_runtime_is_taken_where_openvino_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr("workers.engines.ocr.choose.find_spec", lambda name: None if name == "openvino" else object())
    assert choose_runtime("auto", 1).description.startswith("ONNX Runtime")


class _Told:
    """A recogniser that says what it is told to, a letter a step, and remembers the widths it was asked about."""

    def __init__(
        self, text: str, *, unsure: str = "", maybe_space: int | None = None, low: float = 0.5, high: float = 0.99
    ) -> None:
        self.characters = ["", *"abcdefgh漢", " "]
        self.text, self.unsure, self.maybe_space, self.low, self.high = text, unsure, maybe_space, low, high
        self.widths: list[int] = []

    def __call__(self, lines: np.ndarray) -> Steps:
        num_lines, _, width, _ = lines.shape
        self.widths += [width] * num_lines
        best = np.zeros((num_lines, width // 8), np.int64)
        chance = np.full(best.shape, self.high, np.float32)
        space = np.zeros(best.shape, np.float32)
        for place, letter in enumerate(self.text):
            best[:, 2 * place] = self.characters.index(letter)
            chance[:, 2 * place] = self.low if letter in self.unsure else self.high
        if self.maybe_space is not None:
            space[:, self.maybe_space] = 0.3
        return Steps(best, chance, space)


BLANK_LINE = np.full((48, 640, 3), 255, np.uint8)


def test_line_that_the_light_recogniser_is_sure_of_is_not_read_again() -> None:
    light, full = _Told("abc de"), _Told("abc")
    assert Reader(light, full).read([BLANK_LINE])[0].text == "abc de"
    assert full.widths == []


@pytest.mark.parametrize("doubt", [{"unsure": "d"}, {"maybe_space": 9}])
def test_only_the_word_in_doubt_is_read_again(doubt: dict[str, Any]) -> None:
    light, full = _Told("abc de fgh abc", **doubt), _Told("hg")
    reading = Reader(light, full).read([BLANK_LINE])[0]
    assert reading.text == "abc hg fgh abc"
    assert full.widths == [96]
    assert 0.9 < reading.confidence <= 1.0


def test_words_that_stay_in_doubt_are_named() -> None:
    light, full = _Told("abc de fgh abc", unsure="dh"), _Told("fe hg", unsure="h", low=0.4)
    reading = Reader(light, full).read([BLANK_LINE])[0]
    assert (reading.text, reading.doubts) == ("abc fe hg abc", ("hg",))


@pytest.mark.parametrize(("high", "is_read_again"), [(0.999, False), (0.95, True)])
def test_letter_is_less_in_doubt_in_a_good_line(high: float, *, is_read_again: bool) -> None:
    light, full = _Told("abc de fgh abc", unsure="d", low=0.7, high=high), _Told("hg")
    Reader(light, full).read([BLANK_LINE])
    assert bool(full.widths) is is_read_again


def test_words_in_doubt_beside_one_another_are_read_again_together() -> None:
    light, full = _Told("abc d g abc abc abc abc", unsure="dg"), _Told("fed")
    assert Reader(light, full).read([BLANK_LINE])[0].text == "abc fed abc abc abc abc"
    assert len(full.widths) == 1


@pytest.mark.parametrize("text", ["", "漢 abc", "ddd ddd ddd ddd"])
def test_line_in_doubt_for_the_most_part_is_read_again_as_a_whole(text: str) -> None:
    light, full = _Told(text, unsure="d"), _Told("abc")
    line = BLANK_LINE[:, : max(96, 16 * len(text))]
    assert Reader(light, full).read([line])[0].text == "abc"
    assert full.widths == [step_width(line.shape[1])]


def test_doubts_of_a_photographed_page_are_settled(models: OcrModels) -> None:
    """Blurred letters that the light recogniser takes for others."""
    line = draw_line("Illinois will allow 1,250 willing millers", 26)
    crop = cv2.GaussianBlur(line, (0, 0), 2.2).astype(np.uint8)
    assert models.recognise([crop])[0].text == "Illinois will allow 1,250 willing millers"


@pytest.fixture
def looked_at(models: OcrModels, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of what the detector looks at from here on."""
    seen: list[tuple[int, ...]] = []
    detector = models._detector

    def look(picture: Pixels) -> Any:
        seen.append(picture.shape)
        return detector(picture)

    monkeypatch.setattr(models, "_detector", look)
    return seen


def test_margins_are_not_looked_through_and_lines_are_where_they_were(
    models: OcrModels, looked_at: list[tuple[int, ...]]
) -> None:
    page = np.full((1280, 960, 3), 255, np.uint8)
    line = draw_line(LINES[2])
    page[600 : 600 + line.shape[0], 200 : 200 + line.shape[1]] = line
    (box,) = models.detect(page)
    (height, width, _), *others = looked_at
    assert not others
    assert height <= 256 and width < 960
    assert abs(box[0, 0] - 212) < 12 and abs(box[0, 1] - 606) < 14


@pytest.mark.parametrize(("width", "height"), [(960, 1280), (333, 777), (1000, 50), (1279, 1281)])
def test_detector_sees_few_shapes_whatever_a_page_measures(
    models: OcrModels, looked_at: list[tuple[int, ...]], width: int, height: int
) -> None:
    page = np.full((height, width, 3), 255, np.uint8)
    line = draw_line("lit early", 24)
    page[-line.shape[0] :, -line.shape[1] :] = line[:height]
    (box,) = models.detect(page)
    assert [side % 64 for side in looked_at[0][:2]] == [0, 0]
    assert box[2, 0] > width - 30 and box[2, 1] > height - 30


def test_blank_page_is_not_looked_through(models: OcrModels, looked_at: list[tuple[int, ...]]) -> None:
    assert models.detect(np.full((640, 640, 3), 250, np.uint8)).shape == (0, 4, 2)
    assert looked_at == []
