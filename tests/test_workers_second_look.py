"""What becomes of pages that look written and come back without their text, and of pages without any."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_workers_ink import chart, photo, written

from workers.documents.ink import contrast_of
from workers.engines import Control, Generation, ImageSpec, Line, PageRequest, Prepared
from workers.engines.ocr.engine import OcrEngine
from workers.engines.ocr.options import OcrOptions
from workers.engines.ocr.scripts import Seen, is_foreign
from workers.reading.confidence import confidence_notices, confidence_of
from workers.reading.cover import judge
from workers.reading.second_look import read_all
from workers.text_lines import Reading

PAGE = written((0,), (255,))
Read = Callable[[Image.Image], Generation]


class PickyEngine:
    """Reads a page by the function it is given; remembers what it saw."""

    name, revision, max_batch = "picky", "1", 4
    helper: PickyEngine

    def __init__(self, read: Read, *, max_side: int = 2000, min_letter: float = 9.0) -> None:
        self.image_spec = ImageSpec(factor=1, max_side=max_side, mode="L", min_letter=min_letter, takes_large=True)
        self.read, self.seen = read, list[Image.Image]()

    def prepare(self, image: Image.Image, request: PageRequest) -> Prepared:
        return Prepared(request=request, image=image)

    def pack(self, prepared: Prepared) -> bytes | None:
        raise NotImplementedError(prepared)

    def unpack(self, data: bytes, request: PageRequest) -> Prepared:
        raise NotImplementedError(data, request)

    def load(self) -> None: ...

    def close(self) -> None: ...

    def generate(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        done = []
        for row, page in enumerate(batch):
            assert page.image is not None
            self.seen.append(page.image)
            done.append(control.done(row, self.read(page.image)))
        return done


def look(engine: PickyEngine, image: Image.Image = PAGE, control: Control | None = None, **request: Any) -> Generation:
    page = engine.prepare(image, PageRequest(page_number=1, **request))
    (generation,) = read_all(engine, [page], control or Control(), lambda _: None)
    return generation


def lines_of(image: Image.Image, share: float = 1.0, confidence: float = 0.99) -> Generation:
    """A line for each run of rows with ink, from the top, as far as `share` of them."""
    rows = np.any(contrast_of(image.convert("L")) > 100, axis=1)
    bounds = np.flatnonzero(np.diff(rows, prepend=False, append=False)).reshape(-1, 2).tolist()
    chosen = bounds[: round(share * len(bounds))]
    text = "Line of the lease agreement between parties"
    lines = tuple(Line(text=text, box=(0, a, image.width, b), confidence=confidence) for a, b in chosen)
    return Generation(text="\n".join(line.text for line in lines), lines=lines)


def nothing(_: Image.Image) -> Generation:
    return Generation(text="")


def test_cover_is_the_share_of_print_that_lies_in_lines() -> None:
    whole, half = judge(PAGE, lines_of(PAGE), PAGE.width), judge(PAGE, lines_of(PAGE, 0.25), PAGE.width)
    assert whole.unread == 0
    assert not whole.is_poor
    assert half.is_poor
    assert 0.6 < half.unread / half.cells < 0.9


def test_page_that_was_read_is_looked_at_once() -> None:
    engine = PickyEngine(lines_of)
    assert look(engine).notices == ()
    assert len(engine.seen) == 1


def test_page_that_comes_back_empty_is_read_another_way() -> None:
    page = written((215,), (240,))
    engine = PickyEngine(lambda image: lines_of(image) if np.asarray(image).min() < 40 else Generation(text=""))
    generation = look(engine, page)
    assert len(generation.lines) == 8
    assert generation.notices == ()
    assert len(engine.seen) == 2


def test_page_that_is_read_only_when_large_has_its_boxes_where_they_were() -> None:
    small = PAGE.resize((300, 213), Image.Resampling.LANCZOS)
    engine = PickyEngine(lambda image: lines_of(image) if image.width > 500 else Generation(text=""))
    generation = look(engine, small)
    assert len(generation.lines) == 8
    assert all(box[3] <= 213 and abs(box[2] - 300) < 2 for box in (line.box for line in generation.lines))


def test_page_that_is_read_only_upside_down_says_how_it_was_turned() -> None:
    turned = PAGE.rotate(180)
    engine = PickyEngine(lambda image: lines_of(image) if is_upright(image) else Generation(text=""))
    generation = look(engine, turned)
    assert generation.rotation == 180
    assert generation.notices == ()
    assert judge(turned, generation, turned.width).unread == 0


def is_upright(image: Image.Image) -> bool:
    """Whether the ink begins as far to the left as on PAGE, and not at the right."""
    columns = np.flatnonzero((np.asarray(image.convert("L")) < 128).any(axis=0))
    return image.width > image.height and bool(columns[0] < image.width - columns[-1])


def test_page_that_cannot_be_read_in_any_way_says_so() -> None:
    engine = PickyEngine(nothing)
    assert look(engine).notices == ("unreadable",)
    assert len(engine.seen) > 3


def test_page_of_which_most_stays_unread_keeps_its_text_and_says_so() -> None:
    engine = PickyEngine(lambda image: lines_of(image, 0.25) if is_upright(image) else Generation(text=""))
    generation = look(engine)
    assert len(generation.lines) == 2
    assert generation.notices == ("unread_ink",)


@pytest.mark.parametrize("make", [photo, chart])
def test_picture_without_text_is_not_looked_at_again(make: Callable[[], Image.Image]) -> None:
    engine = PickyEngine(nothing)
    assert look(engine, make()).notices == ("no_text",)
    assert len(engine.seen) == 1


def test_engine_without_lines_is_judged_by_how_much_it_wrote() -> None:
    answers = iter([Generation(text="A lease."), Generation(text="lease agreement between parties " * 8)])
    engine = PickyEngine(lambda _: next(answers))
    assert look(engine).text.startswith("lease agreement")
    assert len(engine.seen) == 2


@pytest.mark.parametrize("task", ["ask", "describe"])
def test_answers_to_questions_may_be_short(task: str) -> None:
    engine = PickyEngine(lambda _: Generation(text="Yes."))
    assert look(engine, task=task) == Generation(text="Yes.")
    assert len(engine.seen) == 1


def test_engine_that_reads_no_print_is_left_alone() -> None:
    engine = PickyEngine(nothing, min_letter=0.0)
    assert look(engine) == Generation(text="")
    assert len(engine.seen) == 1


def test_each_page_is_told_once_and_poor_ones_last() -> None:
    told: list[int] = []
    engine = PickyEngine(lambda image: lines_of(image) if image is PAGE else Generation(text=""))
    other = PAGE.copy()
    pages = [engine.prepare(image, PageRequest(page_number=1)) for image in (other, PAGE)]
    control = Control(on_done=lambda row, _: told.append(row))
    first, second = read_all(engine, pages, control, lambda _: None)
    assert told == [1, 0]
    assert (first.notices, second.notices) == (("unreadable",), ())


def test_cancelled_page_is_not_looked_at_again() -> None:
    control = Control()

    def read_and_cancel(_: Image.Image) -> Generation:
        control.cancelled.add(0)
        return Generation(text="")

    engine = PickyEngine(read_and_cancel)
    look(engine, control=control)
    assert len(engine.seen) == 1


def test_helper_reads_what_is_in_a_script_that_the_engine_does_not_know() -> None:
    foreign = Generation(text="", notices=("unread_script",))
    engine = PickyEngine(lambda _: foreign)
    assert look(engine).notices == ("unread_script", "unreadable")
    engine.helper = PickyEngine(lines_of)
    seen = len(engine.seen)
    assert look(engine) == replace(lines_of(PAGE), engine="picky")
    assert len(engine.seen) == seen + 1


# which lines are in a foreign script


def seen(text: str, confidence: float, aspect: float) -> Seen:
    return Seen(Reading(text, confidence), aspect)


LATIN = seen("of the lease agreement between", 0.98, 14)


@pytest.mark.parametrize(
    "lines",
    [
        [seen("", 0.0, 20)] * 3,
        [seen(".", 0.97, 25)] * 4,
        [seen("n 'ii n n iin", 0.66, 12)] * 5,
        [LATIN, LATIN, seen("", 0.0, 25)],
    ],
)
def test_lines_with_hardly_a_letter_or_no_confidence_are_foreign(lines: list[Seen]) -> None:
    assert is_foreign(lines)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [LATIN] * 5,
        [seen("わたくしといふ現象は", 0.97, 10)] * 3,
        [LATIN] * 5 + [seen("", 0.2, 12)],
        [seen("x", 0.3, 1.2)] * 20,
    ],
)
def test_print_that_is_read_is_not_foreign(lines: list[Seen]) -> None:
    assert not is_foreign(lines)


# confidence


def test_confidence_is_the_mean_over_letters_and_low_where_lines_are_unsure() -> None:
    sure, unsure = (
        Line(text="a" * 90, box=(0, 0, 1, 1), confidence=0.99),
        Line(text="b" * 10, box=(0, 0, 1, 1), confidence=0.49),
    )
    assert confidence_of([sure, unsure]) == pytest.approx(0.94)
    assert confidence_of([]) is None
    assert confidence_notices([sure, unsure]) == []
    assert confidence_notices([sure, unsure, unsure]) == ["low_confidence"]
    assert confidence_notices([]) == []


# the real engine


@pytest.fixture(scope="module")
def ocr() -> Iterator[OcrEngine]:
    pytest.importorskip("rapidocr")
    engine = OcrEngine(OcrOptions(threads=2))
    engine.load()
    yield engine
    engine.close()


def foreign_page(text: str) -> Image.Image:
    """Lines drawn with MuPDF's own font for Korean, which has Cyrillic too."""
    pymupdf = pytest.importorskip("pymupdf")
    with pymupdf.open() as document:
        sheet = document.new_page(width=595, height=400)
        font = pymupdf.Font("korea")
        writer = pymupdf.TextWriter(sheet.rect)
        for number in range(8):
            writer.append((60, 60 + 36 * number), f"{text}", font=font, fontsize=16)
        writer.write_text(sheet)
        pixmap = sheet.get_pixmap(dpi=150)
        return Image.frombytes("RGB", (pixmap.width, pixmap.height), pixmap.samples)


@pytest.mark.parametrize("text", ["Договор аренды жилого помещения заключён", "이 계약은 서울에서 체결되었습니다"])
def test_ocr_says_that_it_does_not_read_a_script_and_leaves_the_page_upright(ocr: OcrEngine, text: str) -> None:
    page = ocr.prepare(foreign_page(text), PageRequest(page_number=1))
    (generation,) = read_all(ocr, [page], Control(), lambda _: None)
    assert "unread_script" in generation.notices
    assert generation.rotation == 0


def test_ocr_reads_print_without_a_notice(ocr: OcrEngine) -> None:
    page = ocr.prepare(PAGE.convert("RGB"), PageRequest(page_number=1))
    (generation,) = read_all(ocr, [page], Control(), lambda _: None)
    assert generation.notices == ()
    assert generation.text.startswith("Line 1 of the lease agreement between parties.")
