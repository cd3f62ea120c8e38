"""Torn words: a hyphen of their own stays where the document shows that it is one."""

from __future__ import annotations

from workers.results.hyphens import Hyphens
from workers.results.prose import join_lines

PLAIN = "\n".join(f"a line of the text that ends in no hyphen {'abcdefgh'[i % 8]}" for i in range(60))
TORN = "\n".join(["the govern-", "ment and the circum-", "stances of the hear-", "ing that was held"] * 10)


def joined(text: str, *others: str) -> str:
    hyphens = Hyphens()
    hyphens.look([text, *others])
    return join_lines(text, hyphens.compounds())


def test_where_lines_are_not_torn_a_hyphen_at_the_end_is_the_words_own() -> None:
    assert joined("it runs cross-\nplatform", PLAIN) == "it runs cross-platform"


def test_where_lines_are_torn_words_are_put_together() -> None:
    assert joined("the assess-\nment of it", TORN) == "the assessment of it"


def test_a_word_that_stands_whole_elsewhere_is_put_together() -> None:
    assert joined("the plat-\nform", f"{PLAIN} platform") == "the platform"


def test_two_words_of_the_document_keep_the_hyphen_between_them() -> None:
    assert joined("a cross-\nplatform tool", TORN, "this platform, and a cross on it") == "a cross-platform tool"
