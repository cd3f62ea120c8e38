"""Page images as they travel between processes."""

from __future__ import annotations

import io

from PIL import Image


def open_png(data: bytes) -> Image.Image:
    """The whole image of a PNG. Raises what Pillow raises when the bytes are no PNG or end too soon."""
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        image.load()
    return image
