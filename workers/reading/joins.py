"""Texts of tiles put together: what two tiles both have stands once, and a line that was cut stands whole.

Where tiles overlap, each has whole what the other may have cut. The longest run of lines that ends the one and begins
the other is found, give or take a cut line at the seam, and the texts are joined there.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from workers.documents.tiles import Tile

SEAM_LINES = 12  # that may lie in an overlap
CUT_LINES = 2  # at the seam, that one tile has in part
ALIKE = 0.85  # of two readings of one line
MIN_SHARED = 3  # characters that two halves of a line must share


def join_tiles(tiles: Sequence[Tile], texts: Sequence[str]) -> str:
    """The text of the page; tiles are in reading order, from top to bottom and in a band from left to right."""
    bands: list[tuple[Tile, str]] = []
    for tile, text in zip(tiles, texts, strict=True):
        if bands and bands[-1][0].y0 == tile.y0:
            left = bands[-1][1]
            bands[-1] = tile, join_across(left, text) if tile.overlaps_left else join_apart(left, text)
        else:
            bands.append((tile, text))
    whole = ""
    for tile, text in bands:
        whole = join_down(whole, text) if tile.overlaps_above else join_apart(whole, text, "\n")
    return whole


def join_apart(one: str, other: str, between: str = "\n\n") -> str:
    """Texts that have nothing in common."""
    return between.join(text for text in (one.strip("\n"), other.strip("\n")) if text)


def join_down(above: str, below: str) -> str:
    """Texts of which the second begins with lines that the first ends with."""
    upper, lower = above.rstrip("\n").split("\n"), below.lstrip("\n").split("\n")
    if not above.strip() or not below.strip():
        return join_apart(above, below)
    end, start = seam(upper, lower)
    return "\n".join([*upper[:end], *lower[start:]])


def seam(upper: Sequence[str], lower: Sequence[str]) -> tuple[int, int]:
    """Where the upper lines end and the lower ones begin, so that what both have stands once."""
    best, found = 0, (len(upper), 0)
    for cut_above in range(CUT_LINES + 1):
        for cut_below in range(CUT_LINES + 1):
            longest = min(SEAM_LINES, len(upper) - cut_above, len(lower) - cut_below)
            for length in range(longest, best, -1):
                end = len(upper) - cut_above
                if all(map(are_alike, upper[end - length : end], lower[cut_below : cut_below + length])):
                    best, found = length, (end, cut_below + length)
                    break
    return found


def are_alike(one: str, other: str) -> bool:
    one, other = one.strip(), other.strip()
    return one == other or (min(len(one), len(other)) > 2 and SequenceMatcher(None, one, other).ratio() >= ALIKE)


def join_across(left: str, right: str) -> str:
    """Texts of two tiles side by side that share a strip: line by line where they have as many lines."""
    lefts, rights = ([line for line in text.split("\n") if line.strip()] for text in (left, right))
    if len(lefts) != len(rights):
        return join_apart(left, right)
    return "\n".join(map(join_halves, lefts, rights))


def join_halves(left: str, right: str) -> str:
    """A line of which the tiles have the beginning and the end; the letters at the cut may be wrong."""
    match = SequenceMatcher(None, left, right, autojunk=False).find_longest_match()
    if match.size < MIN_SHARED:
        return f"{left} {right}"
    return left[: match.a + match.size] + right[match.b + match.size :]
