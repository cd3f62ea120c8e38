"""What the `ocr` engine can be told."""

from __future__ import annotations

from dataclasses import dataclass

from workers.engines import EngineOptions
from workers.engines.options import option


@dataclass(frozen=True, slots=True, kw_only=True)
class OcrOptions(EngineOptions):
    max_dimension: int = option(
        1760,
        setting="ocr_max_dimension",
        unit="px",
        help="Longest side of a page image for the ocr engine; A4 at 150 dpi.",
    )
    threads: int = option(0, setting="ocr_threads", unit="threads", help="Threads of one ocr engine; 0 is one a core.")
    runtime: str = option(
        "auto",
        setting="ocr_runtime",
        unit="name",
        help="What computes the ocr engine: auto, openvino, onnxruntime.",
    )
