"""Page images: to 8 bits of grey or colour, to the size an engine wants, and looked at for ink."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from workers.engines import ImageSpec

WHITE = 255
BLANK_SIDE = 512  # blocks along the longest side for `is_blank`; on A4 a block is 0.6 mm
BACKGROUND_BLOCKS = 16  # the paper's shade is the mean over squares of this many blocks
INK_CONTRAST = 16  # grey levels between a block and the paper around it from which the block is ink
MARK_BLOCKS = 4  # shortest mark; the cap height of 8 pt type on A4, and twice a speck of 1 mm
EDGE_SHARE = 0.01  # of each side at every edge is not looked at: scanners leave dark lines there


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
    """The image upright and opaque in 8-bit `mode`: EXIF orientation applied, transparency put on white."""
    image.load()
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
    upright = ImageOps.exif_transpose(image) if turned else image
    if upright.mode.startswith(("I", "F")):
        upright = to_8_bits(upright)
    if upright.mode == "LAB":
        upright = upright.getchannel("L")
    if upright.has_transparency_data:
        upright = on_white(upright)
    if upright.mode == "CMYK":
        upright = upright.convert("RGB")
    return upright if upright.mode == mode else upright.convert(mode)


def to_8_bits(image: Image.Image) -> Image.Image:
    """A 16-bit, integer or float image as 8-bit grey, scaled; Pillow's own convert() clips at 255."""
    pixels: NDArray[Any] = np.nan_to_num(np.asarray(image), posinf=0, neginf=0)
    low, high = float(pixels.min()), float(pixels.max())
    if image.mode.startswith("I;16") or (low >= 0 and 255 < high < 65536):
        grey = pixels // 256
    elif low >= 0 and high <= 1 and image.mode == "F":
        grey = pixels * 255
    elif low >= 0 and high <= 255:
        grey = pixels
    else:
        grey = (pixels.astype(np.float32) - low) * (255 / (high - low))
    return Image.fromarray(grey.astype(np.uint8))


def on_white(image: Image.Image) -> Image.Image:
    """The image as it looks on white paper."""
    layer = image.convert("LA") if image.mode == "La" else image
    layer = layer.convert("RGBA")
    paper = Image.new("RGB", layer.size, (WHITE, WHITE, WHITE))
    paper.paste(layer, mask=layer.getchannel("A"))
    return paper


def fit(image: Image.Image, spec: ImageSpec) -> Image.Image:
    """The image, normalised, in the size and mode that `spec` asks for.

    It is stretched by the rounding and never padded: a place on the result is the place on the page times one
    number for each axis.
    """
    page = normalise(image, spec.mode)
    size = smart_resize(page.width, page.height, factor=spec.factor, max_side=spec.max_side)
    return page if page.size == size else page.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def is_grey(image: Image.Image) -> bool:
    """Whether no pixel of an "L" or "RGB" image has a colour."""
    if image.mode == "L":
        return True
    pixels = np.asarray(image)  # [height, width, 3]
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    return bool(np.array_equal(red, green) and np.array_equal(green, blue))


def is_blank(image: Image.Image) -> bool:
    """Whether a page image has no mark on it that could be writing; in doubt it has.

    Marks stand out from the paper around them and are as tall or wide as a small letter, about 2.5 mm on A4:
    specks, noise, tinted paper and soft shadows are not marks, one page number is.
    """
    return not has_mark(ink_mask(image))


def ink_mask(image: Image.Image) -> NDArray[np.bool_]:
    """Which blocks of the page differ from the paper around them. [blocks down, blocks across]"""
    grey = image.convert("L")
    block = max(1, round(max(grey.size) / BLANK_SIDE))
    blocks = grey.reduce(block) if block > 1 else grey
    paper = blocks.reduce(min(BACKGROUND_BLOCKS, max(blocks.size))).resize(blocks.size, Image.Resampling.BILINEAR)
    contrast = np.abs(np.asarray(blocks, dtype=np.int16) - np.asarray(paper, dtype=np.int16))
    down, across = (round(side * EDGE_SHARE) for side in contrast.shape)
    mask: NDArray[np.bool_] = contrast[down : len(contrast) - down, across : contrast.shape[1] - across]
    return mask >= INK_CONTRAST


def has_mark(ink: NDArray[np.bool_]) -> bool:
    """Whether any ink runs for MARK_BLOCKS blocks, downwards or across, give or take a block sideways."""
    return runs_down(ink) or runs_down(ink.T)


def runs_down(ink: NDArray[np.bool_]) -> bool:
    padded = np.pad(ink, ((0, 0), (1, 1)))
    wide = padded[:, :-2] | padded[:, 1:-1] | padded[:, 2:]
    length = min(MARK_BLOCKS, len(wide))
    rows = len(wide) - length + 1
    run = wide[:rows].copy()
    for step in range(1, length):
        run &= wide[step : step + rows]
    return bool(run.any())
