"""The `tesseract` engine: one run of the program for each page, as many at once as there are cores.

What is done with one page stands in `page`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import Any

from workers.engines import Control, EngineError, Generation, ImageSpec, Prepared
from workers.engines.tesseract.options import TesseractOptions
from workers.engines.tesseract.page import Page
from workers.engines.tesseract.program import Program, Stopped
from workers.engines.whole_image import WholeImage
from workers.languages import AUTO, LanguageError, of_script, parse, readable, require
from workers.processes import num_cores

logger = logging.getLogger(__name__)

FIRST = "eng"  # the language that pages are read in where only `auto` is asked for and their script is not known
MIN_LETTER = 13.0  # px; a line of 6 pt print at 200 dpi
READER_VERSION = 4  # to be raised when the text of a page changes with these modules, or with reading_order


class TesseractEngine(WholeImage):
    """Reads print in the languages that are installed."""

    name = "tesseract"

    def __init__(self, options: TesseractOptions) -> None:
        self._options = options
        self._program = Program(options.tesseract, options.tessdata, options.timeout_s)
        self.revision = f"{self._program.revision()}/{READER_VERSION}"
        self.image_spec = ImageSpec(
            factor=1, max_side=options.max_dimension, mode="L", min_letter=MIN_LETTER, takes_large=True
        )
        self.max_batch = options.processes or num_cores()
        self._installed: frozenset[str] = frozenset()
        self._pool = ThreadPoolExecutor(self.max_batch, thread_name_prefix="tesseract")

    def load(self) -> None:
        """See what is installed. Raises EngineError where the language of the options is not."""
        self._choose(self._options.language)
        logger.info("tesseract %s reads %s", self._program.version, ", ".join(readable(self._installed)))

    def report(self) -> dict[str, Any]:
        return {"runtime": f"tesseract {self._program.version}", "languages": readable(self._installed)}

    def generate(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        """One Generation a page; a page that fails or is stopped leaves the others."""
        return list(self._pool.map(partial(self._generate_row, control), count(), batch))

    def close(self) -> None:
        self._pool.shutdown()

    def _generate_row(self, control: Control, row: int, prepared: Prepared) -> Generation:
        if reason := control.should_stop(row):
            return control.done(row, Generation(text="", stop_reason=reason))
        try:
            if prepared.image is None:
                raise EngineError("The tesseract engine wants the page's image.")
            names = self._choose(prepared.request.language or self._options.language)
            page = Page(self._program, prepared.image, self._options.psm, lambda: control.should_stop(row))
            if names == [AUTO]:
                names = of_script(page.orientation.script, self._installed, self._default())
            generation = page.read(names)
        except Stopped as exc:
            generation = Generation(text="", stop_reason=exc.args[0])
        except EngineError as exc:
            generation = Generation(text="", stop_reason="error", error=str(exc))
        return control.done(row, generation)

    def _choose(self, wanted: str) -> list[str]:
        """The languages to read with; what was installed meanwhile counts. Raises EngineError for a missing one."""
        try:
            names = parse(wanted)
            if not self._installed.issuperset(names):
                self._installed = frozenset(self._program.languages())
            require(names, self._installed)
        except LanguageError as exc:
            raise EngineError(str(exc)) from exc
        return names

    def _default(self) -> list[str]:
        """What is read in where the script of a page does not decide."""
        names = parse(self._options.language)
        if names != [AUTO]:
            return names
        there = [name for name in readable(self._installed) if name != AUTO]
        return [FIRST] if FIRST in there else there[:1]
