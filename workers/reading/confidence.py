"""How sure an engine was of a page, from its lines."""

from __future__ import annotations

from collections.abc import Sequence

from workers.engines import Line

LOW = 0.9  # a page's mean; good print has 0.98 and more
UNSURE_LINE = 0.8
UNSURE_SHARE = 0.15  # of the letters, in lines that the engine is not sure of


def confidence_of(lines: Sequence[Line]) -> float | None:
    """Mean over the letters of all lines, 0 to 1; None where the engine gives no lines."""
    letters = sum(len(line.text) for line in lines)
    return round(sum(len(line.text) * line.confidence for line in lines) / letters, 3) if letters else None


def confidence_notices(lines: Sequence[Line]) -> list[str]:
    """The notice that people should compare the text with the page, where the engine was not sure of it."""
    confidence, letters = confidence_of(lines), sum(len(line.text) for line in lines)
    unsure = sum(len(line.text) for line in lines if line.confidence < UNSURE_LINE)
    is_low = confidence is not None and (confidence < LOW or unsure > UNSURE_SHARE * letters)
    return ["low_confidence"] if is_low else []
