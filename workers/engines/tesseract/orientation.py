"""Which way up a page lies and what script it is in, as far as tesseract sees that before it reads."""

from __future__ import annotations

import re
from typing import NamedTuple

MIN_SCRIPT_CONFIDENCE = 1.0  # Latin pages that it takes for Cyrillic ones have 0.1


class Orientation(NamedTuple):
    """`turn` is what makes the text upright, in degrees clockwise; `script` is "" where it is not sure."""

    turn: int = 0
    script: str = ""


def orientation_of(answer: str) -> Orientation:
    """From what `--psm 0` prints; nothing is known where it prints nothing, as of a page with few letters."""
    values = dict(re.findall(r"^(.+?): (.+)$", answer, re.MULTILINE))
    turn = int(values.get("Rotate", 0))
    is_sure = float(values.get("Script confidence", 0)) >= MIN_SCRIPT_CONFIDENCE
    return Orientation(turn if turn in (90, 180, 270) else 0, values.get("Script", "") if is_sure else "")
