"""Detects output that runs in circles: a tail that is one short block over and over.

The numbers are those of the research prototype of this project, chosen so that real text does not trip them: a
block of at most 64 tokens, at least 6 times and over at least 96 tokens; vLLM's `repetition_detection` has the
same three knobs without defaults. Rules of tables and dotted lines ("| --- | --- |", "......") repeat by
nature: a block without letters and digits needs 256 tokens. The test is exact, so that it is cheap enough to
be made every few tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

MAX_PERIOD = 64  # tokens
MIN_REPEATS = 6
MIN_TOKENS = 96
MIN_FILLER_TOKENS = 256  # where the block has no letter and no digit
MAX_PERIOD_CHARS = 1024  # 64 tokens of text


def is_looping(
    ids: Sequence[Any],
    *,
    is_filler: Callable[[Any], bool] | None = None,
    max_period: int = MAX_PERIOD,
    min_repeats: int = MIN_REPEATS,
    min_tokens: int = MIN_TOKENS,
    min_filler_tokens: int = MIN_FILLER_TOKENS,
) -> bool:
    """Whether the tail of `ids` is one block of at most `max_period` items, repeated.

    `ids` are token ids, a list or a tuple; `is_filler` tells of a token whether it holds no letter and no digit.
    """
    num_ids = len(ids)
    for period in range(1, min(max_period, num_ids - 1) + 1):
        if ids[-1] != ids[-1 - period]:
            continue
        needed = max(min_repeats * period, min_tokens)
        if not _has_period(ids, period, needed):
            continue
        if is_filler is None or not all(is_filler(item) for item in ids[num_ids - period :]):
            return True
        if _has_period(ids, period, max(needed, min_filler_tokens)):
            return True
    return False


def _has_period(ids: Sequence[Any], period: int, length: int) -> bool:
    start = len(ids) - length
    return start >= 0 and ids[start + period :] == ids[start : len(ids) - period]


def cut_loop(text: str) -> str:
    """`text` with a repeated tail cut to one block; text that does not loop comes back as it is.

    Characters are counted, as text has no tokens: a block of at most 1024, and over as many characters as
    `is_looping` wants tokens. One repeat less is enough, because white space at the end may have been stripped.
    """
    backwards = text[::-1]
    for period in range(1, min(MAX_PERIOD_CHARS, len(text) - 1) + 1):
        if backwards[0] != backwards[period]:
            continue
        length = period + _common_prefix(backwards, backwards[period:])
        is_filler = not any(char.isalnum() for char in backwards[:period])
        needed = max(MIN_REPEATS * period, MIN_FILLER_TOKENS if is_filler else MIN_TOKENS) - period
        if length >= needed:
            return text[: len(text) - length + period]
    return text


def _common_prefix(first: str, second: str) -> int:
    """The number of characters both begin with, found by halving."""
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
