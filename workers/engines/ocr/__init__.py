"""The `ocr` engine: reads printed text on a CPU, with nothing to download."""

from __future__ import annotations

from workers.engines.ocr.options import OcrOptions

OPTIONS = OcrOptions
ENGINE = "workers.engines.ocr.engine:OcrEngine"
READS_PLAIN_TEXT = True
