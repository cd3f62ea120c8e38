"""Finds lines and reads them, with networks of PP-OCRv6: those of RapidOCR's wheel, and a light one of our own folder.

networks/README.md says where that one is from.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from workers.engines import EngineError
from workers.engines.ocr.boxes import find_boxes
from workers.engines.ocr.crops import cut
from workers.engines.ocr.ink import inked
from workers.engines.ocr.reader import Reader
from workers.engines.ocr.runtimes import Runtime
from workers.text_lines import Pixels, Quad, Quads, Reading

DETECTOR = "PP-OCRv6_det_small.onnx"
RECOGNISER = "PP-OCRv6_rec_small.onnx"
LIGHT_RECOGNISER = Path(__file__).parent / "networks" / "PP-OCRv6_rec_tiny.onnx"
DETECTION_SIDE_PX = 1280  # larger pages are detected smaller, and recognised at full size
DETECTION_STEP = 32
SHAPE_STEP = 64  # sides that the detector sees: each shape costs it memory, and time when it is new


class OcrModels:
    """Any number of threads may use it at once; each works in the thread that calls it."""

    def __init__(self, runtime: Runtime) -> None:
        cv2.setNumThreads(1)
        self.errors = (*runtime.errors, cv2.error)  # what a page may make the methods raise
        folder = models_folder()
        self._detector = runtime.load_detector(folder / DETECTOR)
        self._reader = Reader(runtime.load_recogniser(LIGHT_RECOGNISER), runtime.load_recogniser(folder / RECOGNISER))

    def detect(self, pixels: Pixels) -> Quads:
        height, width = pixels.shape[:2]
        small = cv2.resize(pixels, detection_size(width, height)).astype(np.uint8, copy=False)
        area = inked(small, DETECTION_STEP, SHAPE_STEP)
        if area is None:
            return np.empty((0, 4, 2), np.float32)
        heat = np.zeros(small.shape[:2], np.float32)
        part, (rows, columns) = small[area], small[area].shape[:2]
        heat[area] = self._detector(padded(part))[:rows, :columns]
        return find_boxes(heat, width, height)

    def crop(self, pixels: Pixels, quad: Quad) -> Pixels:
        """The line in `quad`, level; one of half again its width in height is turned a quarter anticlockwise."""
        return cut(pixels, quad)

    def recognise(self, crops: Sequence[Pixels]) -> list[Reading]:
        return self._reader.read(crops)


def padded(part: Pixels) -> Pixels:
    """The part with its last rows and columns drawn out, to the next shape that the detector is given."""
    further = (-part.shape[0] % SHAPE_STEP, -part.shape[1] % SHAPE_STEP)
    drawn_out = cv2.copyMakeBorder(part, 0, further[0], 0, further[1], cv2.BORDER_REPLICATE)
    return drawn_out.astype(np.uint8, copy=False)


def models_folder() -> Path:
    """Where RapidOCR's wheel has its models; the library itself is not imported, which takes a second."""
    spec = find_spec("rapidocr")
    if spec is None or not spec.submodule_search_locations:
        raise EngineError("The ocr engine needs RapidOCR: pip install 'pagefan[ocr]'.")
    return Path(spec.submodule_search_locations[0]) / "models"


def detection_size(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, DETECTION_SIDE_PX / max(width, height))
    return round_side(width * scale), round_side(height * scale)


def round_side(side: float) -> int:
    return max(DETECTION_STEP, round(int(side) / DETECTION_STEP) * DETECTION_STEP)
