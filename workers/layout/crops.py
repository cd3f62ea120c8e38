"""Pictures of figures, cut from the page's image."""

from __future__ import annotations

import io

from PIL import Image

from workers.png import open_png
from workers.reading_order import Box

MARGIN = 4  # pixels around the figure


def crop_image(png: bytes, box: Box, *, rotation: int = 0) -> bytes:
    """The part of a page image in `box`, as PNG; `rotation` clockwise makes it upright."""
    image = open_png(png)
    part = image.crop(widened(box, *image.size))
    return encode(part.rotate(-rotation, expand=True) if rotation else part)


def widened(box: Box, width: float, height: float) -> tuple[int, int, int, int]:
    """The box with a margin, inside the page, in whole pixels."""
    x0, y0, x1, y1 = box
    left, top = max(0, int(x0) - MARGIN), max(0, int(y0) - MARGIN)
    right, bottom = min(int(width), int(x1) + MARGIN), min(int(height), int(y1) + MARGIN)
    return left, top, max(right, left + 1), max(bottom, top + 1)


def encode(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
