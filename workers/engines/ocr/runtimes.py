"""What a runtime is: it loads networks, which find and read lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from workers.text_lines import Pixels

Heat = NDArray[np.float32]  # [height, width], 0 to 1
Classes = NDArray[np.integer[Any]]
Chances = NDArray[np.float32]  # 0 to 1


class Steps(NamedTuple):
    """What a recogniser sees along lines, all [lines, steps]: the best class, its probability, and a space's."""

    best: Classes
    chance: Chances
    space: Chances

    def of_line(self, row: int, steps: int) -> Steps:
        """The first steps of one line, [steps]; copied, as a runtime may use the memory again."""
        return Steps(self.best[row, :steps].copy(), self.chance[row, :steps].copy(), self.space[row, :steps].copy())


class Detector(Protocol):
    """Where in a picture, with sides that are multiples of 32, the lines are."""

    def __call__(self, picture: Pixels) -> Heat: ...


class Recogniser(Protocol):
    """What stands in lines of one width: `characters` are the classes; the first is none, the last the space."""

    characters: list[str]

    def __call__(self, lines: NDArray[np.uint8]) -> Steps: ...


class Runtime(Protocol):
    """Loads networks; any number of threads may use those at once, each computes in the thread that calls it."""

    description: str
    errors: tuple[type[Exception], ...]  # what a network may raise

    def load_detector(self, path: Path) -> Detector: ...

    def load_recogniser(self, path: Path) -> Recogniser: ...


def split_characters(text: str) -> list[str]:
    """The classes of a recogniser: none, those of its own list, and the space."""
    return ["", *text.splitlines(), " "]
