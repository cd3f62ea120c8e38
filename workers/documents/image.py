"""Image files through Pillow: one page each, but a TIFF may have many, and so may an animation."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import ExifTags, Image, ImageOps

from workers.documents.copies import Copies
from workers.documents.frames import inspect_pictures, seek_picture
from workers.documents.heif import enable_heif
from workers.documents.images import normalise
from workers.documents.kinds import DocumentError, DocumentLimits, Kind
from workers.documents.tiff import check_frames, leads_on, page_frames
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
    "heif": "HEIF",
}
TURNS = {3: 180, 4: 180, 5: 270, 6: 90, 7: 90, 8: 270}  # EXIF orientation to degrees clockwise
PHOTOMETRIC = 262  # a TIFF tag
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
) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    if kind == "tiff":
        check_frames(path, limits)
    with open_image(path, kind, limits) as image:
        if kind == "tiff":
            return *inspect_frames(image, limits), ()
        check_size(image, 0, limits)
        return *inspect_pictures(image, limits), ()


def inspect_frames(image: Image.Image, limits: DocumentLimits) -> tuple[int, tuple[str, ...]]:
    """Number of pages of a TIFF, no further than one past the limit, and warnings of those that cannot be read."""
    num_pages, oversized, damaged, copies = 0, [], [], Copies(limits.max_page_pixels)
    for is_sound in page_frames(image, copies):
        num_pages += 1
        if num_pages > limits.max_pages:
            break
        if not is_sound:
            damaged.append(num_pages)
        elif is_oversized(image, limits):
            oversized.append(num_pages)
    if len(oversized) == num_pages:
        check_size(image, 0, limits)
    found = []
    if oversized:
        found.append(f"Too large to be decoded: page {few(oversized)}.")
    if copies.numbers:
        found.append(f"Left out as a smaller copy of the page before: image {few(copies.numbers)} of the file.")
    if damaged:
        found.append(
            f"The TIFF's list of pages is damaged at page {few(damaged)}; look whether later pages are missing."
        )
    elif leads_on(image):
        found.append(
            f"The TIFF is cut short, or its list of pages leads back; look whether more than {num_pages} exist."
        )
    return num_pages, tuple(found)


def few(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:5])) + (", …" if len(numbers) > 5 else "")


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
        seek_page(image, kind, index, limits)
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
    if kind == "heif":
        enable_heif()
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


def seek_page(image: Image.Image, kind: Kind, index: int, limits: DocumentLimits) -> None:
    if kind != "tiff":
        if not seek_picture(image, index, limits):
            raise no_such_page(index)
        return
    for position, is_sound in enumerate(page_frames(image, Copies(limits.max_page_pixels))):
        if position == index and is_sound:
            return
        if position == index:
            detail = f"The TIFF's directory of page {index + 1} is damaged. Save the image anew."
            raise DocumentError("page_failed", detail)
    raise no_such_page(index)


def no_such_page(index: int) -> DocumentError:
    return DocumentError("page_failed", f"The file has no page {index + 1} any more. Send it again.")


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
