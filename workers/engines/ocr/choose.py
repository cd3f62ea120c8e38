"""Which runtime computes the networks: OpenVINO where it is installed, else ONNX Runtime.

On the same cores OpenVINO takes a third to a half less time. Its wheels are for x86-64; elsewhere it is not asked for.
A runtime's own module is imported by the process that recognises, when it loads, and by no other: it takes time and
memory.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from workers.engines import EngineError
from workers.engines.ocr.runtimes import Runtime

RUNTIMES = {
    "openvino": "workers.engines.ocr.openvino_runtime:OpenVinoRuntime",
    "onnxruntime": "workers.engines.ocr.onnx_runtime:OnnxRuntime",
}


def has_runtime() -> bool:
    """Whether a runtime is installed, so that the ocr engine can be loaded."""
    return any(find_spec(name) for name in RUNTIMES)


def choose_runtime(wanted: str, threads: int) -> Runtime:
    """The runtime called `wanted`, or with `auto` the fastest that is installed, for calls by so many threads."""
    names = [wanted] if wanted != "auto" else [name for name in RUNTIMES if find_spec(name)]
    if not names or names[0] not in RUNTIMES or not find_spec(names[0]):
        raise EngineError(f"The ocr engine has no runtime for OCR_RUNTIME={wanted}: pip install 'pagefan[ocr]'.")
    module_name, _, class_name = RUNTIMES[names[0]].partition(":")
    runtime: Runtime = getattr(import_module(module_name), class_name)(threads)
    return runtime
