"""Running text from lines: joined, with words that a line's end tore put together.

No dictionary says which words have a hyphen of their own. The document does: a form that stands with its hyphen inside
a line keeps it at the end of one. Else what goes on in lower case is one word.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import reduce

SOFT_HYPHEN = "\u00ad"
TORN = re.compile(r"(?<=\w)[-\u2010\u00ad]$")
COMPOUND = re.compile(r"\w+(?:[-\u2010]\w+)+")
LAST_WORD = re.compile(r"\w+(?:[-\u2010]\w+)*[-\u2010\u00ad]$")
FIRST_WORD = re.compile(r"\w+")
SPACELESS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uff60\u3000-\u303f]")
ENDS = re.compile(r"[.!?:;…。！？]['\"”’»)\]]*$")


def join_lines(text: str, compounds: Collection[str] = ()) -> str:
    """The lines of a text as one; `compounds` are words with a hyphen, in lower case, from `compounds_of`."""
    lines = [" ".join(line.split()) for line in text.split("\n")]
    return reduce(lambda before, after: join_two(before, after, compounds), filter(None, lines), "")


def join_two(before: str, after: str, compounds: Collection[str] = ()) -> str:
    if not before or not after:
        return before or after
    if TORN.search(before):
        return joined_word(before, after, compounds)
    is_spaceless = SPACELESS.match(before[-1]) and SPACELESS.match(after[0])
    return before + ("" if is_spaceless else " ") + after


def joined_word(before: str, after: str, compounds: Collection[str]) -> str:
    """Both with the word between them whole, or with its hyphen where it is the word's own."""
    if before.endswith(SOFT_HYPHEN):
        return before[:-1] + after
    head, tail = LAST_WORD.search(before), FIRST_WORD.match(after)
    if head is None or tail is None or not tail[0][0].islower():
        return before + after
    has_hyphen = (head[0] + tail[0]).casefold() in compounds
    return (before if has_hyphen else before[:-1]) + after


def compounds_of(lines: Iterable[str]) -> set[str]:
    """The words with a hyphen inside these lines, in lower case."""
    return {word.casefold() for line in lines for word in COMPOUND.findall(line)}


def goes_on(before: str, after: str) -> bool:
    """Whether a paragraph ends in the middle of a sentence that `after` continues."""
    before, after = before.rstrip(), after.lstrip()
    if not before or not after or ENDS.search(before):
        return False
    return after[0].islower() or (SPACELESS.match(before[-1]) is not None and SPACELESS.match(after[0]) is not None)
