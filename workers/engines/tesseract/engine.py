"""The `tesseract` engine: one run of the program for each page, as many at once as there are cores.

A page that reads well as it lies pays for one run. Where it does not, or where its lines stand, tesseract is asked
which way up it lies, and what it then reads is taken if there is more of it.
"""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import count

from PIL import Image

from workers.engines import Control, EngineError, Generation, ImageSpec, PageRequest, Prepared
from workers.engines.tesseract.languages import parse, readable, require
from workers.engines.tesseract.lines import Reading, put_in_order, read_table
from workers.engines.tesseract.options import TesseractOptions
from workers.engines.tesseract.orientation import Orientation, orientation_of
from workers.engines.tesseract.parts import MOST_SIDE, read_parts
from workers.engines.tesseract.program import Program, ShouldStop, Stopped
from workers.png import open_png
from workers.text_lines import unturn_box

logger = logging.getLogger(__name__)

MIN_LETTER = 13.0  # px; a line of 6 pt print at 200 dpi
SURE = 0.75  # confidence of a page; good print has 0.9 and more, a page upside down or in another script below 0.4
READER_VERSION = 1  # to be raised when the text of a page changes with these modules, or with reading_order


class TesseractEngine:
    """Reads print in the languages that are installed."""

    name = "tesseract"

    def __init__(self, options: TesseractOptions) -> None:
        self._options = options
        self._program = Program(options.binary, options.data, options.timeout_s)
        self.revision = f"{self._program.revision()}/{READER_VERSION}"
        self.image_spec = ImageSpec(
            factor=1, max_side=options.max_dimension, mode="L", min_letter=MIN_LETTER, takes_large=True
        )
        self.max_batch = options.processes or os.cpu_count() or 1
        self._installed: frozenset[str] = frozenset()
        self._pool = ThreadPoolExecutor(self.max_batch, thread_name_prefix="tesseract")

    def prepare(self, image: Image.Image, request: PageRequest) -> Prepared:
        return Prepared(request=request, image=image)

    def pack(self, prepared: Prepared) -> bytes | None:  # noqa: ARG002
        return None

    def unpack(self, data: bytes, request: PageRequest) -> Prepared:
        """`data` is the page's PNG."""
        return self.prepare(open_png(data), request)

    def load(self) -> None:
        """See what is installed. Raises EngineError where the language of the options is not."""
        self._choose(self._options.language)
        logger.info("tesseract %s reads %s", self._program.version, ", ".join(readable(self._installed)))

    def report(self) -> dict[str, str]:
        return {"runtime": f"tesseract {self._program.version}"}

    def generate(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        """One Generation a page; a page that fails or is stopped leaves the others."""
        return list(self._pool.map(partial(self._generate_row, control), count(), batch))

    def close(self) -> None:
        self._pool.shutdown()

    def _generate_row(self, control: Control, row: int, prepared: Prepared) -> Generation:
        try:
            generation = self._read_page(prepared, lambda: control.should_stop(row))
        except Stopped as exc:
            generation = Generation(text="", stop_reason=exc.args[0])
        except EngineError as exc:
            generation = Generation(text="", stop_reason="error", error=str(exc))
        return control.done(row, generation)

    def _read_page(self, prepared: Prepared, should_stop: ShouldStop) -> Generation:
        if prepared.image is None:
            raise EngineError("The tesseract engine wants the page's image.")
        if reason := should_stop():
            raise Stopped(reason)
        image = prepared.image.convert("L")
        wanted = self._choose(prepared.request.language or self._options.language)
        reading = self._read(image, wanted, should_stop)
        turn = 0
        if reading.confidence < SURE or reading.is_sideways:
            found = self._look(image, should_stop)
            turned = self._read(turned_by(image, found.turn), wanted, should_stop) if found.turn else reading
            if is_better(turned, reading):
                reading, turn = turned, found.turn
        return as_generation(reading, turn, image.size)

    def _read(self, image: Image.Image, wanted: Sequence[str], should_stop: ShouldStop) -> Reading:
        arguments = ["-l", "+".join(wanted), "--psm", str(self._options.psm), "-c", "tessedit_create_tsv=1"]
        return put_in_order(
            read_parts(image, lambda part: read_table(self._program.run(arguments, encode(part), should_stop)))
        )

    def _look(self, image: Image.Image, should_stop: ShouldStop) -> Orientation:
        """Which way up the image lies; it fails on images with little text, and where `osd` is not installed."""
        try:
            sample = image.reduce(-(-max(image.size) // MOST_SIDE))
            return orientation_of(self._program.run(["-l", "osd", "--psm", "0"], encode(sample), should_stop))
        except EngineError as exc:
            logger.info("the way up of a page is not known: %s", exc)
            return Orientation()

    def _choose(self, wanted: str) -> list[str]:
        """The languages to read with; what was installed meanwhile counts. Raises EngineError for a missing one."""
        names = parse(wanted)
        if not self._installed.issuperset(names):
            self._installed = frozenset(self._program.languages())
        require(names, self._installed)
        return names


def encode(image: Image.Image) -> bytes:
    """As PGM, which takes no time to write or to read."""
    out = io.BytesIO()
    image.save(out, "PPM")
    return out.getvalue()


def turned_by(image: Image.Image, turn: int) -> Image.Image:
    return image.rotate(-turn, expand=True)


def is_better(turned: Reading, reading: Reading) -> bool:
    """Whether the text after the turn is the right one; tesseract reads lines that stand, but out of order."""
    if reading.is_sideways and not turned.is_sideways:
        return turned.confidence >= SURE or turned.confidence > reading.confidence
    return turned.letters * turned.confidence > reading.letters * reading.confidence


def as_generation(reading: Reading, turn: int, size: tuple[int, int]) -> Generation:
    """With boxes on the image of this size, which was read after the turn."""
    lines = tuple(replace(line, box=unturn_box(line.box, turn, *size)) for line in reading.lines)
    return Generation(text=reading.text, lines=lines, rotation=turn)
