"""Images with a side that is too long for tesseract, in parts that it takes.

Parts are cut where the page is white. Where it is nowhere white they overlap, and a line is kept of the part in whose
share of the overlap its middle lies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf

from PIL import Image

from workers.documents.tiles import Tile, cut
from workers.engines import Line

MOST_SIDE = 32_000  # px; tesseract counts them in 16 bits


def read_parts(image: Image.Image, read: Callable[[Image.Image], list[Line]], most: int = MOST_SIDE) -> list[Line]:
    """The lines of all parts of at most `most` px, with boxes on the image."""
    if max(image.size) <= most:
        return read(image)
    tiles = cut(image, most)
    return [
        line
        for tile in tiles
        for line in (moved(line, tile) for line in read(image.crop(tile.box)))
        if tile == max(tiles, key=lambda other: depth(other, line, image.size))
    ]


def moved(line: Line, tile: Tile) -> Line:
    x0, y0, x1, y1 = line.box
    return replace(line, box=(x0 + tile.x0, y0 + tile.y0, x1 + tile.x0, y1 + tile.y0))


def depth(tile: Tile, line: Line, size: tuple[int, int]) -> float:
    """From the middle of the line to the nearest edge where the tile is cut; below 0 outside."""
    x, y = (line.box[0] + line.box[2]) / 2, (line.box[1] + line.box[3]) / 2
    before = [x - tile.x0 if tile.x0 else inf, y - tile.y0 if tile.y0 else inf]
    after = [tile.x1 - x if tile.x1 < size[0] else inf, tile.y1 - y if tile.y1 < size[1] else inf]
    return min(before + after)
