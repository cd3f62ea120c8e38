"""The passages of a document that a question is asked with, what a model is told of them, and what its answer cites."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from workers.asking.bm25 import scores, terms

NOT_FOUND = "NOT FOUND"
NOTHING = "The document does not say."
ASK = (
    "Answer the question from these passages of a document, and from the image, which is its page {page}. Behind each "
    "statement write the pages that it is from, as [page 3]. If neither has the answer, write {nothing} and no more."
)
EXTRACT = (
    "Take the values that this JSON schema asks for from these passages of a document, and from the image, which is "
    "its page {page}, each value as it is written there. Make up nothing: leave out, or set to null where the schema "
    "allows it, what stands in neither. Answer with one JSON value that is valid by the schema, and with nothing else."
)
NUMBERS = r"\d{1,6}(?:\s?[-–,;&]\s?\d{1,6})*"
CITED = re.compile(rf"\[(?:pages?|pp?\.|seiten?|s\.)\s?({NUMBERS})\]|\((?:pages?|pp?\.)\s?({NUMBERS})\)", re.IGNORECASE)
RANGE = re.compile(r"(\d+)(?:\s?[-–]\s?(\d+))?")
MOST_RANGE = 50  # pages that a range may cite
SHARE = 0.6  # of the best passage's score, for another to be what an answer without pages is from
MOST_GUESSED = 3


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of the document's text and the pages that it stands on, from 1."""

    text: str
    pages: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """The passages for one question, in the order of the document; `best_page` has most of what the question asks.

    `is_all` says whether they are all that the document has.
    """

    passages: tuple[Passage, ...]
    best_page: int
    is_all: bool

    @property
    def pages(self) -> list[int]:
        return sorted({page for passage in self.passages for page in passage.pages})


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: `pages` are those that it cites or, unless `is_cited`, those whose words it has."""

    text: str
    is_found: bool
    pages: tuple[int, ...] = ()
    is_cited: bool = False


def choose(passages: Sequence[Passage], question: str, room: int) -> Choice | None:
    """The passages that fit a question best, at most `room` characters of them but for the first.

    Where none has a word of the question, the document's first ones. None for a document without text.
    """
    if not passages:
        return None
    fits = scores(terms(question), [terms(passage.text) for passage in passages])
    taken: list[int] = []
    for place in sorted(range(len(passages)), key=lambda place: (-fits[place], place)):
        if taken and len(passages[place].text) > room:
            continue
        taken.append(place)
        room -= len(passages[place].text)
    by_page: dict[int, float] = {}
    for place in taken:
        for page in passages[place].pages:
            by_page[page] = by_page.get(page, 0.0) + fits[place]
    best = max(sorted(by_page), key=lambda page: by_page[page])
    return Choice(tuple(passages[place] for place in sorted(taken)), best, len(taken) == len(passages))


def prompt_of(choice: Choice, *, question: str = "", schema: str = "", prompt: str = "") -> str:
    """What a model is asked; an own `prompt` stands in the place of our instructions."""
    words = prompt or (EXTRACT if schema else ASK).format(page=choice.best_page, nothing=NOT_FOUND)
    passages = "\n\n".join(f"[{named(passage.pages)}]\n{passage.text}" for passage in choice.passages)
    asked = f"JSON schema: {schema}" if schema else f"Question: {question}"
    return f"{words}\n\n{passages}\n\n{asked}"


def named(pages: Sequence[int]) -> str:
    return f"page {pages[0]}" if len(pages) == 1 else f"pages {pages[0]}-{pages[-1]}"


def understood(answer: str, passages: Sequence[Passage]) -> Said:
    """What a model's answer says, and the pages it is from."""
    text = answer.strip()
    if not text or text.strip(" .!*\"'`").upper() == NOT_FOUND:
        return Said(NOTHING, is_found=False)
    shown = {page for passage in passages for page in passage.pages}
    if cited := [page for page in cited_pages(text) if page in shown]:
        return Said(text, is_found=True, pages=tuple(cited), is_cited=True)
    fits = scores(terms(text), [terms(passage.text) for passage in passages])
    order = sorted(range(len(fits)), key=lambda place: (-fits[place], place))[:MOST_GUESSED]
    likely = [place for place in order if fits[place] > 0 and fits[place] >= SHARE * fits[order[0]]]
    return Said(text, is_found=True, pages=tuple(sorted({page for place in likely for page in passages[place].pages})))


def cited_pages(text: str) -> list[int]:
    """The pages that a text cites, each once, in its order."""
    found: dict[int, None] = {}
    for match in CITED.finditer(text):
        for first, last in RANGE.findall(match[1] or match[2]):
            end = min(int(last or first), int(first) + MOST_RANGE)
            found |= dict.fromkeys(range(int(first), end + 1))
    return list(found)


def linked(text: str, pages: Collection[int], address: Callable[[int], str]) -> str:
    """An answer in Markdown whose citations of these pages are links; a range leads to its first page."""

    def link(match: re.Match[str]) -> str:
        numbers = match[1] or match[2]
        if (alone := RANGE.fullmatch(numbers)) and int(alone[1]) in pages:
            return f"{match[0][0]}[{match[0][1:-1]}]({address(int(alone[1]))}){match[0][-1]}"
        return match[0].replace(numbers, RANGE.sub(link_range, numbers))

    def link_range(match: re.Match[str]) -> str:
        number = int(match[1])
        return f"[{match[0]}]({address(number)})" if number in pages else match[0]

    return CITED.sub(link, text)


def words_of_name(name: str) -> str:
    """`lampHeight_m` as the words that it is made of."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name)


def words_of_schema(schema: object) -> str:
    """The names and descriptions in a JSON schema, as words to look for."""
    if isinstance(schema, list):
        return " ".join(map(words_of_schema, schema))
    if not isinstance(schema, dict):
        return ""
    parts = [str(schema.get(name, "")) for name in ("title", "description")]
    for name, part in schema.items():
        if name in ("properties", "$defs", "definitions") and isinstance(part, dict):
            parts += map(words_of_name, part)
            parts += map(words_of_schema, part.values())
        elif isinstance(part, dict | list):
            parts.append(words_of_schema(part))
    return " ".join(filter(None, parts))
