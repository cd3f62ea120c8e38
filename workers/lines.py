"""A line of text as an engine reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of text: `box` is x0, y0, x1, y1 in pixels of the prepared page image, `confidence` 0 to 1.

    `doubts` are those of its words that the engine was unsure of, in their order; empty where it says so of none.
    """

    text: str
    box: tuple[float, float, float, float]
    confidence: float
    doubts: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        return cls(**{**record, "box": tuple(record["box"]), "doubts": tuple(record.get("doubts", ()))})

    def to_json(self) -> dict[str, Any]:
        """As a record; without `doubts` where there are none."""
        record: dict[str, Any] = {"text": self.text, "box": self.box, "confidence": self.confidence}
        return record | ({"doubts": list(self.doubts)} if self.doubts else {})
