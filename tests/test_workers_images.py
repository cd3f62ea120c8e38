"""Page images: sizes, modes, and which pages count as blank."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from workers.documents.images import fit, is_grey, normalise, smart_resize
from workers.documents.ink import is_blank
from workers.engines import ImageSpec

A4_MM = 297
SPEC = ImageSpec(factor=32, max_side=1024)


@given(
    width=st.integers(1, 40_000),
    height=st.integers(1, 40_000),
    factor=st.integers(1, 64),
    max_side=st.integers(64, 4_096),
)
def test_size_keeps_every_promise(width: int, height: int, factor: int, max_side: int) -> None:
    across, down = smart_resize(width, height, factor=factor, max_side=max_side)
    assert across % factor == down % factor == 0
    assert factor <= min(across, down)
    assert max(across, down) <= max_side
    assert across <= max(width + factor / 2, factor)
    assert down <= max(height + factor / 2, factor)
    scale = min(1, (max_side // factor * factor) / max(width, height))
    for side, resized in ((width, across), (height, down)):
        assert abs(resized - side * scale) <= factor / 2 or resized == factor


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1240, 1754), (736, 1024)),
        ((1754, 1240), (1024, 736)),
        ((100, 100), (96, 96)),
        ((10, 10), (32, 32)),
        ((1024, 1024), (1024, 1024)),
        ((1030, 20), (1024, 32)),
        ((30_000, 10), (1024, 32)),
    ],
)
def test_size_of_typical_and_extreme_pages(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert smart_resize(*size, factor=32, max_side=1024) == expected


@pytest.mark.parametrize("size", [(0, 10), (10, -1)])
def test_impossible_size_is_an_error(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no size for"):
        smart_resize(*size, factor=32, max_side=1024)


def test_longest_side_below_the_factor_is_an_error() -> None:
    with pytest.raises(ValueError, match="longest side 16"):
        smart_resize(10, 10, factor=32, max_side=16)


def ramp(mode: str, dtype: str, high: float) -> Image.Image:
    """64 grey levels from 0 to `high`, in a row."""
    return Image.frombytes(mode, (64, 1), np.linspace(0, high, 64).astype(dtype).tobytes())


@pytest.mark.parametrize(
    ("mode", "dtype", "high"),
    [
        ("I;16", "<u2", 65_535),
        ("I;16B", ">u2", 65_535),
        ("I", "<i4", 65_535),
        ("I", "<i4", 255),
        ("I", "<i4", 2**31 - 1),
        ("F", "<f4", 1.0),
        ("F", "<f4", 255.0),
        ("F", "<f4", 1e6),
    ],
)
def test_deep_grey_is_scaled_and_not_clipped(mode: str, dtype: str, high: float) -> None:
    levels = np.asarray(normalise(ramp(mode, dtype, high), "L"))[0]
    assert abs(levels.astype(int) - np.linspace(0, 255, 64)).max() <= 1


def test_float_image_with_holes_has_no_surprises() -> None:
    pixels = np.array([[np.nan, np.inf, -np.inf, 1.0]], dtype=np.float32)
    assert np.asarray(normalise(Image.fromarray(pixels), "L")).tolist() == [[0, 0, 0, 255]]


def black_on_nothing(mode: str) -> Image.Image:
    """A black left half on a transparent right half."""
    image = Image.new("RGBA", (8, 4), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 4, 4))
    return image.convert(mode)


def palette_with_transparency() -> Image.Image:
    image = Image.new("P", (8, 4), 1)
    image.putpalette([0, 0, 0, 0, 0, 0])
    image.paste(0, (0, 0, 4, 4))
    image.info["transparency"] = 1
    return image


def premultiplied_grey() -> Image.Image:
    return Image.frombytes("La", (8, 4), (b"\0\xff" * 4 + b"\0\0" * 4) * 4)


@pytest.mark.parametrize(
    "image",
    [
        black_on_nothing("RGBA"),
        black_on_nothing("LA"),
        black_on_nothing("RGBa"),
        black_on_nothing("PA"),
        palette_with_transparency(),
        premultiplied_grey(),
    ],
    ids=lambda image: image.mode,
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_transparency_becomes_white_paper(image: Image.Image, mode: Literal["RGB", "L"]) -> None:
    page = normalise(image, mode)
    assert page.mode == mode
    assert np.asarray(page.convert("L"))[0].tolist() == [0] * 4 + [255] * 4


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV"])
@pytest.mark.parametrize("wanted", ["RGB", "L"])
def test_white_stays_white_in_every_mode(mode: str, wanted: Literal["RGB", "L"]) -> None:
    page = normalise(Image.new("RGB", (4, 4), "white").convert(mode), wanted)
    assert page.mode == wanted
    assert np.asarray(page).min() == 255


def test_lab_image_keeps_its_lightness() -> None:
    page = normalise(Image.frombytes("LAB", (1, 1), bytes((200, 128, 128))), "RGB")
    assert page.getpixel((0, 0)) == (200, 200, 200)


@pytest.mark.parametrize("mode", ["RGB", "I;16"])
def test_exif_orientation_is_applied(mode: str) -> None:
    lying = Image.new(mode, (40, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    lying.save(file, "PNG", exif=exif)
    assert normalise(Image.open(file), "L").size == (20, 40)


def test_fit_gives_the_size_and_mode_of_the_spec() -> None:
    page = fit(Image.new("RGBA", (3000, 2000)), ImageSpec(factor=28, max_side=1000, mode="L"))
    assert (page.size, page.mode) == ((980, 644), "L")


def test_fit_leaves_an_image_of_the_right_size_alone() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(fit(Image.fromarray(pixels), SPEC)), pixels)


def test_one_coloured_pixel_makes_a_page_colour() -> None:
    page = Image.new("RGB", (50, 50), (200, 200, 200))
    assert is_grey(page)
    page.putpixel((49, 49), (200, 200, 201))
    assert not is_grey(page)


def paper(side: int, shade: int = 245, noise: float = 4.0) -> Image.Image:
    """A scanned sheet of A4 without anything on it, `side` px long."""
    rng = np.random.default_rng(2)
    grey = rng.normal(shade, noise, (side, round(side * 0.707), 1)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(grey.repeat(3, axis=2))


def with_specks(page: Image.Image, size_mm: float) -> Image.Image:
    """Twenty dark specks, as dust leaves them."""
    draw, radius = ImageDraw.Draw(page), size_mm / 2 * page.height / A4_MM
    for x, y in np.random.default_rng(3).uniform(0, 1, (20, 2)):
        left, top = x * page.width, y * page.height
        draw.ellipse((left - radius, top - radius, left + radius, top + radius), fill=(30, 30, 30))
    return page


def with_text(page: Image.Image, text: str, points: float, fill: int = 40) -> Image.Image:
    """`text` at the foot of the page, where page numbers are."""
    font = ImageFont.load_default(points / 72 * 25.4 * page.height / A4_MM)
    ImageDraw.Draw(page).text((page.width * 0.5, page.height * 0.95), text, fill=(fill,) * 3, font=font)
    return page


@pytest.mark.parametrize("side", [842, 1024, 1760])
@pytest.mark.parametrize(
    "page",
    ["white", "black", "tinted", "noisy", "shaded", "specks"],
)
def test_sheet_without_writing_is_blank(side: int, page: str) -> None:
    shade = np.tile(np.linspace(255, 200, round(side * 0.707)), (side, 1)).astype(np.uint8)
    pages = {
        "white": Image.new("RGB", (side, side), "white"),
        "black": Image.new("RGB", (side, side)),
        "tinted": paper(side, shade=180),
        "noisy": paper(side, noise=9),
        "shaded": Image.fromarray(shade).convert("RGB"),
        "specks": with_specks(paper(side), 0.5),
    }
    assert is_blank(pages[page])


@pytest.mark.parametrize("side", [842, 1024, 1760])
@pytest.mark.parametrize(("text", "points"), [("1", 9), ("7", 9), ("i", 9), ("12", 8), ("- 3 -", 10), ("Iota", 24)])
def test_sheet_with_one_small_page_number_is_not_blank(side: int, text: str, points: float) -> None:
    assert not is_blank(with_text(with_specks(paper(side), 0.5), text, points))


def test_pale_writing_and_white_writing_on_black_are_not_blank() -> None:
    assert not is_blank(with_text(paper(1024, shade=250, noise=0), "12", 10, fill=170))
    assert not is_blank(with_text(paper(1024, shade=0, noise=0), "12", 10, fill=255))


@pytest.mark.parametrize("size", [(1, 1), (32, 32), (1024, 32), (32, 1024), (3, 700)])
def test_small_and_narrow_images_are_looked_at_too(size: tuple[int, int]) -> None:
    assert is_blank(Image.new("L", size, 255))
    page = Image.new("L", size, 255)
    ImageDraw.Draw(page).rectangle((size[0] // 3, size[1] // 3, size[0] // 2, size[1] // 2), fill=0)
    assert is_blank(page) == (size == (1, 1))
