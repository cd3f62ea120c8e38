"""Rules and boxes that a PDF page draws, from the boxes of its paths alone, which costs a few milliseconds a page."""

from __future__ import annotations

from typing import Any

from workers.light_pymupdf import pymupdf
from workers.reading_order import Box

THIN, LEAST_LONG = 3.0, 20.0  # points
LEAST_BOX = 9.0
MOST_PATHS = 400  # a page with more is a drawing


def drawn_rules(page: pymupdf.Page) -> list[Box]:
    """Horizontal and vertical rules, and the sides of stroked boxes; none of a page that is full of paths."""
    log: list[tuple[str, Any]] = page.get_bboxlog()
    paths = [(kind, tuple(map(float, box))) for kind, box in log if kind.endswith("-path") and "clip" not in kind]
    if len(paths) > MOST_PATHS:
        return []
    rules: list[Box] = []
    for kind, (x0, y0, x1, y1) in paths:
        low, high = sorted((x1 - x0, y1 - y0))
        if low <= THIN and high >= LEAST_LONG:
            rules.append((x0, y0, x1, y1))
        elif kind == "stroke-path" and low >= LEAST_BOX and high >= LEAST_LONG:
            rules += [(x0, y0, x1, y0), (x0, y1, x1, y1), (x0, y0, x0, y1), (x1, y0, x1, y1)]
    return rules
