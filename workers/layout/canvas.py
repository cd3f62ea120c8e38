"""From points of the upright page, where layout is found, to pixels of the page image, where results lie."""

from __future__ import annotations

from dataclasses import dataclass

from workers.reading_order import Box
from workers.text_lines import unturn_box


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """The page image is `width` x `height` px; turned by `turn` degrees clockwise it is upright.

    A point of the upright page is `scale_x` px wide and `scale_y` px high, in the turned image.
    """

    width: float
    height: float
    turn: int = 0
    scale_x: float
    scale_y: float

    def to_pixels(self, box: Box) -> Box:
        x0, y0, x1, y1 = box
        turned = x0 * self.scale_x, y0 * self.scale_y, x1 * self.scale_x, y1 * self.scale_y
        return _rounded(unturn_box(turned, self.turn, self.width, self.height))

    def to_points(self, box: Box) -> Box:
        back = (360 - self.turn) % 360
        across, down = self.upright_size
        x0, y0, x1, y1 = unturn_box(box, back, across, down)
        return x0 / self.scale_x, y0 / self.scale_y, x1 / self.scale_x, y1 / self.scale_y

    @property
    def upright_size(self) -> tuple[float, float]:
        """Width and height in pixels of the image when it is turned upright."""
        return (self.height, self.width) if self.turn in (90, 270) else (self.width, self.height)


def _rounded(box: Box) -> Box:
    x0, y0, x1, y1 = (round(value, 2) for value in box)
    return x0, y0, x1, y1
