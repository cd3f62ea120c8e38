"""A line of text as an engine reads it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of text: `box` is x0, y0, x1, y1 in pixels of the prepared page image, `confidence` 0 to 1."""

    text: str
    box: tuple[float, float, float, float]
    confidence: float
