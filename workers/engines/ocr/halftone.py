"""Grounds of printed dots, as grey and dark bars have in bilevel scans: smoothed, so that words on them can be seen.

A line of print crosses from dark to light a few times in the width of a letter, and mostly from left to right; dots do
so at every other pixel in both directions. Where both are found over an area, it is blurred just so much that the dots
become one grey, on which the strokes of letters stay.
"""

from __future__ import annotations

import cv2
import numpy as np

from workers.text_lines import Pixels

WINDOW_PX = 15  # several dots, and about one letter of body text
LEAST_CHANGE = 85.0  # mean second difference of levels; grounds of dots have 93 to 120, text only in spots
LEAST_PX = 8, 48  # height and width of the middle of a ground, half a window from its edges
BLUR_PX = 1.2  # standard deviation: dots 3 px apart keep a thirtieth of their contrast
ACROSS = np.array([[1.0, -2.0, 1.0]], np.float32)


def without_dots(pixels: Pixels) -> Pixels:
    """The page with its dotted grounds smoothed; the page itself where it has none."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    changes = [cv2.filter2D(grey, cv2.CV_32F, kernel) for kernel in (ACROSS, ACROSS.T)]
    across, down = (cv2.blur(np.abs(change), (WINDOW_PX, WINDOW_PX)) for change in changes)
    is_dotted = (np.minimum(across, down) > LEAST_CHANGE).astype(np.uint8)
    if not is_dotted.any():
        return pixels
    areas = cv2.morphologyEx(is_dotted, cv2.MORPH_CLOSE, np.ones((1, 2 * WINDOW_PX), np.uint8))  # over words
    areas = cv2.morphologyEx(areas, cv2.MORPH_OPEN, np.ones(LEAST_PX, np.uint8))
    if not areas.any():
        return pixels
    areas = cv2.dilate(areas, np.ones((2 * WINDOW_PX, 2 * WINDOW_PX), np.uint8))  # up to the edges
    smooth = cv2.GaussianBlur(pixels, (0, 0), BLUR_PX)
    return np.where(areas[:, :, np.newaxis] > 0, smooth, pixels)
