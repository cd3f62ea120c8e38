"""Pictures of figures of a PDF, drawn anew at the resolution of what is inside them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from workers.documents.pdf import open_pdf
from workers.layout.crops import encode, widened
from workers.light_pymupdf import pymupdf
from workers.reading_order import Box

MAX_SIDE = 2400  # pixels
MAX_ZOOM = 3.0  # times the page image


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
