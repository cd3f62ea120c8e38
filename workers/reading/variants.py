"""Other ways to look at a page that was read badly: clearer, larger, turned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from PIL import Image

from workers.documents.clear import clear_view
from workers.documents.images import fit
from workers.documents.ink import text_cells
from workers.engines import Generation, ImageSpec, Line
from workers.text_lines import unturn_box

SMALL_LETTER = 2.0  # times the smallest letters an engine reads: a page with smaller ones is enlarged
MOST_TIMES = 4.0
ENLARGED = 2.0  # where the letters are not known


class Variant(NamedTuple):
    """A view of the page: what it was enlarged by, across and down, and turned by, in degrees clockwise."""

    image: Image.Image
    across: float
    down: float
    turn: int


def variants(image: Image.Image, spec: ImageSpec) -> Iterator[Variant]:
    """Views of a page, the likeliest first; each is made when it is asked for."""
    clear = clear_view(image)
    yield fitted(clear, image, spec, 0)
    times = enlargement(image, spec)
    if times > 1:
        large = clear.resize((round(clear.width * times), round(clear.height * times)), Image.Resampling.LANCZOS)
        yield Variant(large, large.width / image.width, large.height / image.height, 0)
    for turn in (180, 90, 270):
        yield fitted(clear.rotate(-turn, expand=True), image, spec, turn)


def fitted(view: Image.Image, image: Image.Image, spec: ImageSpec, turn: int) -> Variant:
    width, height = image.size if turn % 180 == 0 else image.size[::-1]
    if (max(view.size) > spec.max_side and not spec.takes_large) or view.mode != spec.mode:
        view = fit(view, spec)
    return Variant(view, view.width / width, view.height / height, turn)


def enlargement(image: Image.Image, spec: ImageSpec) -> float:
    """How many times larger small print should be, as far as the engine takes it; 1 for print that is large."""
    heights = sorted(cell.letter_height for cell in text_cells(image))
    wanted = SMALL_LETTER * spec.min_letter / heights[len(heights) // 3] if heights else ENLARGED
    room = MOST_TIMES if spec.takes_large else spec.max_side / max(image.size)
    return min(wanted, room, MOST_TIMES)


def as_seen(generation: Generation, variant: Variant, size: tuple[int, int]) -> Generation:
    """What was read on the variant, with boxes and rotation as on the page it was made of, which has this size."""
    lines = tuple(replace(line, box=box_on_page(line, variant, size)) for line in generation.lines)
    blocks = tuple(
        replace(block, box=unturn_box(block.box, variant.turn, 1, 1) if block.box else None)
        for block in generation.blocks
    )
    return replace(generation, lines=lines, blocks=blocks, rotation=(generation.rotation + variant.turn) % 360)


def box_on_page(line: Line, variant: Variant, size: tuple[int, int]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = line.box
    box = x0 / variant.across, y0 / variant.down, x1 / variant.across, y1 / variant.down
    return unturn_box(box, variant.turn, *size)
