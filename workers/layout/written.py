"""From what a language model's answer says of a page to its layout, in pixels of the page's image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from workers.layout.blocks import Block, Box, PageLayout, figure_name
from workers.layout.crops import crop_image

LEAST_SIDE = 8.0  # pixels of a figure that is worth a picture


def lay_out_answer(
    blocks: Sequence[Block], width: int, height: int, *, png: bytes | None, page_number: int, rotation: int = 0
) -> PageLayout:
    """The blocks, whose boxes are shares of the page, in pixels; figures are cut from its image, where there is one.

    `rotation` clockwise makes the page upright.
    """
    laid: list[Block] = []
    crops: dict[str, bytes] = {}
    for block in blocks:
        box = in_pixels(block.box, width, height) if block.box else None
        name = figure_name(page_number, len(crops) + 1)
        if block.kind == "figure" and png and box and min(box[2] - box[0], box[3] - box[1]) >= LEAST_SIDE:
            crops[name] = crop_image(png, box, rotation=rotation)
            laid.append(replace(block, box=box, figure=name))
        else:
            laid.append(replace(block, box=box))
    return PageLayout(lines=(), blocks=tuple(laid), crops=crops)


def in_pixels(box: Box, width: int, height: int) -> Box:
    x0, y0, x1, y1 = box
    return round(x0 * width, 1), round(y0 * height, 1), round(x1 * width, 1), round(y1 * height, 1)
