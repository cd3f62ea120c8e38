"""Text layers: sound ones pass, garbage does not, and what a reading left out shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.documents.open import read_text_layer
from workers.documents.text_layer import LOW_RECALL, is_healthy, recall

ENGLISH = "The keeper writes down every ship that passes. The book is plain: a date, an hour, the weather."


def shifted(text: str, by: int) -> str:
    """Text of a font without a map to Unicode: glyph numbers taken for codes."""
    return "".join(chr(ord(character) - by) if character != " " else " " for character in text)


@pytest.mark.parametrize(
    "text",
    [
        ENGLISH,
        "Der Leuchtturmwärter schreibt über jedes Schiff, das größer als ein Boot ist, in das Buch.",
        "Hver einasta skipsferð er skráð í bókina, þótt veðrið sé gott og enginn þurfi á því að halda.",
        "Người gác đèn biển ghi lại mọi con tàu đi qua, ngày giờ và thời tiết của chuyến đi ấy.",
        "Смотритель маяка записывает каждое судно, которое проходит мимо.",
        "Ο φαροφύλακας γράφει κάθε πλοίο που περνά μπροστά από τον φάρο.",
        "灯台守は通り過ぎるすべての船を書き留める。本は簡素で、日付、時刻、天気、名前だけが書かれている。",
        "守塔人记下每一艘经过的船。这本书很简单：日期、时间、天气和船名，别的什么也没有写。",
        "يكتب حارس المنارة كل سفينة تمر من هنا، والكتاب بسيط للغاية.",
        "दीपस्तंभ का रखवाला हर गुज़रने वाले जहाज़ का नाम और समय लिख लेता है।",
        "1 The lamp ..................... 3\n2 The lens . . . . . . . . . . . . 17\n3 Oil and brass -------- 40",
        "\uf0b7 oil for the lamp, a new rope for the hoist\n\uf0b7 paper for the book, of which nine leaves remain",
        "Night 3 March 14 ships 8.5 litres, 4 March 6 ships 9.2 litres, 5 March 2 ships 9.0 litres",
    ],
)
def test_sound_text_is_healthy(text: str) -> None:
    assert is_healthy(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n\f",
        "Page 12",
        "\ufffd" * 80,
        ENGLISH.replace("e", "\ufffd"),
        "".join(chr(0xE000 + ord(character)) for character in ENGLISH),
        ENGLISH.replace(" ", "\x03"),
        shifted(ENGLISH, 29),
        shifted(ENGLISH, 1),
        "Leuchttürme überall, größere Schiffe hören früh, dass es Übung für Wärter gibt".encode().decode("cp1252"),
        "Он пишет в книгу каждое судно, которое проходит мимо маяка".encode("cp1251").decode("latin-1"),
        "It’s the keeper’s book — and isn’t it nobody’s — or the ship’s — or the harbour’s".encode().decode("cp1252"),
        "~#@ %^ &*( )_+ |}{ :?> <,./ ;'[] \\=- ab cd ef gh ij kl mn op qr st uv !@# $%^ &*( )_+ |}{ ?><",
        " ".join(ENGLISH.replace(" ", "")),
        ENGLISH.replace(" ", "").replace(".", "").replace(":", "").replace(",", ""),
    ],
)
def test_garbage_is_not_healthy(text: str) -> None:
    assert not is_healthy(text)


def test_little_text_is_healthy_where_little_is_enough() -> None:
    assert is_healthy("Page 12", min_letters=1)
    assert not is_healthy("\ufffd\ufffd\ufffd 12", min_letters=1)
    assert not is_healthy("12 34", min_letters=1)


def test_layers_of_the_sample_are_healthy_but_those_of_its_scan_and_its_blank_page(sample_pdf: Path) -> None:
    healthy = [is_healthy(read_text_layer(sample_pdf, index)) for index in range(6)]
    assert healthy == [True, True, True, False, False, True]


def test_recall_is_the_share_of_words_found_in_any_order() -> None:
    assert recall(ENGLISH, ENGLISH) == 1.0
    assert recall("one two three four", "FOUR, three; two\n") == 0.75
    assert recall("two two two two", "two") == 0.25
    assert recall("", "anything") == 1.0
    assert recall("words", "") == 0.0


def test_recall_sees_through_hyphens_ligatures_and_markdown() -> None:
    assert recall("the light-\nhouse \ufb01res", "# The **lighthouse** fires") == 1.0


def test_recall_counts_characters_where_there_are_no_spaces() -> None:
    assert recall("守塔人记", "守塔记人") == 1.0
    assert recall("守塔人记", "守塔") == 0.5


def test_recall_of_a_page_that_lost_its_second_half_is_low() -> None:
    assert recall(ENGLISH, ENGLISH[: len(ENGLISH) // 2]) < LOW_RECALL
