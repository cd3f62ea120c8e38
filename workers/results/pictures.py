"""An image of a file as a PDF has it, no larger than in the file by more than a half.

JPEG, JPEG 2000 and PNG go in as they are. Of others, what was stored without loss stays so: two colours as CCITT
Group 4, the rest as PNG has it. What PDF has no name for and was stored with loss, as WebP and HEIF, becomes JPEG of
the best quality that keeps within the file's size.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from workers.documents.frames import MP_ENTRIES, has_pictures
from workers.documents.image import is_white_zero
from workers.documents.images import is_grey, normalise
from workers.documents.kinds import HEAD_BYTES, Kind
from workers.results.picture_forms import COLOURS, Picture, as_fax, as_jpeg, as_png, stored_jp2, stored_jpeg, stored_png

GROWTH = 1.4  # most, of an image by itself: its page, font and text are to have room too
QUALITIES = (90, 80, 70, 60, 50, 40)  # of JPEG; below the last, print is hard to read
COMPRESSION, STRIP_BYTES = 259, 279  # tags of TIFF
TIFF_JPEG = (6, 7)
LOSSLESS: tuple[Kind, ...] = ("png", "gif", "bmp")
JP2_MARK = b"\0\0\0\x0cjP"  # a bare codestream has none, and not all viewers take one
MOST_COLOURS = 256
BLACK_OR_WHITE = {0, 255}


def picture_of(path: Path, kind: Kind, image: Image.Image) -> tuple[Picture, bool]:
    """The page that `image` was brought to, and whether it is still to be turned as its EXIF orientation says.

    Raises what Pillow raises for damaged pixels.
    """
    stored = as_stored(path, kind, image)
    return (stored, True) if stored else (encoded(path, kind, image), False)


def as_stored(path: Path, kind: Kind, image: Image.Image) -> Picture | None:
    """The image's own bytes, where a PDF may have them as they are."""
    if kind == "jpeg" and image.mode in COLOURS:
        size, mode, data = image.size, image.mode, jpeg_bytes(path, image)
        image.draft(None, (1, 1))  # an eighth of the size is enough to see whether it is damaged
        image.load()
        return stored_jpeg(data, size, mode)
    if kind == "jp2" and image.mode in ("L", "RGB") and path.read_bytes().startswith(JP2_MARK):
        image.load()
        return stored_jp2(path.read_bytes(), image.size)
    if kind == "png" and not has_pictures(image) and not image.has_transparency_data:
        image.load()
        return stored_png(path.read_bytes())
    return None


def jpeg_bytes(path: Path, image: Any) -> bytes:
    """The file, or of one with several pictures the part that is this one."""
    data, entries = path.read_bytes(), (getattr(image, "mpinfo", None) or {}).get(MP_ENTRIES, ())
    if not entries:
        return data
    start, length = getattr(image, "offset", 0), int(entries[image.tell()]["Size"])
    part = data[start : start + length]
    return part if part.startswith(b"\xff\xd8") else data


def encoded(path: Path, kind: Kind, image: Image.Image) -> Picture:
    is_film = kind != "tiff" and has_pictures(image)  # whose file has only what changes from picture to picture
    most = float("inf") if is_film else GROWTH * stored_bytes(path, image)
    is_exact, page = is_lossless(path, kind, image), plain(image)
    exact = (as_fax(page) if page.mode == "1" else as_png(page)) if is_exact else None
    if exact and len(exact.data) <= most:
        return exact
    small = smallest_jpeg(page, most)
    return exact if exact and len(exact.data) <= len(small.data) else small


def stored_bytes(path: Path, image: Image.Image) -> float:
    """Bytes of the page's image in its file, as far as that can be said."""
    whole, strips = path.stat().st_size, getattr(image, "tag_v2", {}).get(STRIP_BYTES)
    return min(whole, sum(strips)) if strips else whole / max(1, getattr(image, "n_frames", 1))


def is_lossless(path: Path, kind: Kind, image: Image.Image) -> bool:
    if kind == "tiff":
        return getattr(image, "tag_v2", {}).get(COMPRESSION) not in TIFF_JPEG
    if kind == "webp":
        with path.open("rb") as file:
            return b"VP8L" in file.read(HEAD_BYTES)
    return kind in LOSSLESS


def smallest_jpeg(page: Image.Image, most: float) -> Picture:
    """The page in the best quality in which it has no more bytes than `most`, or in the least."""
    whole = page.convert("L" if page.mode == "1" else "RGB") if page.mode in ("1", "P") else page
    tries = (as_jpeg(whole, quality) for quality in QUALITIES[:-1])
    return next((found for found in tries if len(found.data) <= most), None) or as_jpeg(whole, QUALITIES[-1])


def plain(image: Image.Image) -> Image.Image:
    """The image upright and opaque with as few channels as it needs: "1", "P", "L" or "RGB"."""
    is_negative = is_white_zero(image)
    page = normalise(image, "RGB" if image.mode not in ("1", "L", "F") and image.mode[0] != "I" else "L")
    page = ImageOps.invert(page) if is_negative else page
    if page.mode == "RGB" and is_grey(page):
        page = page.getchannel("G")
    if page.mode == "L":
        colours = {colour for _, colour in page.getcolors(2) or [(0, -1)]}
        return page.convert("1", dither=Image.Dither.NONE) if colours <= BLACK_OR_WHITE else page
    return with_palette(page) if page.getcolors(MOST_COLOURS) else page


def with_palette(page: Image.Image) -> Image.Image:
    """An "RGB" image of few colours as "P", each colour exactly as it was."""
    pixels = np.asarray(page).astype(np.uint32)  # [height, width, 3]
    codes = pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
    colours, places = np.unique(codes, return_inverse=True)
    found = Image.fromarray(places.reshape(codes.shape).astype(np.uint8), "P")
    found.putpalette([int(colour) >> shift & 255 for colour in colours for shift in (16, 8, 0)])
    return found
