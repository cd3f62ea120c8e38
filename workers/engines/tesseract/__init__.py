"""The `tesseract` engine: print in over a hundred languages, by the program of Debian, Homebrew and others."""

from __future__ import annotations

from workers.engines.tesseract.options import TesseractOptions

OPTIONS = TesseractOptions
ENGINE = "workers.engines.tesseract.engine:TesseractEngine"
READS_PLAIN_TEXT = True
