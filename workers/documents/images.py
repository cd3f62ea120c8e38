"""Page images: to 8 bits of grey or colour, and to the size an engine wants."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from workers.engines import ImageSpec

WHITE = 255
GROUNDS = (WHITE, 0, 128)  # what the ink of a transparent image may be put on
GROUND_CONTRAST = 48  # levels of 255 between ink and ground from which it shows
MOST_HIDDEN = 0.05  # share of the ink that may not show
MOST_OPAQUE = 0.5  # share of an image from which it has a ground of its own
DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras and scanners put into 16
THUMB_SIDE = 512
LEAST_RANGE = 64  # levels of 255; a deep image with fewer is stretched before it is made 8 bits


def smart_resize(width: int, height: int, *, factor: int, max_side: int) -> tuple[int, int]:
    """The size for an image of `width` x `height` px: multiples of `factor`, none of them above `max_side`.

    After `smart_resize` of Qwen2-VL (transformers, models/qwen2_vl/image_processing_qwen2_vl.py), which bounds
    the area where this bounds the longest side. The aspect ratio is kept to within the rounding to multiples.
    Nothing is enlarged beyond that rounding; who wants more pixels says so with a larger `width` and `height`.
    A side never falls below `factor`: a strip longer than max_side / factor times its width comes out wider
    than it is. Raises ValueError for an impossible size.
    """
    if min(width, height, factor) < 1 or max_side < factor:
        raise ValueError(f"no size for {width} x {height} px, factor {factor}, longest side {max_side}")
    largest = max_side // factor * factor
    scale = min(1.0, largest / max(width, height))
    across, down = (max(factor, round(side * scale / factor) * factor) for side in (width, height))
    return across, down


def normalise(image: Image.Image, mode: Literal["RGB", "L"]) -> Image.Image:
    """The image upright and opaque in 8-bit `mode`: EXIF orientation applied, transparency put on paper."""
    image.load()
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
    upright = ImageOps.exif_transpose(image) if turned else image
    if upright.mode.startswith(("I", "F")):
        upright = to_8_bits(upright)
    if upright.mode == "LAB":
        upright = upright.getchannel("L")
    if upright.has_transparency_data:
        upright = on_paper(upright)
    if upright.mode == "CMYK":
        upright = upright.convert("RGB")
    return upright if upright.mode == mode else upright.convert(mode)


def to_8_bits(image: Image.Image) -> Image.Image:
    """A 16-bit, integer or float image as 8-bit grey, scaled; Pillow's own convert() clips at 255."""
    pixels: NDArray[Any] = np.nan_to_num(np.asarray(image), posinf=0, neginf=0)
    low, high = float(pixels.min()), float(pixels.max())
    if low >= 0 and high < 65536 and (image.mode.startswith("I;16") or high > 255):
        grey = from_depth(pixels, low, high)
    elif low >= 0 and high <= 1 and image.mode == "F":
        grey = pixels * 255
    elif low >= 0 and high <= 255:
        grey = pixels
    else:
        grey = (pixels.astype(np.float32) - low) * (255 / (high - low))
    return Image.fromarray(grey.astype(np.uint8))


def from_depth(pixels: NDArray[Any], low: float, high: float) -> NDArray[Any]:
    """Grey of 8 to 16 bits in words of 16, as 8 bits: by the depth that it has, and stretched where it is pale."""
    depth = next(bits for bits in DEPTHS if high < 1 << bits)
    if (high - low) / (1 << depth) * 256 >= LEAST_RANGE or high == low:
        return np.right_shift(pixels.astype(np.uint16), depth - 8)
    room = max(high - low, (1 << depth) / LEAST_RANGE)  # what is flat but for noise stays nearly flat
    return WHITE - (high - pixels.astype(np.float32)) * (WHITE / room)


def on_paper(image: Image.Image) -> Image.Image:
    """The image as it looks on paper, which is white, or dark where its ink would not show on white."""
    layer = image.convert("LA") if image.mode == "La" else image
    layer = layer.convert("RGBA")
    shade = ground_for(layer)
    paper = Image.new("RGB", layer.size, (shade, shade, shade))
    paper.paste(layer, mask=layer.getchannel("A"))
    return paper


def ground_for(layer: Image.Image) -> int:
    """A shade that the ink of a transparent image shows on: white where that will do, else dark, else between."""
    thumb = layer.reduce(max(1, max(layer.size) // THUMB_SIDE))
    opacity = np.asarray(thumb.getchannel("A"), dtype=np.float32) / WHITE
    if opacity.mean() >= MOST_OPAQUE or not opacity.any():
        return WHITE  # a picture that has a ground of its own
    shades = np.asarray(thumb.convert("RGB").convert("L"), dtype=np.float32)
    hidden = {
        ground: float(np.average(np.abs(shades - ground) < GROUND_CONTRAST, weights=opacity)) for ground in GROUNDS
    }
    return next((ground for ground in GROUNDS if hidden[ground] <= MOST_HIDDEN), min(GROUNDS, key=hidden.__getitem__))


def fit(image: Image.Image, spec: ImageSpec) -> Image.Image:
    """The image, normalised, in the size and mode that `spec` asks for.

    It is stretched by the rounding and never padded: a place on the result is the place on the page times one
    number for each axis.
    """
    page = normalise(image, spec.mode)
    size = smart_resize(page.width, page.height, factor=spec.factor, max_side=spec.max_side)
    return resized(page, size)


def resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def is_grey(image: Image.Image) -> bool:
    """Whether no pixel of an "L" or "RGB" image has a colour."""
    if image.mode == "L":
        return True
    pixels = np.asarray(image)  # [height, width, 3]
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    return bool(np.array_equal(red, green) and np.array_equal(green, blue))
