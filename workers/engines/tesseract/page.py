"""One page through tesseract.

A page that reads well as it lies pays for one run. Where it does not, or where its lines stand, tesseract is asked
which way up it lies and what script it is in; what it then reads is taken if there is more of it.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from PIL import Image

from workers.engines import EngineError, Generation
from workers.engines.tesseract.lines import Reading, put_in_order, read_table
from workers.engines.tesseract.orientation import Orientation, orientation_of
from workers.engines.tesseract.parts import MOST_SIDE, read_parts
from workers.engines.tesseract.program import Program, ShouldStop
from workers.languages import covers
from workers.text_lines import unturn_box

logger = logging.getLogger(__name__)

DPI = 200  # what tesseract guesses from the print makes it lose numbers in margins; on 21 scans 150 and 300 do worse
TABLE = ("-c", "tessedit_create_tsv=1")
SURE = 0.75  # confidence of a page; good print has 0.9 and more, a page upside down or in another script below 0.4


class Page:
    """An image, and what `program` says of it. The methods raise what Program.run raises."""

    def __init__(self, program: Program, image: Image.Image, psm: int, should_stop: ShouldStop) -> None:
        self._program, self._psm, self._should_stop = program, psm, should_stop
        self._image = image.convert("L")

    @cached_property
    def orientation(self) -> Orientation:
        """Nothing is known of images with little text, and where `osd` is not installed."""
        sample = self._image.reduce(-(-max(self._image.size) // MOST_SIDE))
        try:
            return orientation_of(self._run(["-l", "osd", "--psm", "0"], sample))
        except EngineError as exc:
            logger.info("the way up of a page is not known: %s", exc)
            return Orientation()

    def read(self, languages: Sequence[str]) -> Generation:
        reading, turn = self._read(self._image, languages), 0
        notices: tuple[str, ...] = ()
        if reading.confidence < SURE or reading.is_sideways:
            turned = self._read_turned(reading, languages)
            if is_better(turned, reading):
                reading, turn = turned, self.orientation.turn
            if reading.confidence < SURE and self.orientation.script and not covers(languages, self.orientation.script):
                notices = ("unread_script",)
        lines = tuple(replace(line, box=unturn_box(line.box, turn, *self._image.size)) for line in reading.lines)
        return Generation(text=reading.text, lines=lines, rotation=turn, notices=notices)

    def _read_turned(self, reading: Reading, languages: Sequence[str]) -> Reading:
        turn = self.orientation.turn
        return self._read(self._image.rotate(-turn, expand=True), languages) if turn else reading

    def _read(self, image: Image.Image, languages: Sequence[str]) -> Reading:
        arguments = ["-l", "+".join(languages), "--psm", str(self._psm), "--dpi", str(DPI), *TABLE]
        return put_in_order(read_parts(image, lambda part: read_table(self._run(arguments, part))))

    def _run(self, arguments: Sequence[str], image: Image.Image) -> str:
        """The image goes in as PGM, which takes no time to write or to read."""
        out = io.BytesIO()
        image.save(out, "PPM")
        return self._program.run(arguments, out.getvalue(), self._should_stop)


def is_better(turned: Reading, reading: Reading) -> bool:
    """Whether the text after the turn is the right one; tesseract reads lines that stand, but out of order."""
    if reading.is_sideways and not turned.is_sideways:
        return turned.confidence >= SURE or turned.confidence > reading.confidence
    return turned.letters * turned.confidence > reading.letters * reading.confidence
