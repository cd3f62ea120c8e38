"""Drawn boxes are found where they are boxes to tick, and become [x] or [ ] beside their labels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from workers.engines import Control, PageRequest
from workers.engines.ocr.engine import OcrEngine
from workers.engines.ocr.options import OcrOptions
from workers.engines.ocr.tick_boxes import find_tick_boxes, paint_out

FONT = ImageFont.load_default(30)
LEFT, SIDE = 60, 30


class Sheet:
    """A page on which boxes and labels are drawn, one row below the other."""

    def __init__(self, rows: int = 6) -> None:
        self.image = Image.new("RGB", (900, 100 + rows * 80), "white")
        self.pen = ImageDraw.Draw(self.image)
        self.y = 40

    def row(self, label: str, mark: str = "", *, fill: str = "white", side: int = SIDE, shape: str = "box") -> None:
        x0, y0, x1, y1 = LEFT, self.y, LEFT + side, self.y + side
        draw = self.pen.ellipse if shape == "circle" else self.pen.rectangle
        draw((x0, y0, x1, y1), outline="black", width=3, fill=fill)
        if mark == "cross":
            self.pen.line((x0 + 7, y0 + 7, x1 - 7, y1 - 7), "black", 4)
            self.pen.line((x1 - 7, y0 + 7, x0 + 7, y1 - 7), "black", 4)
        if mark == "tick":
            self.pen.line((x0 + 6, y0 + 15, x0 + 13, y1 - 7, x1 - 6, y0 + 7), "black", 4)
        self.pen.text((x1 + 25, y0 - 4), label, "black", FONT)
        self.y += 80

    def found(self) -> list[bool]:
        """From top to bottom, whether each box that is found is ticked."""
        ticks = find_tick_boxes(np.asarray(self.image))
        return [tick.is_ticked for tick in sorted(ticks, key=lambda tick: tick.box[1])]


@pytest.mark.parametrize("side", [14, 20, 30, 50])
def test_empty_box_is_found_at_any_size(side: int) -> None:
    sheet = Sheet()
    sheet.row("I am a member", side=side)
    assert sheet.found() == [False]


def test_ticked_and_crossed_boxes_are_told_from_empty_ones() -> None:
    sheet = Sheet()
    for mark in ("cross", "", "tick", ""):
        sheet.row("I am a member", mark)
    assert sheet.found() == [True, False, True, False]


def test_box_within_the_frame_of_a_form_is_found() -> None:
    sheet = Sheet()
    sheet.pen.rectangle((20, 20, 880, 400), outline="black", width=2)
    sheet.row("I am a member", "tick")
    assert sheet.found() == [True]


@pytest.mark.parametrize(
    "look",
    [{"fill": "black"}, {"fill": "#ffd0d0", "label": "Legend"}, {"shape": "circle"}, {"side": 100}, {"label": ""}],
)
def test_bullet_legend_circle_frame_and_lonely_square_are_no_boxes(look: dict[str, str]) -> None:
    sheet = Sheet()
    sheet.row(**{"label": "Something", **look})  # type: ignore[arg-type]
    assert not sheet.found()


def test_cells_of_a_grid_and_letters_are_no_boxes() -> None:
    sheet = Sheet()
    for column in range(6):
        sheet.pen.rectangle((60 + column * 30, 60, 90 + column * 30, 90), outline="black", width=2)
    sheet.pen.text((300, 60), "DOOM 0O0 LDL", "black", FONT)
    assert not sheet.found()


@pytest.mark.parametrize("size", [(1, 1), (14, 14), (40, 12), (12, 400)])
def test_page_of_any_size_is_looked_at(size: tuple[int, int]) -> None:
    assert not find_tick_boxes(np.full((size[1], size[0], 3), 255, np.uint8))
    assert not find_tick_boxes(np.zeros((size[1], size[0], 3), np.uint8))


def test_box_is_painted_out_and_nothing_else() -> None:
    sheet = Sheet()
    sheet.row("I am a member", "cross")
    pixels = np.asarray(sheet.image)
    painted = paint_out(pixels, find_tick_boxes(pixels))
    assert painted[:, : LEFT + SIDE + 10].min() == 255
    assert (painted[:, LEFT + SIDE + 10 :] == pixels[:, LEFT + SIDE + 10 :]).all()


@pytest.fixture(scope="module")
def engine() -> Iterator[OcrEngine]:
    pytest.importorskip("rapidocr")
    engine = OcrEngine(OcrOptions(threads=1))
    engine.load()
    yield engine
    engine.close()


def test_boxes_are_read_beside_their_labels(engine: OcrEngine) -> None:
    sheet = Sheet()
    for label, mark in (("I am a member", "cross"), ("Send me the newsletter", ""), ("I have read the terms", "tick")):
        sheet.row(label, mark)
    prepared = engine.prepare(sheet.image, PageRequest(page_number=1))
    [generation] = engine.generate([prepared], Control())
    lines = ["[x] I am a member", "[ ] Send me the newsletter", "[x] I have read the terms"]
    assert generation.text.split("\n\n") == lines
