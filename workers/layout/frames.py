"""Boxes drawn on a page, as forms and transcripts have them: what stands in one is read together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workers.layout.words import Word, holds
from workers.reading_order import Box

SAME = 4.0  # points between two rules that are one border, broken or crooked
MOST_AREA = 0.4  # of what the rules enclose: a larger box is the border of the page
OVERSHOOT = 4.0  # points that a rule may end before the corner of its box
LEAST_DRAWN = 0.8  # of each side of a box
LEAST_SIDE, LEAST_LONG_SIDE = 9.0, 30.0  # points: smaller boxes are marks to tick


class Frames:
    """The boxes that rules make; a point lies in the smallest one that four rules close around it."""

    def __init__(self, rules: Sequence[Box]) -> None:
        self._across = [rule for rule in rules if rule[2] - rule[0] > rule[3] - rule[1]]
        self._down = [rule for rule in rules if rule[2] - rule[0] <= rule[3] - rule[1]]
        self._ys = borders([rule[1] for rule in self._across])
        self._xs = borders([rule[0] for rule in self._down])

    def parts(self, words: Sequence[Word]) -> dict[Box | None, list[Word]]:
        """The words by the boxes around them; those by a rule that ends there are in the box that others are in."""
        places = [self.around(word) for word in words] if self._across and self._down else [None] * len(words)
        known = sorted({place for place in places if place}, key=area)
        parts: dict[Box | None, list[Word]] = {}
        for word, place in zip(words, places, strict=True):
            home = place or next((box for box in known if holds(box, word)), None)
            parts.setdefault(home, []).append(word)
        return parts

    def around(self, word: Word) -> Box | None:
        x, y = word.centre
        across = [self._ys[rule[1]] for rule in self._across if rule[0] - OVERSHOOT <= x <= rule[2] + OVERSHOOT]
        down = [self._xs[rule[0]] for rule in self._down if rule[1] - OVERSHOOT <= y <= rule[3] + OVERSHOOT]
        top, bottom = nearest(across, y)
        left, right = nearest(down, x)
        if top is None or bottom is None or left is None or right is None:
            return None
        whole = (max(self._xs.values()) - min(self._xs.values())) * (max(self._ys.values()) - min(self._ys.values()))
        sides = (self._covered(self._across, self._ys, y, left, right) for y in (top, bottom))
        if not all(sides) or not all(self._covered(self._down, self._xs, x, top, bottom) for x in (left, right)):
            return None
        is_small = (right - left) * (bottom - top) <= MOST_AREA * whole
        low, high = sorted((right - left, bottom - top))
        return (left, top, right, bottom) if is_small and low >= LEAST_SIDE and high >= LEAST_LONG_SIDE else None

    def _covered(
        self, rules: Sequence[Box], places: Mapping[float, float], place: float, start: float, end: float
    ) -> bool:
        """Whether rules lie along most of a side of a box; the lines that join the boxes of a chart do not."""
        along, across = (0, 1) if rules is self._across else (1, 0)
        drawn, edge = 0.0, start
        for rule in sorted(rules, key=lambda rule: rule[along]):
            if places[rule[across]] == place and rule[along + 2] > edge and rule[along] < end:
                drawn += min(rule[along + 2], end) - max(rule[along], edge)
                edge = rule[along + 2]
        return drawn >= LEAST_DRAWN * (end - start)


def area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def borders(places: Sequence[float]) -> dict[float, float]:
    """One place for all that are nearly the same."""
    found: dict[float, float] = {}
    last = None
    for place in sorted(places):
        last = last if last is not None and place - last <= SAME else place
        found[place] = last
    return found


def nearest(places: Sequence[float], value: float) -> tuple[float | None, float | None]:
    """The last place before the value, and the first one after it."""
    before = max((place for place in places if place <= value), default=None)
    return before, min((place for place in places if place > value), default=None)
