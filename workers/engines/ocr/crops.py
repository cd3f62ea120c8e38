"""A line's picture: cut out of the page, and brought to the size and padding that the recogniser wants."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.text_lines import Pixels, Quad

STANDING_ASPECT = 1.5  # height over width from which a line is turned a quarter anticlockwise
LINE_HEIGHT = 48
LEAST_WIDTH = 96
STEP = 32  # widths are multiples of this: few shapes, whose kernels and memory are used again
GREY = 128  # what follows a line: halfway, as the models were trained


def cut(pixels: Pixels, quad: Quad) -> Pixels:
    """The line in `quad`, level; one that stands is turned a quarter anticlockwise."""
    across = max(np.linalg.norm(quad[0] - quad[1]), np.linalg.norm(quad[2] - quad[3]))
    down = max(np.linalg.norm(quad[0] - quad[3]), np.linalg.norm(quad[1] - quad[2]))
    width, height = int(across), int(down)
    crop = as_it_lies(pixels, quad) if is_level(quad) else straightened(pixels, quad, width, height)
    return np.rot90(crop) if height >= STANDING_ASPECT * width else crop


def is_level(quad: Quad) -> bool:
    (x0, y0), (x1, y1) = quad[0], quad[2]
    return bool(quad[1, 1] == y0 and quad[1, 0] == x1 and quad[3, 0] == x0 and quad[3, 1] == y1)


def as_it_lies(pixels: Pixels, quad: Quad) -> Pixels:
    (x0, y0), (x1, y1) = quad[0].astype(int).tolist(), quad[2].astype(int).tolist()
    return pixels[y0:y1, x0:x1]


def straightened(pixels: Pixels, quad: Quad, width: int, height: int) -> Pixels:
    flat = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    turn = cv2.getPerspectiveTransform(quad, flat)
    crop = cv2.warpPerspective(pixels, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return crop.astype(np.uint8, copy=False)


def to_height(crop: Pixels) -> Pixels:
    """The crop at the recogniser's height. [LINE_HEIGHT, width, 3]"""
    height, width = crop.shape[:2]
    line = cv2.resize(crop, (max(1, math.ceil(LINE_HEIGHT * width / height)), LINE_HEIGHT))
    return line.astype(np.uint8, copy=False)


def step_width(width: int) -> int:
    return max(LEAST_WIDTH, -(-width // STEP) * STEP)


def stack(lines: Sequence[Pixels]) -> NDArray[np.uint8]:
    """Lines of one step of width, with grey behind them. [lines, LINE_HEIGHT, width, 3]"""
    stacked = np.full((len(lines), LINE_HEIGHT, step_width(lines[0].shape[1]), 3), GREY, np.uint8)
    for row, line in enumerate(lines):
        stacked[row, :, : line.shape[1]] = line
    return stacked
