"""What the `ocr` engine can be told."""

from __future__ import annotations

from dataclasses import dataclass

from workers.engines.options import option
from workers.engines.tesseract.options import ProgramOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class OcrOptions(ProgramOptions):
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
    helper: str = option(
        "",
        setting="ocr_helper",
        unit="name",
        help="tesseract has it read pages that are in a script the ocr engine does not know; empty has nothing.",
        tells=True,
    )

    @property
    def knows_languages(self) -> bool:
        """Pages that the helper reads depend on the language."""
        return self.helper != ""
