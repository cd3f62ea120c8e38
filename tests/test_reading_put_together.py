"""A page that a text layer covers in part has each line once: the layer's where it has it, else what was read."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from workers.engines import Generation, Line
from workers.reading.layer_lines import LayerWord
from workers.reading.put_together import put_together

TEXTS = [
    "Lease agreement for the house at the old harbour", "between the parties named below and their heirs",
    "rent is paid in advance on the first of the month", "repairs are agreed in writing before they begin",
    "either side may end the lease after twelve months", "the keys are handed over on the day of moving in",
]  # fmt: skip
HEIGHT, PITCH, LETTER = 20.0, 30.0, 10.0


def words_of(line: int, text: str | None = None, *, left: float = 50.0, angle: int = 0) -> list[LayerWord]:
    words, x, top = [], left, 50 + line * PITCH
    for word in (text or TEXTS[line]).split():
        words.append(LayerWord(word, (x, top, x + LETTER * len(word), top + HEIGHT), line, angle))
        x += LETTER * (len(word) + 1)
    return words


def read(line: int, text: str | None = None) -> Line:
    top = 50 + line * PITCH
    text = misread(TEXTS[line]) if text is None else text
    return Line(text=text, box=(46.0, top - 3, 54 + LETTER * len(TEXTS[line]), top + HEIGHT + 3), confidence=0.7)


def misread(text: str) -> str:
    return text.replace("l", "1").replace("rn", "m").capitalize()


def texts(generation: Generation) -> list[str]:
    return [line.text for line in generation.lines]


@settings(deadline=None, max_examples=60)
@given(known=st.sets(st.sampled_from(range(6))), seen=st.sets(st.sampled_from(range(6)), min_size=1))
def test_each_line_is_there_once_and_in_order(known: set[int], seen: set[int]) -> None:
    words = [word for line in sorted(known, reverse=True) for word in words_of(line)]
    found = put_together(Generation(text="", lines=tuple(read(line) for line in sorted(seen))), words)
    expected = [TEXTS[line] if line in known else misread(TEXTS[line]) for line in sorted(known | seen)]
    assert texts(found) == expected
    if known:
        assert found.text.split() == " ".join(expected).split()


def test_line_that_the_layer_has_in_part_stays_as_it_was_read() -> None:
    found = put_together(Generation(text="", lines=(read(0),)), words_of(0)[:3])
    assert texts(found) == [misread(TEXTS[0])]


def test_line_that_reads_quite_otherwise_stays_as_it_was_read() -> None:
    line = read(0, "2041-77 / qx")
    assert texts(put_together(Generation(text="", lines=(line,)), words_of(0))) == [line.text]


def test_words_of_a_column_become_a_line_of_their_own() -> None:
    wide = words_of(0) + words_of(0, "in the margin", left=900)
    assert texts(put_together(Generation(text="", lines=(read(0),)), wide)) == [TEXTS[0], "in the margin"]


def test_readings_without_places_or_on_a_turned_page_stay_as_they_are() -> None:
    for generation in (
        Generation(text="read"),
        Generation(text="read", lines=(read(0),), rotation=90),
        Generation(text="read", lines=(read(0),), stop_reason="timeout"),
    ):
        assert put_together(generation, words_of(0)) is generation
    level = Generation(text="read", lines=(read(0),))
    assert put_together(level, words_of(0, angle=90)) is level
