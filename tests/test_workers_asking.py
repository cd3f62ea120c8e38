"""Passages for a question, what an answer cites, and where values of a document stand."""

from __future__ import annotations

import pytest

from workers.asking.bm25 import scores, terms
from workers.asking.passages import (
    NOTHING,
    Passage,
    choose,
    cited_pages,
    linked,
    prompt_of,
    understood,
    words_of_schema,
)
from workers.asking.places import PageWords, placed_values
from workers.lines import Line
from workers.reading.line_words import words_of
from workers.results.answer import answer_markdown, answer_text

PASSAGES = [
    Passage("The harbour has seven quays and a customs house.", (1,)),
    Passage("The lamp is lit at sunset by its keeper.", (2,)),
    Passage("Fees are due in March. Fees for the lamp are lower than fees for the quay.", (3, 4)),
]
NOTHING_KNOWN = {
    "task": "ask",
    "text": "",
    "pages": [],
    "is_cited": False,
    "pages_asked": [],
    "is_all": True,
    "missing_pages": [],
    "values": [],
    "error": None,
}


def test_scores_are_those_of_the_formula() -> None:
    # two passages of two words; the word is in one: ln(1 + (2 - 1 + 0.5) / (1 + 0.5)) * (1.2 + 1) / (1 + 1.2)
    assert scores(["lamp"], [["lamp", "sea"], ["sea", "quay"]]) == pytest.approx([0.693147, 0.0], abs=1e-6)


def test_words_are_compared_without_case_and_marks_and_scripts_without_spaces_by_pairs() -> None:
    assert terms("Fees, of\N{NO-BREAK SPACE}ﬁsh_men!") == ["fees", "of", "fish", "men"]
    assert terms("灯台守は") == ["灯台", "台守", "守は"]


def test_rare_words_of_the_question_choose_the_passages() -> None:
    choice = choose(PASSAGES, "What are the fees for a quay?", room=80)
    assert choice is not None
    assert (choice.best_page, choice.is_all, choice.pages) == (3, False, [3, 4])


def test_all_passages_are_taken_in_their_order_where_there_is_room() -> None:
    choice = choose(PASSAGES, "Who keeps the lamp?", room=10_000)
    assert choice is not None
    assert (list(choice.passages), choice.is_all) == (PASSAGES, True)
    prompt = prompt_of(choice, question="Who keeps the lamp?")
    assert "[pages 3-4]\nFees are due" in prompt
    assert prompt.endswith("Question: Who keeps the lamp?")


def test_the_first_passages_are_taken_where_none_has_a_word_of_the_question() -> None:
    choice = choose(PASSAGES, "Wer ist das?", room=60)
    assert choice is not None
    assert choice.pages == [1]


def test_a_document_without_text_has_no_passages() -> None:
    assert choose([], "Who?", room=100) is None


@pytest.mark.parametrize(
    ("text", "pages"),
    [
        ("Seven [page 1].", [1]),
        ("[Pages 3-4] and [p. 2]", [3, 4, 2]),
        ("(pp. 2, 4)", [2, 4]),
        ("In [12] and 1931", []),
        ("[page 1-999999]", list(range(1, 52))),
    ],
)
def test_pages_are_read_where_an_answer_cites_them(text: str, pages: list[int]) -> None:
    assert cited_pages(text) == pages


def test_citations_of_pages_become_links() -> None:
    text = "A [page 3], b (pp. 3, 7), c [pages 2-4], d [page 9]."
    shown = linked(text, {2, 3, 7}, lambda number: f"#{number}")
    assert shown == "A [[page 3](#3)], b (pp. [3](#3), [7](#7)), c [[pages 2-4](#2)], d [page 9]."


def test_only_pages_that_were_shown_count_as_cited() -> None:
    said = understood("Marta [page 2], and others [page 77].", PASSAGES)
    assert (said.pages, said.is_cited, said.is_found) == ((2,), True, True)


def test_an_answer_without_pages_has_those_whose_words_it_has() -> None:
    said = understood("It is lit at sunset.", PASSAGES)
    assert (said.pages, said.is_cited) == ((2,), False)


@pytest.mark.parametrize("answer", ["NOT FOUND", " **not found.** ", ""])
def test_an_answer_that_finds_nothing_says_so(answer: str) -> None:
    said = understood(answer, PASSAGES)
    assert (said.text, said.is_found, said.pages) == (NOTHING, False, ())


def test_values_have_the_page_that_says_them_best() -> None:
    first = [Line(text="MARTA  LINDQVIST", box=(10, 10, 170, 20), confidence=1.0)]
    second = [
        Line(text="Keeper: Marta Lindqvist", box=(100, 50, 330, 70), confidence=1.0),
        Line(text="Height 1.048,50 m", box=(100, 80, 270, 100), confidence=1.0),
    ]
    pages = [PageWords(1, words_of(first)), PageWords(7, words_of(second))]
    keeper, height, gone = placed_values({"keeper": "Marta Lindqvist", "height": 1048.5, "gone": "Holm"}, pages)
    assert (keeper["page_number"], keeper["box"]) == (7, (180.0, 50, 330.0, 70))
    assert (height["page_number"], height["box"][1]) == (7, 80)
    assert (gone["page_number"], gone["box"]) == (None, None)


def test_a_short_value_is_found_only_where_its_name_is_beside_it() -> None:
    texts = enumerate(("Chapter 7", "7 quays of stone"), 1)
    pages = [
        PageWords(number, words_of([Line(text=text, box=(0, 0, 90, 10), confidence=1.0)])) for number, text in texts
    ]
    assert placed_values({"dogs": 7}, pages)[0]["page_number"] is None
    assert placed_values({"numQuays": 7, "quays": 7}, pages)[1]["page_number"] == 2


def test_a_schema_is_looked_for_by_its_names_and_descriptions() -> None:
    schema = {"properties": {"lampHeight_m": {"type": "number", "description": "above the sea"}}}
    assert words_of_schema(schema) == "lamp Height m above the sea"


def test_results_say_what_is_known_of_an_answer() -> None:
    answer = NOTHING_KNOWN | {"text": "Marta [page 4]", "pages": [4], "is_cited": True, "missing_pages": [2, 3]}
    said = "Marta [page 4]\n\n*From page 4.*\n\n*Without pages 2-3, which could not be read.*\n"
    assert answer_markdown(answer) == said
    assert answer_markdown(None) == "*There is no answer yet: the pages are being read.*\n"
    value = {"path": "a|b", "value": True, "page_number": 4, "box": None}
    values = NOTHING_KNOWN | {"task": "extract", "values": [value]}
    assert "| a\\|b | yes | 4 |" in answer_markdown(values)
    assert answer_text(values) == "a|b: yes (page 4)\n"
