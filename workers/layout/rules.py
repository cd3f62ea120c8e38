"""Rules and bars drawn in a page image: long runs of dark pixels, thin ones and thick ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workers.reading_order import Box

Grey = NDArray[np.uint8]  # [height, width]

DARK = 0.6  # of the paper's brightness
SHORTEST = 0.03  # of the longer side
MOST_THICK = 0.005  # of the longer side; what is thicker is a bar or a picture
BAR_SHRINK = 8  # px of the page in one of the small picture in which bars are sought: dots are grey there
LEAST_BAR, MOST_BAR_THICK = 0.5, 0.04  # of the longer side


def find_rules(grey: Grey) -> list[Box]:
    """Horizontal and vertical rules, as boxes in pixels."""
    paper = float(np.percentile(grey[::4, ::4], 90))
    dark = grey < DARK * paper
    longest = max(grey.shape)
    across = rules_of(dark, int(SHORTEST * longest), MOST_THICK * longest)
    down = rules_of(dark.T, int(SHORTEST * longest), MOST_THICK * longest)
    return across + [(y0, x0, y1, x1) for x0, y0, x1, y1 in down]


def find_bars(grey: Grey) -> list[Box]:
    """Dark bars across the page, also those of printed dots, as boxes in pixels."""
    small = np.asarray(Image.fromarray(grey).reduce(BAR_SHRINK))
    dark = small < DARK * float(np.percentile(small, 90))
    longest = max(small.shape)
    bars = rules_of(dark, int(LEAST_BAR * longest), MOST_BAR_THICK * longest)
    return [(x0 * BAR_SHRINK, y0 * BAR_SHRINK, x1 * BAR_SHRINK, y1 * BAR_SHRINK) for x0, y0, x1, y1 in bars]


def rules_of(dark: NDArray[np.bool_], shortest: int, most_thick: float) -> list[Box]:
    """Horizontal runs of `shortest` px and more, those on neighbouring rows put together."""
    open_rules: list[list[int]] = []  # x0, y0, x1, y1
    done: list[list[int]] = []
    for y, start, end in long_runs(dark, shortest):
        rule = next((r for r in open_rules if r[3] >= y - 1 and start < r[2] and r[0] < end), None)
        if rule is None:
            open_rules.append([start, y, end, y + 1])
        else:
            rule[0], rule[2], rule[3] = min(rule[0], start), max(rule[2], end), y + 1
        done += [r for r in open_rules if r[3] < y - 1]
        open_rules = [r for r in open_rules if r[3] >= y - 1]
    thin = [r for r in [*done, *open_rules] if r[3] - r[1] <= max(most_thick, 2.0)]
    return [(float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in thin]


def long_runs(dark: NDArray[np.bool_], shortest: int) -> list[tuple[int, int, int]]:
    """Row, start and end of each run of dark pixels of at least `shortest`, by rows."""
    padded = np.zeros((dark.shape[0], dark.shape[1] + 2), np.int8)
    padded[:, 1:-1] = dark
    edges = np.diff(padded, axis=1)
    rows, starts = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    keep = ends - starts >= shortest
    return list(zip(rows[keep].tolist(), starts[keep].tolist(), ends[keep].tolist(), strict=True))
