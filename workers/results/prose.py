"""Running text from lines: joined, with words that a line's end tore put together.

No dictionary says which words have a hyphen of their own. The document does: a form that stands with its hyphen inside
a line keeps it at the end of one. Else what goes on in lower case is one word.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise

from workers.line_text import shorten_leaders

SOFT_HYPHEN = "\u00ad"
TAKEN = "\b"  # between two lines: without the hyphen that the first one ends in
MOST_WORD = 80  # characters that are looked at for the last word of a line
TORN = re.compile(r"(?<=\w)[-\u2010\u00ad]$")
LAST_MARKS = (
    "-\u2010\u00ad\u2012\u2013/"  # of a line that goes on without a space: all that TORN, RANGE, TORN_URL end in
)
RANGE = re.compile(r"\d[\u2012\u2013]$")  # "2020-" with a longer dash
TORN_URL = re.compile(r"https?://(?:\S*/)?$")
COMPOUND = re.compile(r"(?<![\w\-\u2010])\w++(?:[-\u2010]\w++)+")
LAST_WORD = re.compile(r"(?<![\w\-\u2010])\w++(?:[-\u2010]\w++)*+[-\u2010\u00ad]$")
FIRST_WORD = re.compile(r"\w{1,80}")
SPACELESS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uff60\u3000-\u303f]")
ENDS = re.compile(r"[.!?:;…。！？]['\"”’»)\]]*$")


def join_lines(text: str, compounds: Collection[str] = ()) -> str:
    """The lines of a text as one, with short leaders; `compounds` are words with a hyphen, see `compounds_of`."""
    lines = [shorten_leaders(" ".join(line.split())) for line in text.split("\n")]
    lines = [line for line in lines if line]
    return join_all(lines, [end_of(before, after, compounds) for before, after in pairwise(lines)]) if lines else ""


def join_all(lines: Sequence[str], ends: Sequence[str]) -> str:
    """The lines with what stands between them; the mark that deletes a hyphen takes the one before it."""
    parts = [line[:-1] if end == TAKEN else line + end for line, end in zip(lines, ends, strict=False)]
    return "".join([*parts, lines[-1]])


def join_two(before: str, after: str, compounds: Collection[str] = ()) -> str:
    if not before or not after:
        return before or after
    return join_all([before, after], [end_of(before, after, compounds)])


def end_of(before: str, after: str, compounds: Collection[str]) -> str:
    """What stands between two lines: a space, nothing, or TAKEN where the hyphen before it goes."""
    if before[-1] not in LAST_MARKS:
        return "" if SPACELESS.match(before[-1]) and SPACELESS.match(after[0]) else " "
    last = before[-MOST_WORD:]
    if (RANGE.search(last) and after[0].isdigit()) or TORN_URL.search(last):
        return ""
    if not TORN.search(last):
        return " "
    if before.endswith(SOFT_HYPHEN):
        return TAKEN
    head, tail = LAST_WORD.search(last), FIRST_WORD.match(after)
    if head is None or tail is None or not tail[0][0].islower():
        return ""
    return "" if (head[0] + tail[0]).casefold() in compounds else TAKEN


def compounds_of(lines: Iterable[str]) -> set[str]:
    """The words with a hyphen inside these lines, in lower case."""
    return {word.casefold() for line in lines for word in COMPOUND.findall(line)}


def goes_on(before: str, after: str) -> bool:
    """Whether a paragraph ends in the middle of a sentence that `after` continues."""
    before, after = before[-MOST_WORD:].rstrip(), after[:MOST_WORD].lstrip()
    if not before or not after or ENDS.search(before):
        return False
    return after[0].islower() or (SPACELESS.match(before[-1]) is not None and SPACELESS.match(after[0]) is not None)
