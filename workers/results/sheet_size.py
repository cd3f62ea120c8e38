"""How large an image is as a page: by the resolution that the file names, where that can be so, else as A4."""

from __future__ import annotations

from typing import Any, NamedTuple

from PIL import ExifTags, Image

POINTS_AN_INCH = 72
A4_LONG = 842  # pt, of a page whose image names no resolution
SMALLEST_SIDE = 36  # pt, half an inch
LARGEST_SIDE = 3371  # pt, A0
DPI_RANGE = (50, 2400)
SCREEN_DPI = 100  # programs write 72 and 96 where they know of none, so that such a size holds for sheets only
LARGEST_AT_SCREEN_DPI = 1191  # pt, A3
MOST_UNEVEN = 3  # resolution across by that down; a fax has 204 by 98
LYING = (5, 6, 7, 8)  # EXIF orientations by which width and height change places


class Size(NamedTuple):
    """Of a page as it is seen, in points."""

    width: float
    height: float


def size_of(image: Image.Image) -> Size:
    """The size of an image that has been opened, its pixels not needed; the EXIF orientation counts."""
    is_lying = image.getexif().get(ExifTags.Base.Orientation, 1) in LYING
    pixels = image.size[::-1] if is_lying and image.format == "TIFF" else image.size  # Pillow has turned that already
    dpi = dpi_of(image)
    size = by_resolution(pixels, dpi) if dpi else default_size(*pixels)
    return Size(size.height, size.width) if is_lying else size


def default_size(width: float, height: float) -> Size:
    scale = A4_LONG / max(width, height)
    return Size(max(3, width * scale), max(3, height * scale))


def by_resolution(pixels: tuple[int, int], dpi: tuple[float, float]) -> Size:
    """The size at this resolution, or that of an image without one where it cannot be that of a sheet."""
    width, height = (POINTS_AN_INCH * side / one for side, one in zip(pixels, dpi, strict=True))
    largest = LARGEST_SIDE if min(dpi) > SCREEN_DPI else LARGEST_AT_SCREEN_DPI
    if SMALLEST_SIDE <= max(width, height) <= largest:
        return Size(max(3, width), max(3, height))
    return default_size(width, height)


def dpi_of(image: Image.Image) -> tuple[float, float] | None:
    """Across and down, as they stand in the file; None where it names none, or such as no scanner has."""
    named: Any = image.info.get("dpi")
    try:
        across, down = (float(value) for value in named)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):  # Pillow hands over what it found
        return None
    least, most = DPI_RANGE
    if not (least <= across <= most and least <= down <= most):
        return None
    return (across, down) if 1 / MOST_UNEVEN <= across / down <= MOST_UNEVEN else None
