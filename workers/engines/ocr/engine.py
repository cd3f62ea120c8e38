"""The `ocr` engine: PP-OCRv6 from RapidOCR's wheel, text and boxes on a CPU, with nothing to download.

A page goes through detection (where are lines), orientation (which way up are they), reading order, and then
recognition in that order, in runs of lines, so that partial text reads from the top.

Threads share the work by pages and runs of lines, each with memory of its own: they need not wait for one another as
they must where they share every step of one network, which takes half again the processor time, and far longer on a
machine with other work to do.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module, metadata
from typing import Any

import numpy as np

from workers.engines import (
    Control,
    EngineError,
    Generation,
    ImageSpec,
    Prepared,
)
from workers.engines.ocr.choose import choose_runtime
from workers.engines.ocr.helper import make_helper
from workers.engines.ocr.options import OcrOptions
from workers.engines.ocr.page import Models, Page
from workers.engines.ocr.scripts import SCRIPTS
from workers.engines.whole_image import WholeImage
from workers.processes import num_cores

logger = logging.getLogger(__name__)

MIN_LETTER = 9.0  # px; a line of 6 pt print at 150 dpi
NETWORKS = "PP-OCRv6_small+tiny"
READER_VERSION = 6  # to be raised when the text of a page changes with these modules, or with reading_order


class OcrEngine(WholeImage):
    """Reads printed text of the scripts PP-OCRv6 knows; says of a page that it seems to be in another."""

    name = "ocr"
    scripts = SCRIPTS

    def __init__(self, options: OcrOptions) -> None:
        try:
            version = metadata.version("rapidocr")
        except metadata.PackageNotFoundError as exc:
            raise EngineError("The ocr engine needs RapidOCR: pip install 'pagefan[ocr]'.") from exc
        self.helper = make_helper(options)
        helper = f"+{self.helper.revision}" if self.helper else ""
        self.revision = f"rapidocr-{version}/{NETWORKS}/{READER_VERSION}{helper}"
        self.image_spec = ImageSpec(factor=32, max_side=options.max_dimension, min_letter=MIN_LETTER, takes_large=True)
        self.max_batch = options.threads or num_cores()
        self._wanted_runtime = options.runtime
        self._runtime_description = ""
        self._models: Models | None = None
        self._pool = ThreadPoolExecutor(self.max_batch, thread_name_prefix="ocr")

    def load(self) -> None:
        """Import a runtime and load the networks; the engine's constructor needs neither."""
        if self.helper:
            self.helper.load()
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        runtime = choose_runtime(self._wanted_runtime, self.max_batch)
        module = import_module("workers.engines.ocr.models")
        self._models = module.OcrModels(runtime)
        self._runtime_description = runtime.description
        logger.info("the ocr engine computes with %s, %d threads", runtime.description, self.max_batch)

    def report(self) -> dict[str, Any]:
        return (self.helper.report() if self.helper else {}) | {"runtime": self._runtime_description}

    def generate(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        """One Generation a page; a page that fails or is stopped leaves the others."""
        coming = [self._pool.submit(self._begin, row, prepared, control) for row, prepared in enumerate(batch)]
        return [control.done(row, self._finish(page.result())) for row, page in enumerate(coming)]

    def close(self) -> None:
        self._pool.shutdown()
        if self.helper:
            self.helper.close()
        self._models = None

    def _begin(self, row: int, prepared: Prepared, control: Control) -> Page | Generation:
        """The page with its lines found, which other threads may read from now on; or why it has none."""
        if self._models is None or prepared.image is None:
            raise EngineError("The ocr engine wants load() first, and the page's image.")
        if reason := control.should_stop(row):
            return Generation(text="", stop_reason=reason)
        pixels = np.ascontiguousarray(np.asarray(prepared.image.convert("RGB"))[:, :, ::-1])
        try:
            page = Page(self._models, pixels, row, control)
        except self._models.errors as exc:
            return failure(exc)
        page.begin(self._pool)
        return page

    def _finish(self, page: Page | Generation) -> Generation:
        """What is read on the page, when all is."""
        assert self._models is not None
        if isinstance(page, Generation):
            return page
        try:
            return page.finish()
        except self._models.errors as exc:
            return failure(exc)


def failure(exc: Exception) -> Generation:
    logger.error("a page could not be read", exc_info=exc)
    return Generation(text="", stop_reason="error", error=f"OCR failed: {type(exc).__name__}")
