"""Image files through Pillow: one page each, but a TIFF may have many."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, ImageOps

from workers.documents.images import normalise
from workers.documents.kinds import DocumentError, DocumentLimits, Kind
from workers.documents.tiles import fit_or_large
from workers.engines import ImageSpec

PILLOW_FORMATS: dict[Kind, str] = {
    "png": "PNG",
    "jpeg": "JPEG",
    "tiff": "TIFF",
    "webp": "WEBP",
    "gif": "GIF",
    "bmp": "BMP",
    "jp2": "JPEG2000",
    "avif": "AVIF",
}
TURNS = {3: 180, 4: 180, 5: 270, 6: 90, 7: 90, 8: 270}  # EXIF orientation to degrees clockwise
NEW_SUBFILE_TYPE, PHOTOMETRIC = 254, 262  # TIFF tags
NOT_A_PAGE = 0b101  # bits of NewSubfileType: a smaller copy of another image, a transparency mask
MIN_IS_WHITE = 0
GREY_MODES = ("1", "L", "I;16", "I;16B", "I;16L", "I", "F")
TILED_MARGIN = 4  # the same where small print may want more than that
DRAFT_MARGIN = 2  # JPEG may be decoded at a fraction of its size that is at least this times the size wanted


def inspect(
    path: Path,
    kind: Kind,
    *,
    password: str,  # noqa: ARG001
    limits: DocumentLimits,
) -> tuple[int, tuple[str, ...]]:
    with open_image(path, kind, limits) as image:
        if kind != "tiff":
            check_size(image, 0, limits)
            return 1, ()
        num_pages, oversized = 0, []
        for _ in page_frames(image):
            num_pages += 1
            if num_pages > limits.max_pages:
                break
            if is_oversized(image, limits):
                oversized.append(num_pages)
        if len(oversized) == num_pages:
            check_size(image, 0, limits)
        few = ", ".join(map(str, oversized[:5])) + (", …" if len(oversized) > 5 else "")
        return num_pages, (f"Too large to be decoded: page {few}.",) if oversized else ()


def render(
    path: Path,
    kind: Kind,
    index: int,
    *,
    spec: ImageSpec,
    dpi: int,  # noqa: ARG001
    password: str,  # noqa: ARG001
    limits: DocumentLimits,
) -> tuple[Image.Image, int, str]:
    with open_image(path, kind, limits) as image:
        seek_page(image, kind, index)
        check_size(image, index, limits)
        try:
            return *decode(image, spec), ""
        except MemoryError:
            raise
        except Exception as exc:
            detail = f"The image data of page {index + 1} is damaged or cut short. Save the image anew."
            raise DocumentError("page_failed", detail) from exc


def decode(image: Image.Image, spec: ImageSpec) -> tuple[Image.Image, int]:
    """The image as `spec` wants it, larger where its print would be too small for that, and the rotation it had."""
    shrink = (TILED_MARGIN if spec.min_letter else DRAFT_MARGIN) * spec.max_side / max(image.size)
    image.draft(None, (max(1, round(image.width * shrink)), max(1, round(image.height * shrink))))
    rotation = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1), 0)
    page = normalise(image, "L" if image.mode in GREY_MODES else spec.mode)
    page = ImageOps.invert(page) if is_white_zero(image) else page
    return fit_or_large(page, spec), rotation


def read_text_layer(path: Path, index: int, *, password: str) -> str:  # noqa: ARG001
    return ""


@contextmanager
def open_image(path: Path, kind: Kind, limits: DocumentLimits) -> Iterator[Image.Image]:
    """The image with its header read and no pixel decoded."""
    Image.MAX_IMAGE_PIXELS = limits.max_page_pixels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = Image.open(path, formats=[PILLOW_FORMATS[kind]])
        except Image.DecompressionBombError as exc:
            raise too_large(0, limits) from exc
        except MemoryError:
            raise
        except Exception as exc:
            raise DocumentError("corrupt", "The image's header is damaged. Save the image anew.") from exc
        with image:
            yield image


def page_frames(image: Any) -> Iterator[int]:
    """Seek to each frame of a TIFF that is a page, thumbnails and masks left out; yields its number."""
    frame, found = 0, False
    while True:
        try:
            image.seek(frame)
        except EOFError:
            break
        if not image.tag_v2.get(NEW_SUBFILE_TYPE, 0) & NOT_A_PAGE:
            found = True
            yield frame
        frame += 1
    if not found:
        image.seek(0)
        yield 0


def seek_page(image: Image.Image, kind: Kind, index: int) -> None:
    if kind != "tiff":
        return
    for position, _ in enumerate(page_frames(image)):
        if position == index:
            return
    raise DocumentError("page_failed", f"The file has no page {index + 1} any more. Send it again.")


def is_oversized(image: Image.Image, limits: DocumentLimits) -> bool:
    return image.width * image.height > limits.max_page_pixels


def check_size(image: Image.Image, index: int, limits: DocumentLimits) -> None:
    if is_oversized(image, limits):
        raise too_large(index, limits)


def too_large(index: int, limits: DocumentLimits) -> DocumentError:
    most = limits.max_page_pixels / 1e6
    return DocumentError("too_large", f"Page {index + 1} has over {most:g} megapixels. Save it smaller.")


def is_white_zero(image: Image.Image) -> bool:
    """Whether a 16-bit TIFF frame has white as 0; Pillow turns only the shallower ones round."""
    tags = getattr(image, "tag_v2", {})
    return image.mode.startswith("I;16") and tags.get(PHOTOMETRIC) == MIN_IS_WHITE
