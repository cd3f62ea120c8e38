"""From the detector's heat map to the boxes of lines: the post-processing of DB.

The method is of Liao et al., "Real-time Scene Text Detection with Differentiable Binarization" (AAAI 2020): islands of
heat are lines, shrunk; each is boxed at its own angle, and grown by its area over its outline. The grown outline of a
rectangle has a rectangle around it that is larger by the same distance on each side, so nothing has to be clipped.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.text_lines import Quad, Quads

Heat = NDArray[np.float32]  # [height, width], 0 to 1
Rectangle = tuple[Sequence[float], Sequence[float], float]  # middle, width and height, angle: OpenCV's

HOT = 0.3
MIN_SCORE = 0.5  # mean heat of a box
GROWTH = 1.6
MIN_SHRUNK_PX = 3.0  # of the map, before growing and after
MIN_GROWN_PX = 5.0
MIN_SIDE_PX = 3  # of the page
MAX_BOXES = 1000
LEVEL_PX = 10.0  # lines whose upper left corners are closer than this are told from left to right
NEIGHBOURHOOD = np.ones((2, 2), np.uint8)


def find_boxes(heat: Heat, width: int, height: int) -> Quads:
    """The lines on a page of `width` x `height`, about from top to bottom."""
    hot = cv2.dilate((heat > HOT).astype(np.uint8), NEIGHBOURHOOD)
    islands = cv2.findContours(hot, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)[0]
    scale = np.array([width / heat.shape[1], height / heat.shape[0]])
    corner = np.array([width - 1, height - 1])
    quads = []
    for island in islands[:MAX_BOXES]:
        rectangle = cv2.minAreaRect(island)
        if min(rectangle[1]) < MIN_SHRUNK_PX or mean_heat(heat, corners(rectangle)) < MIN_SCORE:
            continue
        grown = grow(rectangle)
        if min(grown[1]) < MIN_GROWN_PX:
            continue
        quad = np.clip(np.round(corners(grown) * scale), 0, corner).astype(np.float32)
        across, down = np.linalg.norm(quad[0] - quad[1]), np.linalg.norm(quad[0] - quad[3])
        if int(across) > MIN_SIDE_PX and int(down) > MIN_SIDE_PX:
            quads.append(quad)
    return from_top(np.stack(quads)) if quads else np.empty((0, 4, 2), np.float32)


def corners(rectangle: Rectangle) -> Quad:
    """The corners clockwise from the top left one."""
    points = cv2.boxPoints(rectangle)
    order = np.argsort(points[:, 0], kind="stable")
    left, right = points[order[:2]], points[order[2:]]
    top_left, bottom_left = left[np.argsort(left[:, 1], kind="stable")]
    top_right, bottom_right = right[np.argsort(right[:, 1], kind="stable")]
    return np.stack([top_left, top_right, bottom_right, bottom_left]).astype(np.float32)


def mean_heat(heat: Heat, quad: Quad) -> float:
    edges = np.array(heat.shape[::-1]) - 1
    x0, y0 = np.clip(np.floor(quad.min(axis=0)), 0, edges).astype(int)
    x1, y1 = np.clip(np.ceil(quad.max(axis=0)), 0, edges).astype(int)
    inside = np.zeros((y1 - y0 + 1, x1 - x0 + 1), np.uint8)
    cv2.fillPoly(inside, [(quad - np.array([x0, y0])).astype(np.int32)], 1.0)
    return float(cv2.mean(heat[y0 : y1 + 1, x0 : x1 + 1], inside)[0])


def grow(rectangle: Rectangle) -> Rectangle:
    middle, (width, height), angle = rectangle
    further = 2 * GROWTH * width * height / (2 * (width + height))
    return middle, (width + further, height + further), angle


def from_top(quads: Quads) -> Quads:
    quads = quads[np.argsort(quads[:, 0, 1], kind="stable")]
    level = np.cumsum(np.diff(quads[:, 0, 1], prepend=quads[0, 0, 1]) >= LEVEL_PX)
    ordered: Quads = quads[np.lexsort((quads[:, 0, 0], level))]
    return ordered
