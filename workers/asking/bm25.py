"""How well passages fit the words of a question: Okapi BM25.

S. Robertson, H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), formula 3.15, with the
weight of a word as Lucene has it, which is never below 0.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from workers.results.prose import SPACELESS

K1, B = 1.2, 0.75  # how soon more of a word counts no more, and how much a passage's length does; Lucene's own
CHARACTERS = SPACELESS.pattern  # of scripts without spaces
TERM = re.compile(rf"{CHARACTERS}+|(?:(?!{CHARACTERS})[^\W_])+")


def terms(text: str) -> list[str]:
    """The words of a text, as they are compared; of a script without spaces, characters two by two."""
    found: list[str] = []
    for run in TERM.findall(unicodedata.normalize("NFKC", text).casefold()):
        is_spaceless = len(run) > 1 and SPACELESS.match(run)
        found += [first + second for first, second in pairwise(run)] if is_spaceless else [run]
    return found


def scores(question: Sequence[str], passages: Sequence[Sequence[str]]) -> list[float]:
    """How well each passage fits the question, both as `terms`; 0.0 for one that has none of its words."""
    counts = [Counter(passage) for passage in passages]
    wanted = set(question)
    mean = sum(map(len, passages)) / max(1, len(passages)) or 1.0
    weights = {}
    for term in wanted:
        having = sum(term in count for count in counts)
        weights[term] = math.log(1 + (len(counts) - having + 0.5) / (having + 0.5))
    return [
        sum(
            weights[term] * count[term] * (K1 + 1) / (count[term] + K1 * (1 - B + B * count.total() / mean))
            for term in wanted
        )
        for count in counts
    ]
