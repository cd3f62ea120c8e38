"""RapidOCR's detector and recogniser on ONNX Runtime, with the models that RapidOCR's wheel carries.

Only the process that recognises imports this module: ONNX Runtime takes time and memory, and asks for
ORT_DISABLE_TELEMETRY in the environment before it is imported.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import rapidocr
from rapidocr.ch_ppocr_det import TextDetector
from rapidocr.ch_ppocr_rec import TextRecInput, TextRecognizer
from rapidocr.inference_engine.onnxruntime.main import ONNXRuntimeError
from rapidocr.utils.process_img import get_rotate_crop_image

from workers.text_lines import Pixels, Quad, Quads, Reading

DETECTION_SIDE_PX = 1280  # larger pages are detected smaller, and recognised at full size
LINE_SHAPE = [3, 48, 96]  # colours, height, least width of a line as the recogniser sees it


class OcrModels:
    """Finds lines and reads them.

    RapidOCR is given sessions of our own: it looks for no downloads then, and its threads sleep while they wait
    instead of spinning, which took 40 % more processor time on a machine with other work to do.
    """

    errors = (ONNXRuntimeError, cv2.error)  # what a page may make the methods raise

    def __init__(self, detector: str, recogniser: str, *, threads: int) -> None:
        """Load the models with these file names; any number of threads may then use them at once.

        Each works in the thread that calls it; the detector of a page that comes alone takes `threads`.
        """
        logging.getLogger("RapidOCR").setLevel(logging.WARNING)
        engine_type = rapidocr.EngineType.ONNXRUNTIME
        self._detectors = [
            TextDetector(
                _Config(
                    engine_type=engine_type,
                    session=_open_session(detector, number),
                    limit_side_len=DETECTION_SIDE_PX,
                    limit_type="max",
                    mean=[0.5, 0.5, 0.5],
                    std=[0.5, 0.5, 0.5],
                    unclip_ratio=1.6,
                )
            )
            for number in (1, threads)
        ]
        self._recogniser = TextRecognizer(
            _Config(
                engine_type=engine_type,
                session=_open_session(recogniser, 1),
                lang_type=rapidocr.LangRec.CH,
                font_path=None,
                rec_batch_num=1,
                rec_img_shape=LINE_SHAPE,
            )
        )

    def detect(self, pixels: Pixels, *, is_alone: bool) -> Quads:
        boxes = self._detectors[is_alone](pixels).boxes
        return np.empty((0, 4, 2), np.float32) if boxes is None else np.asarray(boxes, np.float32)

    def crop(self, pixels: Pixels, quad: Quad) -> Pixels:
        """The line in `quad`, level; one of half again its width in height is turned a quarter anticlockwise."""
        crop: Pixels = get_rotate_crop_image(pixels, quad)
        return crop

    def recognise(self, crop: Pixels) -> Reading:
        found = self._recogniser(TextRecInput(img=[np.ascontiguousarray(crop)]))
        return Reading(found.txts[0].strip(), float(found.scores[0]))


class _Config(dict[str, Any]):
    """A configuration as RapidOCR reads it: a mapping that has its keys as attributes too."""

    __getattr__ = dict.__getitem__


def _open_session(model: str, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    path = Path(rapidocr.__file__).parent / "models" / model
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
