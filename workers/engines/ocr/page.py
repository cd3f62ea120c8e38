"""One page that is read: its lines found, its way up, their order, and their text, in runs that threads share."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from statistics import mean
from typing import Protocol

import numpy as np

from workers.engines import Control, Generation, Line, StopReason
from workers.engines.ocr.crops import STANDING_ASPECT
from workers.engines.ocr.halftone import without_dots
from workers.engines.ocr.scripts import Seen, is_foreign
from workers.engines.ocr.tick_boxes import TickBox, find_tick_boxes, inside_of, is_letter, paint_out
from workers.engines.ocr.tiles import detect_page
from workers.reading_order import find_gutters, order_rows
from workers.row_text import join_rows
from workers.text_lines import (
    Pixels,
    Quad,
    Quads,
    Reading,
    bounding_box,
    lengths_and_heights,
    level_boxes,
    long_lines,
    split_at_blank,
    unturn_box,
)

MIN_CONFIDENCE = 0.5  # lines below are noise; RapidOCR's own default
SAMPLE_LINES = 3
SURE_CONFIDENCE = 0.9  # on the corpus upright samples scored 0.98 and more, turned ones 0.78 and less
TURNED_MARGIN = 0.1
TURNED_CONFIDENCE = 0.93  # Hebrew upside down looks like Latin letters, with 0.88
TEXT_INTERVAL_S = 0.5
FLAT = 24  # levels of 255 within one colour, as JPEG leaves them
RUN_LINES = 16  # lines that a thread reads before it looks whether to stop, and before the page's text grows


class Models(Protocol):
    """What finds lines and reads them: `workers.engines.ocr.models.OcrModels`."""

    errors: tuple[type[Exception], ...]

    def detect(self, pixels: Pixels) -> Quads: ...

    def crop(self, pixels: Pixels, quad: Quad) -> Pixels: ...

    def recognise(self, crops: Sequence[Pixels]) -> list[Reading]: ...


class Page:
    """One page being read, in a `row` of the batch. `turn` is what makes its lines lie level, in degrees clockwise."""

    def __init__(self, models: Models, pixels: Pixels, row: int, control: Control) -> None:
        self._models, self._row, self._control = models, row, control
        self._pixels = pixels = without_dots(pixels)
        self._height, self._width = pixels.shape[:2]
        ticks = self._find_ticks()
        self._quads = detect_page(self._pixels, models.detect)
        self._readings: dict[int, Reading] = {}
        self._coming: list[tuple[list[int], Future[list[Reading]]]] = []
        self._turn, self._is_vertical_writing = self._orient()
        if self._turn:
            self._pixels = np.ascontiguousarray(np.rot90(pixels, -self._turn // 90))
            ticks = self._find_ticks()
            self._quads = detect_page(self._pixels, models.detect)
        self._split_lines_across_gutters()
        self._add_ticks(ticks)
        self._boxes = level_boxes(self._quads)
        self._rows = order_rows(self._boxes)

    def _find_ticks(self) -> list[TickBox]:
        """The boxes to tick, painted out of the page; one with a letter or a digit in it is none."""
        ticks = find_tick_boxes(self._pixels)
        ticked = [tick for tick in ticks if tick.is_ticked]
        marks = self._models.recognise([inside_of(self._pixels, tick) for tick in ticked]) if ticked else []
        lettered = {tick.box for tick, mark in zip(ticked, marks, strict=True) if is_letter(mark)}
        ticks = [tick for tick in ticks if tick.box not in lettered]
        if ticks:
            self._pixels = paint_out(self._pixels, ticks)
        return ticks

    def _add_ticks(self, ticks: Sequence[TickBox]) -> None:
        """As lines that have been read."""
        for tick in ticks:
            self._readings[len(self._quads)] = Reading(tick.text, 1.0)
            x0, y0, x1, y1 = tick.box
            quad = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
            self._quads = np.concatenate([self._quads, quad[np.newaxis]])

    def begin(self, pool: ThreadPoolExecutor) -> None:
        """Have the lines read that have not been, in runs, in reading order."""
        lines = [i for i in chain.from_iterable(self._rows) if i not in self._readings]
        runs = [lines[first : first + RUN_LINES] for first in range(0, len(lines), RUN_LINES)]
        self._coming = [(run, pool.submit(self._read_unless_stopped, run)) for run in runs]

    def finish(self) -> Generation:
        """Wait for the lines, until done or told to stop."""
        tell, told = self._control.on_text, time.monotonic()
        is_whole = True
        for run, coming in self._coming:
            readings = coming.result()
            self._readings.update(zip(run, readings, strict=False))
            is_whole = is_whole and len(readings) == len(run)
            if tell and time.monotonic() - told > TEXT_INTERVAL_S:
                tell(self._row, self._text())
                told = time.monotonic()
        stop_reason: StopReason = "stop" if is_whole else self._control.should_stop(self._row) or "cancelled"
        rotation = 0 if self._is_vertical_writing else self._turn
        notices = ("unread_script",) if is_whole and is_foreign(self._seen()) else ()
        return Generation(
            text=self._text(), stop_reason=stop_reason, lines=self._lines(), rotation=rotation, notices=notices
        )

    def _seen(self) -> Iterator[Seen]:
        sides = np.stack(lengths_and_heights(self._quads))
        for i, reading in self._readings.items():
            if is_flat(self._models.crop(self._pixels, self._quads[i])):
                continue
            yield Seen(reading, float(sides[:, i].max() / max(1.0, sides[:, i].min())))

    def _read_unless_stopped(self, run: list[int]) -> list[Reading]:
        """The readings of a run's lines, or none."""
        return [] if self._control.should_stop(self._row) else self._read(run)

    def _orient(self) -> tuple[int, bool]:
        """The turn, and whether the page stands upright all the same because it is written in vertical lines.

        The longest lines are recognised as they lie, and upside down only where that is not sure: a page that lies
        right pays nothing, as its readings are kept.
        """
        sample, is_sideways = long_lines(self._quads)
        sample = sample[:SAMPLE_LINES]
        if not sample:
            return 0, False
        crops = [self._models.crop(self._pixels, self._quads[i]) for i in sample]
        upright = self._models.recognise(crops)
        confidence = mean_confidence(upright)
        is_turned = False
        if confidence < SURE_CONFIDENCE:
            turned = mean(
                reading.confidence for reading in self._models.recognise([crop[::-1, ::-1] for crop in crops])
            )
            is_turned = turned > confidence + TURNED_MARGIN and turned >= TURNED_CONFIDENCE
            confidence = max(turned, confidence)
        if not is_sideways:
            if is_turned:
                return 180, False
            self._readings.update(zip(sample, upright, strict=True))
            return 0, False
        if confidence < SURE_CONFIDENCE:
            return 0, False  # rules and pictures, not lines of text
        is_vertical_writing = not is_turned and _is_east_asian("".join(reading.text for reading in upright))
        return 90 if is_turned else 270, is_vertical_writing

    def _split_lines_across_gutters(self) -> None:
        """The detector joins neighbours over a narrow gutter now and then: cut those where it is blank."""
        for x0, x1 in find_gutters(level_boxes(self._quads)):
            for i, (left, _, right, _) in enumerate(level_boxes(self._quads)):
                if not left < x0 < x1 < right:
                    continue
                crop = self._models.crop(self._pixels, self._quads[i])
                halves = split_at_blank(self._quads[i], crop, ((x0 + x1) / 2 - left) / (right - left))
                if halves:
                    self._quads[i] = halves[0]
                    self._quads = np.concatenate([self._quads, halves[1][np.newaxis]])
                    self._readings.pop(i, None)

    def _read(self, run: list[int]) -> list[Reading]:
        """A line that stands is read in each way it may be turned, and the surest reading taken."""
        crops = [self._models.crop(self._pixels, self._quads[i]) for i in run]
        across, down = lengths_and_heights(self._quads[run])
        standing = [place for place in range(len(run)) if down[place] >= STANDING_ASPECT * across[place]]
        turned = [turn for place in standing for turn in (crops[place][::-1, ::-1], np.rot90(crops[place], -1))]
        readings = self._models.recognise([*crops, *turned])
        for number, place in enumerate(standing):
            others = readings[len(run) + 2 * number : len(run) + 2 * number + 2]
            readings[place] = max((readings[place], *others), key=lambda reading: reading.confidence)
        return readings[: len(run)]

    def _kept(self, i: int) -> bool:
        return i in self._readings and self._readings[i].confidence >= MIN_CONFIDENCE and self._readings[i].text != ""

    def _text(self) -> str:
        texts = [self._readings[i].text if self._kept(i) else "" for i in range(len(self._boxes))]
        return join_rows(self._rows, self._boxes, texts)

    def _lines(self) -> tuple[Line, ...]:
        return tuple(
            Line(
                text=self._readings[i].text,
                box=unturn_box(bounding_box(self._quads[i]), self._turn, self._width, self._height),
                confidence=self._readings[i].confidence,
                doubts=self._readings[i].doubts,
            )
            for i in chain.from_iterable(self._rows)
            if self._kept(i)
        )


def is_flat(crop: Pixels) -> bool:
    """Whether the middle of what was taken for a line is all of one colour: a bar, or a filled shape."""
    height, width = crop.shape[:2]
    middle = crop[height // 4 : height - height // 4, width // 8 : width - width // 8]
    return not middle.size or int(np.ptp(middle, axis=(0, 1)).max()) < FLAT


def mean_confidence(readings: Sequence[Reading]) -> float:
    return mean(reading.confidence for reading in readings)


def _is_east_asian(text: str) -> bool:
    """Whether most of `text` is kana, Han or Hangul, which are written in vertical lines too."""
    return 2 * sum("\u3040" <= char <= "\u9fff" or "\uac00" <= char <= "\ud7a3" for char in text) > len(text)
