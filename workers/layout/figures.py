"""Pictures of figures, cut from the page at the resolution of its source."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from workers.documents.pdf import open_pdf
from workers.light_pymupdf import pymupdf
from workers.png import open_png
from workers.reading_order import Box

MARGIN = 4  # pixels around the figure
MAX_SIDE = 2400  # pixels
MAX_ZOOM = 3.0  # times the page image


def crop_image(png: bytes, box: Box, *, rotation: int = 0) -> bytes:
    """The part of a page image in `box`, as PNG; `rotation` clockwise makes it upright."""
    image = open_png(png)
    part = image.crop(widened(box, *image.size))
    return encode(part.rotate(-rotation, expand=True) if rotation else part)


def crop_pdf(path: Path | str, index: int, box: Box, *, width: int, height: int, password: str = "") -> bytes:
    """The part of a PDF page in `box`, drawn anew as PNG; `box` is in pixels of the page's image of this size.

    It is drawn as large as the sharpest picture inside it, within limits, and never smaller than on the page image.
    """
    page = open_pdf(Path(path), password).load_page(index)
    scale = width / page.rect.width, height / page.rect.height
    x0, y0, x1, y1 = widened(box, width, height)
    clip = pymupdf.Rect(x0 / scale[0], y0 / scale[1], x1 / scale[0], y1 / scale[1])
    zoom = min(max(sharpest(page, clip) / scale[0], 1.0), MAX_ZOOM, MAX_SIDE / max(x1 - x0, y1 - y0, 1))
    matrix = pymupdf.Matrix(scale[0] * max(zoom, 1.0), scale[1] * max(zoom, 1.0))
    pixmap = page.get_pixmap(matrix=matrix, clip=clip, alpha=False)
    return encode(Image.frombytes("RGB", (pixmap.width, pixmap.height), pixmap.samples))


def sharpest(page: pymupdf.Page, clip: pymupdf.Rect) -> float:
    """Pixels a point of the sharpest picture that lies mostly inside `clip`, 0 where there is none."""
    found = [0.0]
    for picture in page.get_image_info():
        area = pymupdf.Rect(picture["bbox"]) * page.rotation_matrix
        if area.width > 0 and abs(area & clip) > 0.5 * abs(area):
            found.append(max(picture["width"], picture["height"]) / max(area.width, area.height))
    return max(found)


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
