"""Spaces between figures and letters: a column of codes is written as most of its cells are."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from workers.layout.canvas import Canvas
from workers.layout.pages import words_of_lines
from workers.layout.words import pieces_of, text_of_row
from workers.lines import Line

CANVAS = Canvas(width=600, height=800, scale_x=1.0, scale_y=1.0)


def read(column: Sequence[str], x: float = 100) -> list[str]:
    lines = [
        Line(text=text, box=(x, 40 + 20 * i, x + 9 * len(text), 54 + 20 * i), confidence=0.9)
        for i, text in enumerate(column)
    ]
    return [text_of_row(piece) for piece in pieces_of(words_of_lines(lines, CANVAS, None))]


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        (["13 A", "14A", "13 B", "14 B", "13 A"], ["13 A", "14 A", "13 B", "14 B", "13 A"]),
        (["13A", "14A", "13 B", "14B", "13A"], ["13A", "14A", "13B", "14B", "13A"]),
        (["13 A", "14A", "14B", "13 B"], ["13 A", "14A", "14B", "13 B"]),
        (["14A", "about", "13 A", "paper"], ["14A", "about", "13 A", "paper"]),
        (["13 A", "14A-7", "13 B", "14 B", "13 A"], ["13 A", "14A-7", "13 B", "14 B", "13 A"]),
    ],
    ids=["most have a space", "most have none", "as many", "too few", "another code"],
)
def test_codes_of_a_column_are_written_as_most_of_them_are(column: list[str], wanted: list[str]) -> None:
    assert read(column) == wanted


def test_codes_elsewhere_have_no_say() -> None:
    lines = [
        Line(text=text, box=(x, 40 + 20 * i, x + 40, 54 + 20 * i), confidence=0.9)
        for i, (text, x) in enumerate([("13 A", 100), ("13 B", 100), ("14 A", 100), ("13 C", 100), ("2B", 300)])
    ]
    assert [word.text for word in words_of_lines(lines, CANVAS, None)][-1] == "2B"
