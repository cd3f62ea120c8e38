"""PyMuPDF without the layout models in its wheel: import it from here, in every process.

`import pymupdf` loads ONNX Runtime and the models as well: half a second of processor time and 80 MB that only the
process that finds layout needs. Python takes None in `sys.modules` for a module that cannot be imported, and PyMuPDF
goes on without. `load_models` is for the process that wants them after all.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

LAYOUT = "pymupdf.layout"
MODEL_MODULES = ("pymupdf4llm", LAYOUT)  # the first imports the second

for _name in MODEL_MODULES:
    if _name not in sys.modules:
        sys.modules[_name] = None  # type: ignore[assignment]

import pymupdf  # noqa: E402

__all__ = ["has_models", "load_models", "pymupdf"]


def has_models() -> bool:
    return sys.modules.get(LAYOUT) is not None


def load_models() -> None:
    """Load the layout models, one thread each; `page.get_layout` works from then on. Takes effect once."""
    if has_models():
        return
    sys.modules.pop(LAYOUT, None)
    with _one_thread():
        import_module(LAYOUT)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Have ONNX Runtime's sessions made with one thread: several pages at once share the cores better than threads."""
    runtime: Any = import_module("onnxruntime")
    session = runtime.InferenceSession

    def open_session(*args: Any, sess_options: Any = None, **kwargs: Any) -> Any:
        options = sess_options or runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        return session(*args, sess_options=options, **kwargs)

    runtime.InferenceSession = open_session
    try:
        yield
    finally:
        runtime.InferenceSession = session
