"""Large pages on their way to an engine: cut into tiles where the engine takes none as large, packed, and unpacked.

What is packed knows how the tiles lie on the page, and by what the boxes of lines are multiplied to lie on the image
that people see.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass

from PIL import Image

from workers.documents.images import fit
from workers.documents.ink import is_blank
from workers.documents.tiles import Tile, cut
from workers.engines import Engine, PageRequest, Prepared

MARK = b"pagefan tiles 1\n"
HEAD_BYTES = 8
PNG_LEVEL = 1  # zlib's fastest


@dataclass(frozen=True, slots=True, kw_only=True)
class LargePage(Prepared):
    """A page that is read part by part; `scale` brings boxes, across and down, onto the image that people see."""

    tiles: tuple[Tile, ...]
    parts: tuple[Prepared, ...]
    scale: tuple[float, float]
    work: int  # images of the engine's size that the page is as large as


def is_large(image: Image.Image, engine: Engine) -> bool:
    return max(image.size) > engine.image_spec.max_side


def pack_large(engine: Engine, image: Image.Image, request: PageRequest, shown: Image.Image) -> tuple[bytes, int]:
    """The bytes of all tiles with ink, and the number of tokens of the longest."""
    spec = engine.image_spec
    tiles = [Tile(0, 0, *image.size)] if spec.takes_large else cut(image, spec.max_side)
    packed, num_tokens, kept = [], 0, []
    for tile in tiles:
        part = image.crop(tile.box)
        if len(tiles) > 1 and is_blank(part):
            continue
        part = part if spec.takes_large else fit(part, spec)
        prepared = engine.prepare(part, request)
        packed.append(engine.pack(prepared) or encode(part))
        num_tokens = max(num_tokens, prepared.num_tokens)
        kept.append(tile)
    head = {
        "tiles": kept,
        "sizes": [len(data) for data in packed],
        "scale": [shown.width / image.width, shown.height / image.height],
        "work": max(len(kept), round(image.width * image.height / spec.max_side**2)),
    }
    written = json.dumps(head).encode()
    return b"".join([MARK, len(written).to_bytes(HEAD_BYTES), written, *packed]), num_tokens


def encode(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=PNG_LEVEL)
    return out.getvalue()


def unpack(engine: Engine, data: bytes, request: PageRequest) -> Prepared:
    """The inverse of the engine's `pack` and of `pack_large`, whichever made the bytes."""
    if not data.startswith(MARK):
        return engine.unpack(data, request)
    start = len(MARK) + HEAD_BYTES
    end = start + int.from_bytes(data[len(MARK) : start])
    head = json.loads(data[start:end])
    parts = []
    for size in head["sizes"]:
        parts.append(engine.unpack(data[end : end + size], request))
        end += size
    return LargePage(
        request=request,
        num_tokens=max((part.num_tokens for part in parts), default=0),
        tiles=tuple(Tile(*tile) for tile in head["tiles"]),
        parts=tuple(parts),
        scale=(head["scale"][0], head["scale"][1]),
        work=head["work"],
    )
