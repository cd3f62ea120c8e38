"""The text of training pages: dictionary words, numbers, dates, prices and codes, drawn at random."""

import random
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

CHARACTERS = "".join(map(chr, range(33, 127))) + "£€"
_FREQUENT = (
    "the of and to a in is that it was for on are as with his they at be this from have or by one had not but what "
    "all were when we there can an your which their said if do will each about how up out them then she many some so "
    "these would other into has more her two like him see time could no make than first been its who now people my "
    "made over did down only way find use may water long little very after words called just where most know"
)
FREQUENT = tuple(_FREQUENT.split())
_SYMBOLS = "".join(char for char in CHARACTERS if not char.isalnum())
_CODE = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def is_held_out(word: str) -> bool:
    """Tell whether a dictionary word is kept for measuring; one word in twenty is, by its CRC-32, in any case."""
    return word.lower() not in FREQUENT and zlib.crc32(word.lower().encode()) % 20 == 0


def read_words(path: Path) -> list[str]:
    """Return the ASCII words of a word list with one word a line, sorted and without possessives."""
    words = {line.strip() for line in path.read_text(encoding="utf-8").splitlines()}
    return sorted(word for word in words if word.isascii() and word.isalpha())


class Words(Protocol):
    """Anything that gives a page its words."""

    def draw(self, rng: random.Random, *, prose: float) -> str:
        """Return the next word."""


class RunningText:
    """Gives the words of a real text one after another, from a random place on; `prose` changes nothing."""

    def __init__(self, path: Path) -> None:
        words = path.read_text(encoding="utf-8").split()
        self._words = [word for word in words if set(word) <= set(CHARACTERS) and len(word) <= 20]
        self._next = -1

    def draw(self, rng: random.Random, *, prose: float) -> str:  # noqa: ARG002
        """Return the next word of the text, which begins anew at its end."""
        self._next = rng.randrange(len(self._words)) if self._next < 0 else (self._next + 1) % len(self._words)
        return self._words[self._next]


class TextSource:
    """Draws the words of one page after another from a training or a held-out vocabulary."""

    def __init__(self, words: Sequence[str], *, held_out: bool = False) -> None:
        self.words = [word for word in words if is_held_out(word) == held_out]
        self._frequent = 0.0 if held_out else 0.25
        self._scramble = not held_out

    def draw(self, rng: random.Random, *, prose: float) -> str:
        """Return one word without spaces; a share `prose` of them are plain words, the rest numbers and codes."""
        if rng.random() < prose:
            return _punctuate(rng, self._plain(rng))
        make = rng.choice((_number, _number, _price, _date, _code, self._mixed))
        return _punctuate(rng, make(rng))

    def _plain(self, rng: random.Random) -> str:
        word = rng.choice(FREQUENT) if rng.random() < self._frequent else rng.choice(self.words)
        case = rng.random()
        if case < 0.25:
            return word.capitalize()
        return word.upper() if case < 0.32 else word.lower()

    def _mixed(self, rng: random.Random) -> str:
        if self._scramble:
            return "".join(rng.choice(CHARACTERS) for _ in range(rng.randint(1, 9)))
        return f"{rng.choice(self.words)}{rng.choice(_SYMBOLS)}{rng.choice(self.words)}"


def _number(rng: random.Random) -> str:
    value = rng.randint(0, 10 ** rng.randint(1, 7))
    return rng.choice((str(value), f"{value:,}", f"{value / 100:.2f}", f"{value % 100}%", f"#{value}"))


def _price(rng: random.Random) -> str:
    return f"{rng.choice('£€$')}{rng.randint(0, 10 ** rng.randint(1, 5)):,}.{rng.randint(0, 99):02d}"


def _date(rng: random.Random) -> str:
    day, month, year = rng.randint(1, 31), rng.randint(1, 12), rng.randint(1900, 2099)
    mark = rng.choice("/-.")
    if rng.random() < 0.5:
        return f"{day:02d}{mark}{month:02d}{mark}{year}"
    return rng.choice((f"{year}-{month:02d}-{day:02d}", f"{day % 24:02d}:{month * 4:02d}"))


def _code(rng: random.Random) -> str:
    parts = ("".join(rng.choice(_CODE) for _ in range(rng.randint(2, 5))) for _ in range(rng.randint(1, 2)))
    return rng.choice("-/_.").join(parts)


def _punctuate(rng: random.Random, word: str) -> str:
    if rng.random() < 0.04:
        return rng.choice(("(%s)", '"%s"', "'%s'", "[%s]", "<%s>", "{%s}")).replace("%s", word)
    return word + rng.choice(".,;:!?.,.,") if rng.random() < 0.16 else word
