"""Ink: pages that are hard to see are not blank and come out clear; text is told from pictures, and its size known."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from workers.documents.clear import clear_view, is_faint
from workers.documents.images import normalise
from workers.documents.ink import is_blank, text_cells
from workers.documents.tiles import letter_height

LINES = [f"Line {number} of the lease agreement between parties." for number in range(1, 9)]
Colour = tuple[int, ...]


def written(ink: Colour, paper: Colour, *, size: tuple[int, int] = (900, 640), points: int = 30) -> Image.Image:
    """Eight lines of print."""
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[len(paper)]
    page = Image.new(mode, size, paper if len(paper) > 1 else paper[0])
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(points)
    for number, line in enumerate(LINES):
        draw.text((60, 60 + number * points * 2), line, ink if len(ink) > 1 else ink[0], font)
    return page


def reference() -> np.ndarray:
    return np.asarray(written((0,), (255,)), np.int16)


def is_like_print(page: Image.Image) -> bool:
    """Whether it is nearly the black print on white that the same lines make."""
    return float(np.abs(np.asarray(page.convert("L"), np.int16) - reference()).mean()) < 12


@pytest.mark.parametrize(
    ("ink", "paper"),
    [((246,), (255,)), ((25,), (10,)), ((255, 120, 90), (60, 160, 255)), ((200, 200, 60), (195, 195, 205))],
    ids=["faint", "faint on black", "equal luminance", "pale yellow on pale blue"],
)
def test_print_that_is_hard_to_see_is_made_clear(ink: Colour, paper: Colour) -> None:
    page = written(ink, paper)
    assert not is_blank(page)
    assert is_faint(page)
    assert is_like_print(clear_view(page))
    assert clear_view(page).mode == page.mode


@pytest.mark.parametrize(("ink", "paper"), [((0,), (255,)), ((255,), (0,)), ((90,), (230,))])
def test_print_that_is_easy_to_see_is_left_alone(ink: Colour, paper: Colour) -> None:
    assert not is_faint(written(ink, paper))


def test_faint_print_on_shaded_noisy_paper_is_made_clear() -> None:
    shade = np.linspace(0, 60, 900)[None] + np.random.default_rng(1).normal(0, 1, (640, 900))
    page = Image.fromarray((np.asarray(written((215,), (240,)), np.float32) - shade).clip(0, 255).astype(np.uint8))
    assert not is_blank(page)
    assert is_like_print(clear_view(page))


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_grey_of_any_depth_in_16_bits_is_read_by_its_depth(bits: int, format: str) -> None:
    levels = (np.asarray(written((0,), (255,)), np.uint16).astype(np.uint32) * ((1 << bits) - 1) // 255).astype("<u2")
    out = io.BytesIO()
    Image.frombytes("I;16", (900, 640), levels.tobytes()).save(out, format)
    page = normalise(Image.open(out), "L")
    assert is_like_print(page)
    assert not is_blank(page)


def test_pale_print_in_16_bits_does_not_lose_its_few_levels() -> None:
    levels = (np.asarray(written((0,), (255,)), np.float32) / 255 * 900 + 40_000).astype("<u2")
    page = normalise(Image.frombytes("I;16", (900, 640), levels.tobytes()), "L")
    assert not is_blank(page)
    assert is_like_print(clear_view(page))


def test_flat_16_bit_paper_stays_blank() -> None:
    levels = np.random.default_rng(5).normal(40_000, 40, (640, 900)).astype("<u2")
    assert is_blank(normalise(Image.frombytes("I;16", (900, 640), levels.tobytes()), "L"))


@pytest.mark.parametrize(
    ("ink", "dark_ground"),
    [((255, 255, 255, 255), True), ((255, 240, 90, 255), True), ((0, 0, 0, 255), False), ((200, 0, 0, 255), False)],
)
def test_ink_on_nothing_is_put_on_a_ground_it_shows_on(ink: Colour, dark_ground: bool) -> None:
    page = normalise(written(ink, (0, 0, 0, 0)), "RGB")
    assert (page.getpixel((2, 2)) == (0, 0, 0)) is dark_ground
    assert not is_blank(page)
    assert len(text_cells(page)) > 50


def test_white_and_black_ink_on_nothing_both_show() -> None:
    page = Image.new("RGBA", (900, 640))
    page.alpha_composite(written((255, 255, 255, 255), (0, 0, 0, 0)).crop((0, 0, 900, 320)), (0, 0))
    page.alpha_composite(written((0, 0, 0, 255), (0, 0, 0, 0)).crop((0, 0, 900, 320)), (0, 320))
    cells = text_cells(normalise(page, "L"))
    assert len([cell for cell in cells if cell.y1 < 320]) > 20
    assert len([cell for cell in cells if cell.y0 > 320]) > 20


def test_picture_with_a_transparent_rim_keeps_white_paper() -> None:
    page = Image.new("RGBA", (300, 200))
    page.paste((250, 250, 250, 255), (10, 10, 290, 190))
    assert normalise(page, "RGB").getpixel((0, 0)) == (255, 255, 255)


def photo(side: int = 800) -> Image.Image:
    """Clouds: noise at every size, as leaves, stone and water have it."""
    rng, page = np.random.default_rng(7), np.zeros((side, side))
    for size in (4, 16, 64, 200, 800):
        layer = Image.fromarray(rng.normal(0, 40, (size, size)).astype(np.float32))
        page += np.asarray(layer.resize((side, side), Image.Resampling.BICUBIC)) / 1.5
    return Image.fromarray((page + 128).clip(0, 255).astype(np.uint8))


def chart(side: int = 800) -> Image.Image:
    page = Image.new("L", (side, side), 255)
    draw = ImageDraw.Draw(page)
    draw.line([(x, 400 + 250 * np.sin(x / 60)) for x in range(50, 750)], 0, 4)
    for place in range(50, 800, 140):
        draw.line((50, place, 750, place), 170, 1)
        draw.rectangle((place, 700 - place // 2, place + 60, 750), 90)
    return page


def logo(side: int = 800) -> Image.Image:
    page = Image.new("L", (side, side), 255)
    ImageDraw.Draw(page).ellipse((250, 250, 550, 550), 0, 90, 25)
    return page


@pytest.mark.parametrize("make", [photo, chart, logo])
def test_picture_does_not_look_like_text_and_is_not_blank(make: Callable[[], Image.Image]) -> None:
    page = make()
    assert len(text_cells(page)) < 6
    assert not is_blank(page)


@pytest.mark.parametrize("points", [12, 30, 80])
@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_print_looks_like_text_at_any_size_whichever_way_it_lies(points: int, turned: int) -> None:
    page = written((0,), (255,), size=(points * 30, points * 20), points=points).rotate(turned, expand=True)
    assert len(text_cells(page)) >= 20 if points > 12 else 8


@pytest.mark.parametrize("points", [20, 40, 100])
def test_height_of_print_is_known_also_on_an_image_that_is_much_larger(points: int) -> None:
    page = Image.new("L", (5200, 5200), 255)
    page.paste(written((0,), (255,), size=(points * 30, points * 20), points=points), (600, 900))
    assert 0.6 * points <= letter_height(page) <= 1.1 * points
