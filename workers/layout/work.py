"""A page's layout and the pictures cut from it. Loaded in the sandbox only, by `laid_out`, for it takes the models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from workers.engines import Line
from workers.layout.blocks import Block, Box, PageLayout, figure_name
from workers.layout.crops import crop_image
from workers.layout.figures import crop_pdf
from workers.layout.pages import layout_of_lines, layout_of_pdf_page, plain_layout

MOST_CROPS = 40  # of a page
MOSTLY = 0.7  # of the letters of a page
LEAST_SIDE = 24  # pixels: what is smaller is a bullet or a rule
CROPPED = frozenset({"figure", "formula"})


def lay_out_pdf_page(
    path: Path | str, index: int, *, width: int, height: int, password: str = "", lines: Sequence[Line] = ()
) -> PageLayout:
    """A page of a PDF by its own text and by what was read where it has none; see `layout_of_pdf_page`."""
    layout = layout_of_pdf_page(path, index, width=width, height=height, password=password, lines=lines)

    def crop(box: Box) -> bytes:
        return crop_pdf(path, index, box, width=width, height=height, password=password)

    return with_crops(layout.lines, layout.blocks, index, crop)


def lay_out_lines(
    png: bytes, lines: Sequence[Line], index: int, *, width: int, height: int, rotation: int = 0
) -> PageLayout:
    """A page image by the lines read on it; `rotation` clockwise makes it upright."""
    layout = layout_of_lines(png, lines, width=width, height=height, rotation=rotation)
    return with_crops(layout.lines, layout.blocks, index, lambda box: crop_image(png, box, rotation=rotation))


def lay_out_both(
    path: Path | str, png: bytes, lines: Sequence[Line], index: int, *, width: int, height: int, password: str = ""
) -> PageLayout:
    """A page of a PDF whose own text covers a part: by that text where it is most of the page, else by the lines."""
    layout = lay_out_pdf_page(path, index, width=width, height=height, password=password, lines=lines)
    own = sum(len(line.text) for line in layout.lines if line.confidence == 1.0)
    if own >= MOSTLY * sum(len(line.text) for line in lines):
        return layout
    return lay_out_lines(png, lines, index, width=width, height=height)


def lay_out_plainly(lines: Sequence[Line], *, width: int, height: int, rotation: int = 0) -> PageLayout:
    """By the distances of the lines alone, where there is no image or the model fails."""
    return plain_layout(lines, width=width, height=height, rotation=rotation)


def with_crops(
    lines: tuple[Line, ...], blocks: Sequence[Block], index: int, crop: Callable[[Box], bytes]
) -> PageLayout:
    crops: dict[str, bytes] = {}
    named: list[Block] = []
    for block in blocks:
        if block.kind in CROPPED and block.box and is_large(block.box) and len(crops) < MOST_CROPS:
            name = figure_name(index + 1, len(crops) + 1)
            crops[name] = crop(block.box)
            block = replace(block, figure=name)
        named.append(block)
    return PageLayout(lines=lines, blocks=tuple(named), crops=crops)


def is_large(box: Box) -> bool:
    return min(box[2] - box[0], box[3] - box[1]) >= LEAST_SIDE
