"""A small picture of a page, for lists."""

from __future__ import annotations

import io

from PIL import Image

WIDTH, HEIGHT = 176, 224  # pixels at most; lists show it at half of that, on screens with two to a point
QUALITY = 70


def make_thumbnail(png: bytes) -> bytes:
    """A WebP of at most WIDTH x HEIGHT of a page image of ours; raises OSError for what is none."""
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        image.load()
        small = image.convert("RGB")
    small.thumbnail((WIDTH, HEIGHT), reducing_gap=2.0)
    out = io.BytesIO()
    small.save(out, "WEBP", quality=QUALITY)
    return out.getvalue()
