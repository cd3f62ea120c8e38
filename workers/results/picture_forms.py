"""The forms in which a PDF has an image: the compressed bytes, and what is said of them (ISO 32000-1, 7.4 and 8.9)."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

COLOURS = {"L": "/DeviceGray", "RGB": "/DeviceRGB", "CMYK": "/DeviceCMYK"}
CMYK_DECODE = "/Decode[1 0 1 0 1 0 1 0]"  # upside down, as Adobe writes them and Pillow takes them
PNG_COLOURS = {0: ("/DeviceGray", 1), 2: ("/DeviceRGB", 3)}  # colour type: name, channels
PNG_PALETTE = 3  # the colour type whose pixels are places in a list of colours
PNG_HEAD = 8  # bytes before the first chunk
PNG_LEVEL = 4  # of zlib; more takes seconds for a page and saves little
STRIP_OFFSETS, STRIP_BYTES, PHOTOMETRIC = 273, 279, 262  # tags of TIFF
BLACK_IS_ZERO = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """`entries` are those of the image's dictionary that say its colours, `params` are the filter's."""

    width: int
    height: int
    entries: str
    filter: str
    params: str = "null"
    data: bytes


def stored_jpeg(data: bytes, size: tuple[int, int], mode: str) -> Picture:
    entries = f"/ColorSpace{COLOURS[mode]}/BitsPerComponent 8{CMYK_DECODE if mode == 'CMYK' else ''}"
    return Picture(width=size[0], height=size[1], entries=entries, filter="/DCTDecode", data=data)


def stored_jp2(data: bytes, size: tuple[int, int]) -> Picture:
    return Picture(width=size[0], height=size[1], entries="", filter="/JPXDecode", data=data)


def as_jpeg(image: Image.Image, quality: int) -> Picture:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, optimize=True)
    return stored_jpeg(out.getvalue(), image.size, image.mode)


def as_fax(image: Image.Image) -> Picture:
    """A "1" image in CCITT Group 4, in one strip."""
    out = io.BytesIO()
    image.save(out, "TIFF", compression="group4", strip_size=(image.width // 8 + 1) * image.height)
    with Image.open(out) as made:
        tags = made.tag_v2  # type: ignore[attr-defined]
        [start], [length], is_black = tags[STRIP_OFFSETS], tags[STRIP_BYTES], tags[PHOTOMETRIC] == BLACK_IS_ZERO
    params = f"<</K -1/Columns {image.width}/Rows {image.height}/BlackIs1 {'true' if is_black else 'false'}>>"
    return Picture(
        width=image.width,
        height=image.height,
        entries="/ColorSpace/DeviceGray/BitsPerComponent 1",
        filter="/CCITTFaxDecode",
        params=params,
        data=out.getvalue()[start : start + length],
    )


def as_png(image: Image.Image) -> Picture:
    """An "L", "P" or "RGB" image, without loss."""
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=PNG_LEVEL)
    found = stored_png(out.getvalue())
    assert found, image.mode
    return found


def stored_png(data: bytes) -> Picture | None:
    """A PNG without transparency in its own bytes; None for one whose rows are interlaced."""
    chunks = list(chunks_of(data))
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
    if interlaced or kind not in (*PNG_COLOURS, PNG_PALETTE):
        return None
    name, channels = PNG_COLOURS.get(kind, ("", 1))
    if kind == PNG_PALETTE:
        colours = next(body for mark, body in chunks if mark == b"PLTE")
        name = f"[/Indexed/DeviceRGB {len(colours) // 3 - 1}<{colours.hex()}>]"
    return Picture(
        width=width,
        height=height,
        entries=f"/ColorSpace{name}/BitsPerComponent {depth}",
        filter="/FlateDecode",
        params=f"<</Predictor 15/Colors {channels}/BitsPerComponent {depth}/Columns {width}>>",
        data=b"".join(body for mark, body in chunks if mark == b"IDAT"),
    )


def chunks_of(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each chunk of a PNG."""
    place = PNG_HEAD
    while place + 8 <= len(data):
        length, mark = struct.unpack_from(">I4s", data, place)
        yield mark, data[place + 8 : place + 8 + length]
        place += length + 12
