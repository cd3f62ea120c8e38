"""The networks on ONNX Runtime: for machines that OpenVINO has no wheel for.

ONNX Runtime asks for ORT_DISABLE_TELEMETRY in the environment before it is imported. Threads that wait sleep here:
spinning took 40 % more processor time on a machine with other work to do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as states

from workers.engines.ocr.runtimes import Heat, Steps, split_characters
from workers.text_lines import Pixels

ERRORS_ONLY = 3


class OnnxRuntime:
    """One session serves all threads; each of them computes in its own."""

    errors = (states.Fail, states.RuntimeException, states.InvalidArgument, states.EPFail)

    def __init__(self, threads: int) -> None:  # noqa: ARG002
        self.description = f"ONNX Runtime {onnxruntime.__version__}, f32"

    def load_detector(self, path: Path) -> _Detector:
        return _Detector(_open(path))

    def load_recogniser(self, path: Path) -> _Recogniser:
        return _Recogniser(_open(path))


def _open(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _run(session: Any, pictures: NDArray[np.uint8]) -> Any:
    return session.run(None, {session.get_inputs()[0].name: _to_floats(pictures)})[0]


def _to_floats(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[pictures, rows, columns, 3] of bytes to [pictures, 3, rows, columns] of -1 to 1."""
    floats = pictures.transpose(0, 3, 1, 2).astype(np.float32, order="C")
    floats -= 127.5
    floats /= 127.5
    return floats


class _Detector:
    def __init__(self, session: Any) -> None:
        self._session = session

    def __call__(self, picture: Pixels) -> Heat:
        heat: Heat = _run(self._session, picture[np.newaxis])[0, 0]
        return heat


class _Recogniser:
    def __init__(self, session: Any) -> None:
        self._session = session
        self.characters = split_characters(session.get_modelmeta().custom_metadata_map["character"])

    def __call__(self, lines: NDArray[np.uint8]) -> Steps:
        chances = _run(self._session, lines)  # [lines, steps, classes]
        return Steps(chances.argmax(axis=-1), chances.max(axis=-1), chances[..., -1])
