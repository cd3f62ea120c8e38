"""The light recogniser alone: reads single lines in a few milliseconds, for what needs no more than a glance.

It knows the letters of Latin scripts, and a third of Han and kana. On ONNX Runtime it takes 50 MB with its runtime and
a sixth of a second to load; on OpenVINO twice that, in return for half the time a line.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec

import cv2
import numpy as np

from workers.engines.ocr.choose import choose_runtime
from workers.engines.ocr.crops import to_height
from workers.engines.ocr.models import LIGHT_RECOGNISER
from workers.engines.ocr.reader import spell
from workers.engines.ocr.runtimes import Recogniser
from workers.text_lines import Pixels, Reading


class LightReader:
    """Reads lines; `characters` is what it can write."""

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser
        self._characters = np.array(recogniser.characters, dtype=object)
        self.characters = frozenset(recogniser.characters)

    def read(self, crops: Sequence[Pixels]) -> list[Reading]:
        lines = [to_height(crop) for crop in crops]
        return [spelled.reading() for spelled in spell(self._recogniser, self._characters, lines)]


@cache
def light_reader() -> LightReader:
    """This process's reader; computes in the thread that calls it. Raises EngineError where no runtime is installed."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    cv2.setNumThreads(1)
    runtime = choose_runtime("onnxruntime" if find_spec("onnxruntime") else "auto", 1)
    return LightReader(runtime.load_recogniser(LIGHT_RECOGNISER))
