"""The engine that reads pages in scripts which the networks of `ocr` do not know."""

from __future__ import annotations

from workers.engines import EngineError
from workers.engines.ocr.options import OcrOptions
from workers.engines.tesseract.engine import TesseractEngine
from workers.engines.tesseract.options import TesseractOptions
from workers.languages import AUTO


def make_helper(options: OcrOptions) -> TesseractEngine | None:
    """None where no helper is wanted. Raises EngineError for one that is not there."""
    if not options.helper:
        return None
    if options.helper != TesseractEngine.name:
        raise EngineError(f"OCR_HELPER={options.helper!r}: the ocr engine hands pages to tesseract, or to nobody.")
    return TesseractEngine(
        TesseractOptions(
            tesseract=options.tesseract,
            tessdata=options.tessdata,
            timeout_s=options.timeout_s,
            language=AUTO,
            processes=options.threads,
        )
    )
