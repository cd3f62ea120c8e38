"""What engines share that read the page's image itself, and so need no tensors made of it."""

from __future__ import annotations

from PIL import Image

from workers.engines import PageRequest, Prepared
from workers.png import open_png


class WholeImage:
    """The CPU side of such an engine: the image is all there is to prepare, and travels as the page's PNG."""

    def prepare(self, image: Image.Image, request: PageRequest) -> Prepared:
        return Prepared(request=request, image=image)

    def pack(self, prepared: Prepared) -> bytes | None:  # noqa: ARG002
        return None

    def unpack(self, data: bytes, request: PageRequest) -> Prepared:
        """`data` is the page's PNG."""
        return self.prepare(open_png(data), request)
