"""A page that looks written and comes back without its text is looked at again, in other ways, before it ends.

What still cannot be read is said: `unreadable` where there is no text at all, `unread_ink` where most of what looks
like text is in no line, `unread_script` where an engine says so. A page without text that does not look written, a
photo or a drawing, ends well with the notice `no_text`. Engines that read no print, and answers to questions, are not
looked at.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

from PIL import Image

from workers.engines import Control, Engine, EngineError, Generation, Prepared
from workers.reading.answers import generate
from workers.reading.cover import Verdict, judge
from workers.reading.large import LargePage
from workers.reading.rows import RowsControl
from workers.reading.tiled import generate_all
from workers.reading.variants import Variant, as_seen, fitted, variants

logger = logging.getLogger(__name__)

SURE = 0.85  # confidence from which a line of another view counts
SURE_TURNED = 0.93  # of a view that is turned: foreign letters upside down may look like Latin ones
BETTER = 1.3  # times the letters that are sure now, for another view to be taken
MOST_TURNS = 3  # of a page that its model calls turned
SHORT_TEXT = 400  # letters; an engine without lines that wrote more has read its page

ImageOf = Callable[[int], Image.Image | None]


@runtime_checkable
class HelpedEngine(Protocol):
    """The part of an engine that hands pages in scripts it does not read to another."""

    helper: Engine | None


def read_all(engine: Engine, batch: Sequence[Prepared], control: Control, image_of: ImageOf) -> list[Generation]:
    """One Generation a page; `image_of` gives the image that people see of the page in a row, None for none."""
    if not engine.image_spec.min_letter:
        return generate_all(engine, batch, control, image_of)
    return _Batch(engine, batch, control, image_of).run()


class _Batch:
    """A batch of which poor pages are kept back when the others end."""

    def __init__(self, engine: Engine, batch: Sequence[Prepared], control: Control, image_of: ImageOf) -> None:
        self.engine, self.batch, self.control, self.image_of = engine, batch, control, image_of
        self.ended: dict[int, Generation] = {}
        self.poor: dict[int, Generation] = {}
        self.turned: dict[int, Generation] = {}

    def run(self) -> list[Generation]:
        inner = RowsControl.of(self.control, range(len(self.batch)))
        inner.on_done = self.end
        for row, generation in enumerate(generate_all(self.engine, self.batch, inner, self.image_of)):
            self.end(row, generation)
        for row, generation in self.turned.items():
            self.ended[row] = self.control.done(row, self.read_upright(row, generation))
        for row, generation in self.poor.items():
            self.ended[row] = self.control.done(row, self.look_again(row, generation))
        return [self.ended[row] for row in range(len(self.batch))]

    def end(self, row: int, generation: Generation) -> None:
        """Judge a page; told of twice by engines that tell early."""
        if row in self.ended or row in self.poor or row in self.turned:
            return
        if generation.wants_turn and generation.stop_reason == "stop":
            self.turned[row] = generation
            return
        verdict = self.judge(row, generation)
        if verdict and (verdict.is_poor or "unread_script" in generation.notices):
            self.poor[row] = generation
            return
        if verdict and not generation.text.strip():
            generation = with_notice(generation, "unreadable" if verdict.has_text else "no_text")
        self.ended[row] = self.control.done(row, generation)

    def judge(self, row: int, generation: Generation) -> Verdict | None:
        """What of the page was read; None where that is not asked."""
        page = self.batch[row]
        if generation.stop_reason != "stop" or page.request.task != "transcribe":
            return None
        if not generation.lines and sum(map(str.isalnum, generation.text)) > SHORT_TEXT:
            return None
        image = self.image(row)
        return judge(image, generation, self.width_of(row, image)) if image else None

    def image(self, row: int) -> Image.Image | None:
        """The page as far as it is at hand: what the engine read, or what people see of it."""
        page = self.batch[row]
        if isinstance(page, LargePage) and len(page.parts) == 1:
            page = page.parts[0]
        return page.image or self.image_of(row)

    def width_of(self, row: int, image: Image.Image) -> float:
        """Of the image that the boxes of lines lie on."""
        page = self.batch[row]
        return image.width * page.scale[0] if isinstance(page, LargePage) and len(page.parts) == 1 else image.width

    def look_again(self, row: int, generation: Generation) -> Generation:
        """The best of some other readings of a page that was read badly, with what is still wrong as a notice."""
        if "unread_script" in generation.notices and (helped := self.ask_helper(row, generation)):
            return helped
        best = self.try_variants(row, generation)
        if not best.text.strip():
            return with_notice(best, "unreadable")
        image = self.image(row)
        if image and judge(image, best, self.width_of(row, image)).is_poor and "unread_script" not in best.notices:
            return with_notice(best, "unread_ink")
        return best

    def read_upright(self, row: int, generation: Generation) -> Generation:
        """What is read where the page is turned as the model asks; it may ask again, for it sees the page anew."""
        image, turn, best = self.image(row), 0, generation
        for _ in range(MOST_TURNS):
            if image is None or not best.wants_turn or self.control.should_stop(row):
                break
            turn = (turn + best.wants_turn) % 360
            view = fitted(image.rotate(-turn, expand=True), image, self.engine.image_spec, turn)
            other = self.read_variant(row, view, image)
            if other is None or other.stop_reason != "stop" or not other.text.strip():
                break
            best = other
        return replace(best, wants_turn=0)

    def try_variants(self, row: int, generation: Generation) -> Generation:
        image, best = self.image(row), generation
        if image is None:
            return generation
        for variant in variants(image, self.engine.image_spec):
            if self.control.should_stop(row):
                break
            other = self.read_variant(row, variant, image)
            sure = SURE_TURNED if variant.turn else SURE
            if other and other.stop_reason == "stop" and sure_letters(other, sure) > BETTER * sure_letters(best):
                best = other
                now = judge(image, best, self.width_of(row, image))
                if not now.is_poor and "unread_script" not in best.notices:
                    break
        return best

    def read_variant(self, row: int, variant: Variant, image: Image.Image) -> Generation | None:
        page = self.batch[row]
        silent = RowsControl.of(replace(self.control, on_text=None, on_done=None), [row])
        silent.whole = self.control
        try:
            prepared = self.engine.prepare(variant.image, page.request)
            (other,) = generate(self.engine, [prepared], silent)
        except EngineError as exc:
            logger.info("page %d could not be read another way: %s", page.request.page_number, exc)
            return None
        seen = as_seen(other, variant, image.size)
        return scaled(seen, page) if isinstance(page, LargePage) and len(page.parts) == 1 else seen

    def ask_helper(self, row: int, best: Generation) -> Generation | None:
        """What another engine reads in a script that this one does not; None where it does not either."""
        helper, image = self.engine.helper if isinstance(self.engine, HelpedEngine) else None, self.image(row)
        if helper is None or image is None or self.control.should_stop(row):
            return None
        silent = RowsControl.of(replace(self.control, on_text=None, on_done=None), [row])
        silent.whole = self.control
        try:
            (other,) = helper.generate([helper.prepare(image, self.batch[row].request)], silent)
        except EngineError as exc:
            logger.info("%s could not help: %s", helper.name, exc)
            return None
        if other.stop_reason != "stop" or sure_letters(other, 0.6) <= sure_letters(best):
            return None
        other, page = replace(other, engine=helper.name), self.batch[row]
        return scaled(other, page) if isinstance(page, LargePage) and len(page.parts) == 1 else other


def scaled(generation: Generation, page: LargePage) -> Generation:
    """With boxes on the image that people see, which the engine read larger."""
    across, down = page.scale
    lines = tuple(
        replace(line, box=(line.box[0] * across, line.box[1] * down, line.box[2] * across, line.box[3] * down))
        for line in generation.lines
    )
    return replace(generation, lines=lines)


def with_notice(generation: Generation, notice: str) -> Generation:
    return replace(generation, notices=tuple(dict.fromkeys([*generation.notices, notice])))


def sure_letters(generation: Generation, sure: float = SURE) -> int:
    """Letters in lines that the engine is sure of, all where it gives none; 0 for a script that it cannot read."""
    if "unread_script" in generation.notices:
        return 0
    texts = [line.text for line in generation.lines if line.confidence >= sure]
    return sum(map(str.isalnum, "".join(texts) if generation.lines else generation.text))
