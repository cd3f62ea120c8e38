"""Large pages: how large they are read, where they are cut, and that joining them doubles and loses no line."""

from __future__ import annotations

import io
import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pymupdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from workers.documents.kinds import DocumentLimits
from workers.documents.open import render_page
from workers.documents.pages import prepare_page
from workers.documents.tiles import SHOWN_PIXELS, Tile, cut, spans
from workers.engines import Control, Generation, ImageSpec, Line, PageRequest, Prepared
from workers.engines.ocr.tiles import OVERLAP, TILE_SIDE, detect_page, tile_areas
from workers.engines.ocr.tiles import spans as detector_spans
from workers.engines.registry import options_of
from workers.reading.joins import join_down, join_tiles
from workers.reading.large import LargePage, pack_large, unpack
from workers.reading.tiled import generate_all
from workers.sandbox.sandbox import Sandbox
from workers.text_lines import Pixels, Quads, bounding_box

LIMITS = DocumentLimits()
SPEC = ImageSpec(factor=32, max_side=512, min_letter=9.0)


def strip(width: int, height: int, pitch: int, points: int = 20) -> Image.Image:
    """A line of print every `pitch` px, each saying its number."""
    page = Image.new("L", (width, height), 255)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(points)
    for number, y in enumerate(range(10, height - 2 * points, pitch)):
        draw.text((10, y), f"ITEM {number:03d} of the list", 0, font)
    return page


# how large


@pytest.mark.parametrize("size", [(400, 12_000), (12_000, 400), (400, 2400)])
def test_page_with_small_print_for_its_size_is_read_large(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "a.png"
    strip(*size, pitch=40).save(path)
    page = render_page(path, 0, spec=SPEC, limits=LIMITS)
    assert page.image.size == size


def test_page_whose_print_stays_large_enough_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    strip(2000, 2400, pitch=160, points=80).save(path)
    assert max(render_page(path, 0, spec=SPEC, limits=LIMITS).image.size) == 512


def test_engine_that_reads_no_print_gets_what_it_asks_for(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    strip(400, 12_000, pitch=40).save(path)
    page = render_page(path, 0, spec=ImageSpec(factor=32, max_side=512), limits=LIMITS)
    assert max(page.image.size) == 512


@pytest.mark.parametrize(("points", "is_large"), [(11, True), (90, False)])
def test_sheet_of_a0_is_drawn_as_large_as_its_print_wants(tmp_path: Path, points: int, is_large: bool) -> None:
    path = tmp_path / "a.pdf"
    with pymupdf.open() as pdf:
        sheet = pdf.new_page(width=2384, height=3370)
        for number in range(12):
            sheet.insert_text((200, 300 + number * 3 * points), f"Paragraph {number} of the decision", fontsize=points)
        pdf.save(path)
    page = render_page(path, 0, spec=ImageSpec(factor=32, max_side=1760, min_letter=9.0), limits=LIMITS)
    assert (max(page.image.size) > 1760) is is_large


# where


@given(st.lists(st.booleans(), max_size=400), st.integers(8, 60), st.integers(1, 5))
def test_spans_cover_the_side_and_a_cut_is_white_or_overlapped(ink: list[bool], most: int, min_gap: int) -> None:
    has_ink = np.array(ink, np.bool_)
    found = spans(has_ink, most, min_gap=min_gap)
    assert found[0][0] == 0
    assert found[-1][1] == len(ink)
    for (_, end, _), (start, _, overlaps) in itertools.pairwise(found):
        assert start <= end
        assert overlaps is (start < end)
        if not overlaps:
            assert not has_ink[end - 1] or not has_ink[end]
    assert all(0 <= end - start <= most for start, end, _ in found)


@given(st.integers(1, 50_000))
def test_spans_of_the_detector_cover_the_side_and_overlap(length: int) -> None:
    found = detector_spans(length)
    assert found[0][0] == 0
    assert found[-1][1] == length
    assert all(end - start == min(length, TILE_SIDE) for start, end in found)
    assert all(end - start >= OVERLAP for (_, end), (start, _) in itertools.pairwise(found))


def test_tiles_are_cut_between_lines_and_leave_out_white_ones() -> None:
    page = strip(400, 3000, pitch=40)
    ImageDraw.Draw(page).rectangle((0, 1500, 400, 2600), 255)
    tiles = cut(page, 512)
    ink = np.asarray(page) < 128
    assert not any(tile.overlaps_above for tile in tiles)
    assert not any(ink[tile.y0].any() for tile in tiles)
    assert not any(tile.y0 > 1600 and tile.y1 < 2500 for tile in tiles)


# joined: texts


@settings(max_examples=200)
@given(st.data())
def test_no_line_is_doubled_or_lost_where_texts_of_tiles_overlap(data: st.DataObject) -> None:
    """Lines at any places; each tile reads those that it has whole, and garbles the ones that its edges cut."""
    heights = data.draw(st.lists(st.tuples(st.integers(4, 50), st.integers(0, 30)), min_size=1, max_size=40))
    lines, y = [], 0
    for height, gap in heights:
        lines.append((y + gap, y + gap + height))
        y += gap + height
    has_ink = np.zeros(y + 1, np.bool_)
    for top, bottom in lines:
        has_ink[top:bottom] = True
    tiles, texts = [], []
    for start, end, overlaps in spans(has_ink, 480, min_gap=1):  # which overlap by 60
        tiles.append(Tile(0, start, 100, end, overlaps))
        texts.append("\n".join(read_line(number, line, start, end) for number, line in enumerate(lines)
                               if line[0] < end and line[1] > start))  # fmt: skip
    assert join_tiles(tiles, texts).split("\n") == [name_of(number) for number in range(len(lines))]


def name_of(number: int) -> str:
    return f"{number * 7919 % 10007:05d} {chr(97 + number % 26) * 9}"


def read_line(number: int, line: tuple[int, int], start: int, end: int) -> str:
    is_whole = start <= line[0] and line[1] <= end
    return name_of(number) if is_whole else f"~{number}~"


def test_equal_lines_on_both_sides_of_a_white_cut_are_all_kept() -> None:
    tiles = [Tile(0, 0, 9, 100), Tile(0, 100, 9, 200)]
    assert join_tiles(tiles, ["same\nsame", "same\nsame"]).split("\n") == ["same"] * 4


def test_line_that_runs_through_two_tiles_is_one() -> None:
    tiles = [Tile(0, 0, 100, 90), Tile(80, 0, 180, 90, overlaps_left=True)]
    texts = ["The council of the tow\nmet in the gre", "f the town and county\nthe great hall today"]
    assert join_tiles(tiles, texts) == "The council of the town and county\nmet in the great hall today"


def test_columns_with_white_between_stand_one_after_another() -> None:
    assert join_tiles([Tile(0, 0, 90, 90), Tile(90, 0, 180, 90)], ["left", "right"]) == "left\n\nright"


def test_text_without_a_common_line_is_kept_whole() -> None:
    assert join_down("one\ntwo", "three\nfour") == "one\ntwo\nthree\nfour"


# joined: lines of the ocr engine


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_line_of_a_large_page_is_found_once_whatever_its_place(data: st.DataObject) -> None:
    """Each tile finds the parts of lines that lie in it, off by a pixel or two, as a detector does."""
    width, height = data.draw(st.integers(300, 6000)), data.draw(st.integers(300, 9000))
    lines: list[tuple[int, int, int, int]] = []
    y = data.draw(st.integers(0, 60))
    while y < height - 130 and len(lines) < 60:
        x0 = data.draw(st.integers(0, width - 100))
        x1 = data.draw(st.integers(x0 + 60, width))
        tall = data.draw(st.integers(8, 110))
        lines.append((x0, y, x1, y + tall))
        y += tall + data.draw(st.integers(2, 400))
    shades = np.full((height, width), 255, np.uint8)
    for number, (x0, y0, x1, y1) in enumerate(lines):
        shades[y0:y1, x0:x1] = number
    pixels = np.broadcast_to(shades[..., None], (height, width, 3))
    found = sorted(map(bounding_box, detect_page(pixels, find_blocks)), key=lambda box: box[1])
    assert len(found) == len(lines)
    for box, line in zip(found, lines, strict=True):
        assert np.abs(np.array(box) - np.array(line)).max() <= 3


def find_blocks(part: Pixels) -> Quads:
    """The detector of this test: a quad round each shade, a little off; a row of pixels has one line at most."""
    quads = []
    shades = part[..., 0].min(axis=1)
    for shade in np.unique(shades[shades < 255]):
        rows = np.flatnonzero(shades == shade)
        columns = np.flatnonzero(part[rows[0], :, 0] == shade)
        x0, y0, x1, y1 = columns[0], rows[0] - shade % 2, columns[-1] + 1, rows[-1] + 1 + shade % 2
        quads.append([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    return np.array(quads, np.float32).reshape(-1, 4, 2)


def test_page_of_the_usual_size_is_one_tile() -> None:
    assert tile_areas(1240, 1754) == [(0, 0, 1240, 1754)]


# through an engine


class LineEngine:
    """Reads a tile as the numbers of its dark rows' runs; says where they are."""

    name, revision, max_batch = "lines", "1", 2

    def __init__(self, spec: ImageSpec = SPEC) -> None:
        self.image_spec = spec
        self.batches: list[int] = []

    def prepare(self, image: Image.Image, request: PageRequest) -> Prepared:
        return Prepared(request=request, image=image, num_tokens=image.height)

    def pack(self, prepared: Prepared) -> bytes | None:  # noqa: ARG002
        return None

    def unpack(self, data: bytes, request: PageRequest) -> Prepared:
        return self.prepare(Image.open(io.BytesIO(data)), request)

    def load(self) -> None: ...

    def close(self) -> None: ...

    def generate(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        self.batches.append(len(batch))
        done = []
        for row, page in enumerate(batch):
            if reason := control.should_stop(row):
                done.append(control.done(row, Generation(text="", stop_reason=reason)))
                continue
            assert page.image is not None
            rows = (np.asarray(page.image.convert("L")) < 128).any(axis=1)
            bounds = np.flatnonzero(np.diff(rows, prepend=False, append=False)).reshape(-1, 2).tolist()
            lines = tuple(Line(text=f"{top}", box=(0, top, 9, bottom), confidence=1) for top, bottom in bounds)
            text = "\n".join(line.text for line in lines)
            done.append(control.done(row, Generation(text=text, tokens=len(lines), lines=lines)))
        return done


def large_page(engine: LineEngine, image: Image.Image) -> LargePage:
    request = PageRequest(page_number=1)
    data, num_tokens = pack_large(engine, image, request, image.resize((image.width // 2, image.height // 2)))
    page = unpack(engine, data, request)
    assert isinstance(page, LargePage)
    assert num_tokens == page.num_tokens > 0
    return page


def test_large_page_goes_through_tile_by_tile_with_boxes_on_the_page() -> None:
    engine, image = LineEngine(), strip(400, 3000, pitch=40)
    page = large_page(engine, image)
    told: list[tuple[int, Generation]] = []
    control = Control(on_done=lambda row, generation: told.append((row, generation)))
    small = engine.prepare(image.crop((0, 0, 400, 200)), page.request)
    first, large, last = generate_all(engine, [small, page, small], control)
    assert [row for row, _ in told] == [0, 2, 1]
    assert told[2][1] == large
    assert first == last
    assert max(engine.batches) <= 2
    rows = (np.asarray(image) < 128).any(axis=1)
    tops = np.flatnonzero(np.diff(rows, prepend=False, append=False))[::2] / 2
    assert np.abs(np.array([line.box[1] for line in large.lines]) - tops).max() <= 1
    assert large.tokens == len(large.lines) == len(large.text.split())


def test_cancelled_large_page_stops_at_its_next_tiles() -> None:
    engine = LineEngine()
    page = large_page(engine, strip(400, 6000, pitch=40))
    control = Control(on_text=lambda row, text: control.cancelled.add(row))  # noqa: ARG005
    (generation,) = generate_all(engine, [page], control)
    assert generation.stop_reason == "cancelled"
    assert len(engine.batches) == 2


def test_engine_that_takes_large_pages_gets_one() -> None:
    engine = LineEngine(ImageSpec(factor=32, max_side=512, min_letter=9.0, takes_large=True))
    page = large_page(engine, strip(400, 3000, pitch=40))
    assert [part.image and part.image.size for part in page.parts] == [(400, 3000)]


@pytest.fixture(scope="module")
def long_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("strip") / "long.png"
    strip(4000, 46_812, pitch=200, points=60).save(path, compress_level=1)
    return path


@pytest.mark.parametrize("engine", ["ocr", "tesseract"])
def test_longest_strip_is_prepared_within_the_limits_and_shown_small(long_page: Path, engine: str) -> None:
    if engine == "ocr":
        pytest.importorskip("rapidocr")
    elif shutil.which(engine) is None:
        pytest.skip(f"needs {engine}")
    sandbox = Sandbox(1, 1536)
    try:
        page = sandbox.run(
            prepare_page, long_page, 0, engine=engine, options=options_of(engine)(), request=PageRequest(page_number=1),
            limits=LIMITS, timeout_s=120,
        )  # fmt: skip
    finally:
        sandbox.close()
    assert page.packed is not None
    with Image.open(io.BytesIO(page.png)) as image:
        assert image.size == (page.width, page.height)
        assert image.width * image.height <= SHOWN_PIXELS
