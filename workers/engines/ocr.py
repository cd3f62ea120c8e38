"""The `ocr` engine: RapidOCR (PP-OCRv6 on ONNX Runtime), text and boxes on a CPU, with nothing to download.

A page goes through detection (where are lines), orientation (which way up are they), reading order, and then
recognition line by line in that order, so that partial text reads from the top. Recognition is most of the time
and grows with the pixels of text, not with the number of lines: one line at a time without padding takes half
the time of RapidOCR's default, batches of 6 lines padded to the longest.

Threads share the work by pages and lines, each with a model to itself: they need not wait for one another as they
must where they share every step of one model, which takes half again the processor time, and far longer on a machine
with other work to do. Only the detection of a page that comes alone is shared step by step.
"""

from __future__ import annotations

import io
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib import import_module, metadata
from itertools import chain, count
from statistics import mean
from typing import Protocol

import numpy as np
from PIL import Image

from workers.engines import (
    Control,
    EngineError,
    EngineOptions,
    Generation,
    ImageSpec,
    Line,
    PageRequest,
    Prepared,
    StopReason,
)
from workers.engines.ocr_scripts import SCRIPTS, Seen, is_foreign
from workers.engines.ocr_tiles import detect_page
from workers.engines.options import option
from workers.reading_order import find_gutters, join_rows, order_rows
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

logger = logging.getLogger(__name__)

DETECTOR = "PP-OCRv6_det_small.onnx"
RECOGNISER = "PP-OCRv6_rec_small.onnx"
READER_VERSION = 2  # to be raised when the text of a page changes with this module, or with reading_order

MIN_LETTER = 9.0  # px; a line of 6 pt print at 150 dpi
MIN_CONFIDENCE = 0.5  # lines below are noise; RapidOCR's own default
SAMPLE_LINES = 3
SURE_CONFIDENCE = 0.9  # on the corpus upright samples scored 0.98 and more, turned ones 0.78 and less
TURNED_MARGIN = 0.1
TURNED_CONFIDENCE = 0.93  # Hebrew upside down looks like Latin letters, with 0.88
STANDING_ASPECT = 1.5  # height over width from which RapidOCR turns a line a quarter anticlockwise
TEXT_INTERVAL_S = 0.5


class Models(Protocol):
    """What finds lines and reads them: `workers.engines.ocr_models.OcrModels`."""

    errors: tuple[type[Exception], ...]

    def detect(self, pixels: Pixels, *, is_alone: bool) -> Quads: ...

    def crop(self, pixels: Pixels, quad: Quad) -> Pixels: ...

    def recognise(self, crop: Pixels) -> Reading: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OcrOptions(EngineOptions):
    max_dimension: int = option(
        1760,
        setting="ocr_max_dimension",
        unit="px",
        help="Longest side of a page image for the ocr engine; A4 at 150 dpi.",
    )
    threads: int = option(0, setting="ocr_threads", unit="threads", help="Threads of one ocr engine; 0 is one a core.")


class OcrEngine:
    """Reads printed text of the scripts PP-OCRv6 knows; says of a page that it seems to be in another."""

    name = "ocr"
    scripts = SCRIPTS

    def __init__(self, options: OcrOptions) -> None:
        try:
            version = metadata.version("rapidocr")
        except metadata.PackageNotFoundError as exc:
            raise EngineError("The ocr engine needs RapidOCR: pip install 'pagefan[ocr]'.") from exc
        self.revision = f"rapidocr-{version}/{RECOGNISER}/{READER_VERSION}"
        self.image_spec = ImageSpec(factor=32, max_side=options.max_dimension, min_letter=MIN_LETTER, takes_large=True)
        self.max_batch = options.threads or os.cpu_count() or 1
        self._models: Models | None = None
        self._pool = ThreadPoolExecutor(self.max_batch, thread_name_prefix="ocr")

    def prepare(self, image: Image.Image, request: PageRequest) -> Prepared:
        return Prepared(request=request, image=image)

    def pack(self, prepared: Prepared) -> bytes | None:  # noqa: ARG002
        return None

    def unpack(self, data: bytes, request: PageRequest) -> Prepared:
        """`data` is the page's PNG."""
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            image.load()
        return self.prepare(image, request)

    def load(self) -> None:
        """Import RapidOCR and load its models; the engine's constructor needs neither."""
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        module = import_module("workers.engines.ocr_models")
        self._models = module.OcrModels(DETECTOR, RECOGNISER, threads=self.max_batch)

    def generate(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        """One Generation a page; a page that fails or is stopped leaves the others."""
        each: Callable[..., Iterable[_Page | Generation]] = map if len(batch) == 1 else self._pool.map
        pages = list(each(lambda row, prepared: self._open(row, prepared, len(batch) == 1, control), count(), batch))
        for page in pages:
            if isinstance(page, _Page):
                page.begin(self._pool)
        return [
            control.done(row, self._finish(page) if isinstance(page, _Page) else page) for row, page in enumerate(pages)
        ]

    def close(self) -> None:
        self._pool.shutdown()
        self._models = None

    def _open(self, row: int, prepared: Prepared, is_alone: bool, control: Control) -> _Page | Generation:
        """The page with its lines found, or why it has none."""
        if self._models is None or prepared.image is None:
            raise EngineError("The ocr engine wants load() first, and the page's image.")
        if reason := control.should_stop(row):
            return Generation(text="", stop_reason=reason)
        pixels = np.ascontiguousarray(np.asarray(prepared.image.convert("RGB"))[:, :, ::-1])
        try:
            return _Page(self._models, pixels, row, control, is_alone=is_alone)
        except self._models.errors as exc:
            return failure(exc)

    def _finish(self, page: _Page) -> Generation:
        assert self._models is not None
        try:
            return page.finish()
        except self._models.errors as exc:
            return failure(exc)


def failure(exc: Exception) -> Generation:
    logger.error("a page could not be read", exc_info=exc)
    return Generation(text="", stop_reason="error", error=f"OCR failed: {type(exc).__name__}")


OPTIONS = OcrOptions
ENGINE = OcrEngine


class _Page:
    """One page being read, in a `row` of the batch. `turn` is what makes its lines lie level, in degrees clockwise."""

    def __init__(self, models: Models, pixels: Pixels, row: int, control: Control, *, is_alone: bool) -> None:
        self._models, self._row, self._control = models, row, control
        self._pixels = pixels
        self._height, self._width = pixels.shape[:2]
        self._quads = detect_page(pixels, partial(models.detect, is_alone=is_alone))
        self._readings: dict[int, Reading] = {}
        self._coming: dict[int, Future[Reading | None]] = {}
        self._turn, self._is_vertical_writing = self._orient()
        if self._turn:
            self._pixels = np.ascontiguousarray(np.rot90(pixels, -self._turn // 90))
            self._quads = detect_page(self._pixels, partial(models.detect, is_alone=is_alone))
        self._split_lines_across_gutters()
        self._boxes = level_boxes(self._quads)
        self._rows = order_rows(self._boxes)

    def begin(self, pool: ThreadPoolExecutor) -> None:
        """Have the lines read that have not been, in reading order."""
        lines = (i for i in chain.from_iterable(self._rows) if i not in self._readings)
        self._coming = {i: pool.submit(self._read_unless_stopped, i) for i in lines}

    def finish(self) -> Generation:
        """Wait for the lines, until done or told to stop."""
        tell, told = self._control.on_text, time.monotonic()
        is_whole = True
        for i, coming in self._coming.items():
            if reading := coming.result():
                self._readings[i] = reading
            is_whole = is_whole and reading is not None
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
            yield Seen(reading, float(sides[:, i].max() / max(1.0, sides[:, i].min())))

    def _read_unless_stopped(self, i: int) -> Reading | None:
        return None if self._control.should_stop(self._row) else self._read_line(i)

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
        upright = [self._models.recognise(crop) for crop in crops]
        confidence = mean(reading.confidence for reading in upright)
        is_turned = False
        if confidence < SURE_CONFIDENCE:
            turned = mean(self._models.recognise(crop[::-1, ::-1]).confidence for crop in crops)
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

    def _read_line(self, i: int) -> Reading:
        crop = self._models.crop(self._pixels, self._quads[i])
        across, down = lengths_and_heights(self._quads[i : i + 1])
        if down[0] < STANDING_ASPECT * across[0]:
            return self._models.recognise(crop)
        turned = (crop, crop[::-1, ::-1], np.rot90(crop, -1))
        return max((self._models.recognise(each) for each in turned), key=lambda reading: reading.confidence)

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
            )
            for i in chain.from_iterable(self._rows)
            if self._kept(i)
        )


def _is_east_asian(text: str) -> bool:
    """Whether most of `text` is kana, Han or Hangul, which are written in vertical lines too."""
    return 2 * sum("\u3040" <= char <= "\u9fff" or "\uac00" <= char <= "\ud7a3" for char in text) > len(text)
