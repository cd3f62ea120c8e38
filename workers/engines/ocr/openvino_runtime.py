"""The networks on OpenVINO: bytes in, and of a line the best class of each step out instead of all 18,710.

Shapes are left open: compiled for each width apart, the networks took half again the memory and no less time.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino
import openvino.opset13 as ops
from numpy.typing import NDArray
from openvino.preprocess import PrePostProcessor

from workers.engines.ocr.runtimes import Heat, Steps, split_characters
from workers.text_lines import Pixels

MIDDLE, SPREAD = [127.5] * 3, [127.5] * 3  # bytes become -1 to 1
THREADS_A_DETECTOR = 2  # who finds no line has lines to read: a detector's memory is not had for each thread
KERNELS, DETECTOR_KERNELS = 5000, 1000  # kept; OpenVINO keeps 5,000, and a shape of the detector has about 110
CPUINFO = Path("/proc/cpuinfo")


class OpenVinoRuntime:
    """`threads` may compute at once, each in memory of its own."""

    errors = (RuntimeError,)

    def __init__(self, threads: int) -> None:
        self._core = openvino.Core()
        self._threads = threads
        self._precision = best_precision()
        version = openvino.get_version().split("-")[0]
        self.description = f"OpenVINO {version}, {self._precision}"

    def load_detector(self, path: Path) -> _Detector:
        model = fed_with_bytes(without_sigmoid(self._core.read_model(path)))
        return _Detector(self._compile(model, -(-self._threads // THREADS_A_DETECTOR), DETECTOR_KERNELS))

    def load_recogniser(self, path: Path) -> _Recogniser:
        model = self._core.read_model(path)
        characters = split_characters(model.get_rt_info(["framework", "character"]).astype(str))
        return _Recogniser(self._compile(fed_with_bytes(best_of_each_step(model)), self._threads, KERNELS), characters)

    def _compile(self, model: Any, streams: int, kernels: int) -> Any:
        """`streams` calls are computed at once, the others wait; each stream keeps so many kernels."""
        return self._core.compile_model(
            model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": self._precision,
                "NUM_STREAMS": streams,
                "INFERENCE_NUM_THREADS": streams,
                "ENABLE_CPU_PINNING": False,
                "CPU_RUNTIME_CACHE_CAPACITY": kernels,
            },
        )


def best_precision() -> str:
    """bf16 with AMX, or on an AMD processor that has it; on others with AVX-512 for bf16 it was slower than f32."""
    words = set(CPUINFO.read_text().split()) if CPUINFO.exists() else set()
    is_fast = "amx_bf16" in words or {"AuthenticAMD", "avx512_bf16"} <= words
    return "bf16" if is_fast else "f32"


def fed_with_bytes(model: Any) -> Any:
    """The model with a picture's bytes as its input, rows first, as OpenCV has them."""
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(openvino.Type.f32).mean(MIDDLE).scale(SPREAD)
    return steps.build()


def without_sigmoid(model: Any) -> Any:
    """The detector without its last step, which OpenVINO takes a tenth of the time for where shapes are open."""
    sigmoid = model.get_results()[0].input_value(0).get_node()
    return openvino.Model([ops.result(sigmoid.input_value(0))], model.get_parameters())


def best_of_each_step(model: Any) -> Any:
    """The recogniser with the best class, its probability and the last class's, the space's, for its outputs."""
    chances = model.get_results()[0].input_value(0)  # [lines, steps, classes]
    best = ops.topk(chances, ops.constant(1, openvino.Type.i32), -1, "max", "none")
    last = ops.constant([chances.get_partial_shape()[2].get_length() - 1], openvino.Type.i32)
    space = ops.gather(chances, last, ops.constant(2, openvino.Type.i32))
    results = [ops.result(output) for output in (best.output(1), best.output(0), space.output(0))]
    return openvino.Model(results, model.get_parameters())


class _Requests(threading.local):
    """Each thread's own request to a model: a request has memory of its own, which is not for two at once."""

    def __init__(self, model: Any) -> None:
        self._request = model.create_infer_request()

    def __call__(self, array: NDArray[np.uint8]) -> list[NDArray[Any]]:
        """The outputs; they are good until the thread's next call."""
        self._request.infer({0: np.ascontiguousarray(array)}, share_inputs=True)
        return [tensor.data for tensor in self._request.output_tensors]


class _Detector:
    def __init__(self, model: Any) -> None:
        self._infer = _Requests(model)

    def __call__(self, picture: Pixels) -> Heat:
        heat: Heat = -self._infer(picture[np.newaxis])[0][0, 0]
        cv2.exp(heat, heat)
        heat += 1.0
        np.reciprocal(heat, out=heat)
        return heat


class _Recogniser:
    def __init__(self, model: Any, characters: list[str]) -> None:
        self._infer = _Requests(model)
        self.characters = characters

    def __call__(self, lines: NDArray[np.uint8]) -> Steps:
        best, chance, space = self._infer(lines)
        return Steps(best[..., 0], chance[..., 0], space[..., 0])
