"""Lines of a page that is too large for the detector at once: found tile by tile, put together on the page.

Tiles overlap by more than a line is high, so that each line lies whole in one of them, unless it is longer than a
tile: then the parts that neighbours have of it are joined end to end. Nothing is recognised here, so that no text is
ever read twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.text_lines import Pixels, Quad, Quads, bounding_box

TILE_SIDE = 1760  # px; what the detector takes for a page
OVERLAP = 256  # px; three times the line of a large heading
BLANK_SPREAD = 6  # levels of 255; a tile whose pixels differ by no more has nothing to find
SAMPLE = 4  # every so many pixels are looked at for that
EDGE = 3  # px from a tile's edge at which a box counts as cut
LEVEL_SHARE = 0.5  # of the lower of two boxes' heights, that both have if they are of one line

Boxes = NDArray[np.floating]  # [..., x0 y0 x1 y1]
Area = tuple[int, int, int, int]  # x0, y0, x1, y1


class Found(NamedTuple):
    """A line, the tile it was found in, and whether that tile's upper or lower edge cuts it."""

    quad: Quad
    tile: int
    is_cut: bool


def detect_page(pixels: Pixels, detect: Callable[[Pixels], Quads]) -> Quads:
    """All lines of the page; `detect` finds those of a picture of TILE_SIDE or smaller."""
    height, width = pixels.shape[:2]
    if max(height, width) <= TILE_SIDE:
        return detect(pixels)
    found: list[Found] = []
    for tile, area in enumerate(tile_areas(width, height)):
        x0, y0, x1, y1 = area
        part = pixels[y0:y1, x0:x1]
        if not is_flat(part):
            quads = detect(np.ascontiguousarray(part))
            found += [place(quad, area, tile, height) for quad in quads]
    lines = join_lines(found)
    return np.stack(lines) if lines else np.empty((0, 4, 2), np.float32)


def tile_areas(width: int, height: int) -> list[Area]:
    return [(x0, y0, x1, y1) for y0, y1 in spans(height) for x0, x1 in spans(width)]


def spans(length: int) -> list[tuple[int, int]]:
    """Parts of a side, all of one size, that overlap by OVERLAP or more."""
    if length <= TILE_SIDE:
        return [(0, length)]
    number = -(-(length - OVERLAP) // (TILE_SIDE - OVERLAP))
    starts = [round(place * (length - TILE_SIDE) / (number - 1)) for place in range(number)]
    return [(start, start + TILE_SIDE) for start in starts]


def is_flat(part: Pixels) -> bool:
    sample = part[::SAMPLE, ::SAMPLE]
    return int(sample.max()) - int(sample.min()) <= BLANK_SPREAD


def place(quad: Quad, area: Area, tile: int, height: int) -> Found:
    """The line on the page; one that a tile's edge cuts is cut, unless that is the page's edge."""
    x0, y0, _, y1 = area
    _, top, _, bottom = bounding_box(quad)
    is_cut = (top <= EDGE and y0 > 0) or (bottom >= y1 - y0 - EDGE and y1 < height)
    return Found(quad + np.array([x0, y0], np.float32), tile, is_cut)


def join_lines(found: list[Found]) -> list[Quad]:
    """Each line once: parts of one line that different tiles have are one; pieces of what stands whole are left out."""
    whole = [line for line in found if not line.is_cut]
    cut = [line for line in found if line.is_cut]
    lines = merge(whole)
    for line in merge(cut):
        if not any(covers(other, line) for other in lines):
            lines.append(line)
    return sorted(lines, key=lambda quad: (float(quad[:, 1].mean()), float(quad[:, 0].mean())))


def merge(found: list[Found]) -> list[Quad]:
    """One quad for each group of quads from different tiles that lie on one level and overlap."""
    groups = list(range(len(found)))
    boxes = np.array([bounding_box(line.quad) for line in found]).reshape(-1, 4)
    for one, line in enumerate(found):
        for other in np.flatnonzero(overlapping(boxes[one], boxes)).tolist():
            if other > one and found[other].tile != line.tile and groups[other] != groups[one]:
                groups = [groups[one] if group == groups[other] else group for group in groups]
    return [unite([found[i].quad for i, group in enumerate(groups) if group == name]) for name in dict.fromkeys(groups)]


def overlapping(box: Boxes, boxes: Boxes) -> NDArray[np.bool_]:
    """Which of `boxes` share a place across with `box` and lie on its level."""
    across = np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0])
    down = np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1])
    lower = np.minimum(box[3] - box[1], boxes[:, 3] - boxes[:, 1])
    result: NDArray[np.bool_] = (across > 0) & (down >= LEVEL_SHARE * lower)
    return result


def unite(quads: list[Quad]) -> Quad:
    """The line from the beginning of its first part to the end of its last; the higher part where two begin alike."""
    if len(quads) == 1:
        return quads[0]
    first = min(quads, key=lambda quad: float(quad[[0, 3], 0].mean()))
    last = max(quads, key=lambda quad: float(quad[[1, 2], 0].mean()))
    return np.stack([first[0], last[1], last[2], first[3]])


def covers(line: Quad, piece: Quad) -> bool:
    """Whether the piece lies for the most part on the line."""
    x0, y0, x1, y1 = bounding_box(piece)
    left, top, right, bottom = bounding_box(line)
    across, down = min(x1, right) - max(x0, left), min(y1, bottom) - max(y0, top)
    return across > 0 and down > 0 and across * down >= LEVEL_SHARE * max(1.0, (x1 - x0) * (y1 - y0))
