"""What a runtime is: it loads networks, which find and read lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from workers.text_lines import Pixels

Heat = NDArray[np.float32]  # [height, width], 0 to 1
Steps = tuple[NDArray[np.integer[Any]], NDArray[np.float32]]  # [lines, steps]: the best class, its probability


class Detector(Protocol):
    """Where in a picture, with sides that are multiples of 32, the lines are."""

    def __call__(self, picture: Pixels) -> Heat: ...


class Recogniser(Protocol):
    """What stands in lines of one width: `characters` are the classes, of which the first is none."""

    characters: list[str]

    def __call__(self, lines: NDArray[np.uint8]) -> Steps: ...


class Runtime(Protocol):
    """Loads networks; any number of threads may use those at once, each computes in the thread that calls it."""

    description: str
    errors: tuple[type[Exception], ...]  # what a network may raise

    def load_detector(self, path: Path, threads: int) -> Detector:
        """`threads` share the work on one picture, beside those that call."""
        ...

    def load_recogniser(self, path: Path) -> Recogniser: ...


def split_characters(text: str) -> list[str]:
    """The classes of a recogniser: none, those of its own list, and the space."""
    return ["", *text.splitlines(), " "]
