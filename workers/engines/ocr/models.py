"""Finds lines and reads them, with the networks of PP-OCRv6 that RapidOCR's wheel carries."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.engines import EngineError
from workers.engines.ocr.boxes import find_boxes
from workers.engines.ocr.crops import cut, to_line
from workers.engines.ocr.runtimes import Runtime
from workers.text_lines import Pixels, Quad, Quads, Reading

DETECTOR = "PP-OCRv6_det_small.onnx"
RECOGNISER = "PP-OCRv6_rec_small.onnx"
DETECTION_SIDE_PX = 1280  # larger pages are detected smaller, and recognised at full size
DETECTION_STEP = 32
MOST_LINES = 8  # read at once
MOST_WIDTH = 768  # of them all, beside one another


class OcrModels:
    """Any number of threads may use it at once; each works in the thread that calls it."""

    def __init__(self, runtime: Runtime, *, threads: int) -> None:
        """Load the networks; the detector of a page that comes alone takes `threads`."""
        cv2.setNumThreads(1)
        self.errors = (*runtime.errors, cv2.error)  # what a page may make the methods raise
        folder = models_folder()
        alone = runtime.load_detector(folder / DETECTOR, threads)
        beside = runtime.load_detector(folder / DETECTOR, 1) if threads > 1 else alone
        self._detectors = (beside, alone)
        self._recogniser = runtime.load_recogniser(folder / RECOGNISER)
        self._characters = np.array(self._recogniser.characters, dtype=object)

    def detect(self, pixels: Pixels, *, is_alone: bool) -> Quads:
        height, width = pixels.shape[:2]
        small = cv2.resize(pixels, detection_size(width, height))
        return find_boxes(self._detectors[is_alone](small.astype(np.uint8, copy=False)), width, height)

    def crop(self, pixels: Pixels, quad: Quad) -> Pixels:
        """The line in `quad`, level; one of half again its width in height is turned a quarter anticlockwise."""
        return cut(pixels, quad)

    def recognise(self, crops: Sequence[Pixels]) -> list[Reading]:
        lines = [to_line(crop) for crop in crops]
        readings = [Reading("", 0.0)] * len(lines)
        for places in batches([line.shape[1] for line in lines]):
            best, probability = self._recogniser(np.stack([lines[i] for i in places]))
            for row, i in enumerate(places):
                readings[i] = self._decode(best[row], probability[row])
        return readings

    def _decode(self, best: NDArray[np.integer[Any]], probability: NDArray[np.float32]) -> Reading:
        """The classes of the steps without repeats and without none (Graves et al., "CTC", ICML 2006)."""
        kept = best != 0
        kept[1:] &= best[1:] != best[:-1]
        if not kept.any():
            return Reading("", 0.0)
        return Reading("".join(self._characters[best[kept]]).strip(), float(probability[kept].mean()))


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


def batches(widths: Sequence[int]) -> list[list[int]]:
    """Lines of one width together, not too many: their places in `widths`."""
    order = sorted(range(len(widths)), key=lambda i: widths[i])
    found: list[list[int]] = []
    for width, group in groupby(order, key=lambda i: widths[i]):
        places = list(group)
        most = min(MOST_LINES, max(1, MOST_WIDTH // width))
        found += [places[first : first + most] for first in range(0, len(places), most)]
    return found
