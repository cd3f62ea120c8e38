"""Transcripts and charts: speeches are paragraphs, text that a region leaves out comes back, boxes are read by rows."""

from __future__ import annotations

from workers.layout.build import build
from workers.layout.canvas import Canvas
from workers.layout.detect import Found, Region
from workers.layout.words import Word

CANVAS = Canvas(width=1200, height=1600, scale_x=2.0, scale_y=2.0)
SPEECHES = [
    "Q. Did you see the ship set sail from here",
    "that morning?",
    "A. Yes.",
    "MR. GROVE: One moment, if you please, to",
    "find the page.",
    "Q. And did it come back?",
    "A. No.",
]


def line(text: str, x: float, y: float, number: int) -> list[Word]:
    found = []
    for part in text.split():
        found.append(Word(text=part, box=(x, y, x + 6 * len(part), y + 12), line=number, size=10.0))
        x += 6 * len(part) + 3
    return found


def region(label: str, y: float, bottom: float, right: float = 400) -> Region:
    return Region(label=label, box=(40, y, right, bottom))


def texts(words: list[Word], *regions: Region) -> list[tuple[str, str]]:
    layout = build(words, Found(regions=regions), CANVAS)
    return [(block.kind, " ".join(block.text.split())) for block in layout.blocks]


def test_each_speech_of_a_transcript_is_a_paragraph() -> None:
    words = [word for i, text in enumerate(SPEECHES) for word in line(text, 50, 100 + 14 * i, i)]
    assert texts(words, region("list-item", 95, 140), region("text", 141, 210)) == [
        ("paragraph", "Q. Did you see the ship set sail from here that morning?"),
        ("paragraph", "A. Yes."),
        ("paragraph", "MR. GROVE: One moment, if you please, to find the page."),
        ("paragraph", "Q. And did it come back?"),
        ("paragraph", "A. No."),
    ]


def test_a_list_by_letters_is_no_transcript() -> None:
    rows = ["A. first of them", "B. second", "A. once more"]
    words = [word for i, text in enumerate(rows) for word in line(text, 50, 100 + 14 * i, i)]
    assert [kind for kind, _ in texts(words, region("list-item", 95, 150))] == ["list_item"] * 3


def test_a_line_that_a_region_leaves_out_stays_in_its_place() -> None:
    rows = ["the first of four lines", "the second one of them", "the third comes here", "and the last one"]
    words = [word for i, text in enumerate(rows) for word in line(text, 50, 100 + 14 * i, i)]
    first, left_out = region("text", 95, 160), Region(label="list-item", box=(45, 113, 390, 127))
    assert [text for _, text in texts(words, first, left_out)] == [rows[0], rows[1], f"{rows[2]} {rows[3]}"]


def test_boxes_of_a_chart_are_read_by_rows() -> None:
    words: list[Word] = []
    for r in range(3):
        for c in range(3):
            for i, text in enumerate((f"Name {r}{c} Surname", "Field Sales Pharma", "1/16/2012")):
                words += line(text, 50 + 180 * c, 100 + 80 * r + 14 * i, len(words))
    ground = Region(label="picture", box=(45, 95, 560, 400))
    found = [text.split()[1] for kind, text in texts(words, ground) if kind == "paragraph"]
    assert found == [f"{r}{c}" for r in range(3) for c in range(3)]


def test_a_picture_under_text_comes_before_it() -> None:
    words = [word for i in range(5) for word in line("words of a text over a picture and so on", 50, 300 + 14 * i, i)]
    above = line("above all of it", 50, 20, 9)
    ground = Region(label="picture", box=(40, 100, 500, 600))
    kinds = [kind for kind, _ in texts([*words, *above], ground, region("text", 295, 380))]
    assert kinds == ["paragraph", "figure", "paragraph"]
