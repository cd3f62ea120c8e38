"""A text layer stands for its page where the pixels agree, and only there."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.documents.kinds import DocumentLimits
from workers.documents.layer import is_picture, layer_words
from workers.documents.open import render_page
from workers.documents.pdf import open_own_pdf
from workers.engines import ImageSpec
from workers.engines.ocr.light import light_reader
from workers.light_pymupdf import pymupdf
from workers.reading.trust import Trust, judge_layer

SPEC = ImageSpec(factor=32, max_side=1760, min_letter=9.0, takes_large=True)
WORDS = """
    the lease agreement between both parties begins on first of March and ends after twelve months unless one gives
    notice in writing rent is paid monthly in advance to the account named below repairs are agreed before they start
""".split()  # noqa: SIM905
FONTS = ("helv", "tiro", "cour", "hebo", "tiit", "cobi")
CYRILLIC = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
FEW = settings(max_examples=6, deadline=None)
SHIFTS = st.integers(1, 25)
SEEDS = st.integers(0, 1000)


def lines_of(seed: int, *, number: int = 16, letters: int = 52) -> list[str]:
    chosen = random.Random(seed)
    lines = []
    for _ in range(number):
        line = ""
        while len(line) < letters:
            line += f"{chosen.choice(WORDS)} "
        lines.append(line.strip().capitalize())
    return lines


def shifted(line: str, shift: int) -> str:
    lower = string.ascii_lowercase
    return line.lower().translate(str.maketrans(lower, lower[shift:] + lower[:shift]))


def junk(line: str) -> str:
    chosen = random.Random(line)
    return "".join(" " if c == " " else chosen.choice("aeiouclrtn1IO") for c in line)


def draw(lines: Sequence[str], *, font: str = "helv", size: float = 11, first: int = 0) -> pymupdf.Document:
    document = pymupdf.open()
    write(document.new_page(), lines, font=font, size=size, first=first)
    return document


def write(page: pymupdf.Page, lines: Sequence[str], *, font: str = "helv", size: float = 11, first: int = 0) -> None:
    for place, line in enumerate(lines, first):
        page.insert_text((56, 80 + place * 40), line, fontname=font, fontsize=size)


def scanned(lines: Sequence[str], layer: Sequence[str], *, first: int = 0) -> pymupdf.Document:
    """The lines as a picture, with other lines as hidden text over it."""
    scan = pymupdf.open()
    page = scan.new_page()
    page.insert_image(page.rect, pixmap=draw(lines)[0].get_pixmap(dpi=150))
    for place, line in enumerate(layer, first):
        page.insert_text((56, 80 + place * 40), line, fontname="helv", fontsize=11, render_mode=3)
    return scan


@pytest.fixture
def judge(tmp_path: Path) -> Callable[[pymupdf.Document], Trust]:
    return lambda document: judge_in(tmp_path, document)


def judge_in(folder: Path, document: pymupdf.Document) -> Trust:
    path = folder / "page.pdf"
    document.save(path)
    image = render_page(path, 0, spec=SPEC, limits=DocumentLimits()).image
    page = open_own_pdf(path, "").load_page(0)
    words = layer_words(page, image.width, image.height)
    return judge_layer(image, words, light_reader(), is_picture=is_picture(page))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trust")


@FEW
@given(font=st.sampled_from(FONTS), size=st.floats(7, 12), seed=SEEDS)
def test_text_that_can_be_seen_is_sound(folder: Path, font: str, size: float, seed: int) -> None:
    trust = judge_in(folder, draw(lines_of(seed, letters=50), font=font, size=size))
    assert (trust.verdict, trust.reason) == ("sound", "")
    assert trust.cover > 0.95
    assert trust.agreement is not None
    assert trust.agreement > 0.9


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_sound_text_on_a_turned_page_is_sound(judge: Callable[[pymupdf.Document], Trust], rotation: int) -> None:
    document = draw(lines_of(1))
    document[0].set_rotation(rotation)
    trust = judge(document)
    assert trust.verdict == "sound"
    assert trust.agreement is not None


def test_true_text_over_a_scan_is_sound(judge: Callable[[pymupdf.Document], Trust]) -> None:
    lines = lines_of(3)
    assert judge(scanned(lines, lines)).verdict == "sound"


@FEW
@given(shift=SHIFTS, seed=SEEDS)
def test_shifted_alphabet_is_unsound(folder: Path, shift: int, seed: int) -> None:
    lines = lines_of(seed)
    assert judge_in(folder, scanned(lines, [shifted(line, shift) for line in lines])).verdict == "unsound"


@FEW
@given(seed=SEEDS)
def test_junk_of_an_older_reading_is_unsound(folder: Path, seed: int) -> None:
    lines = lines_of(seed)
    assert judge_in(folder, scanned(lines, [junk(line) for line in lines])).verdict == "unsound"


@FEW
@given(shift=SHIFTS, seed=SEEDS, first=st.integers(0, 12))
def test_one_band_of_another_alphabet_is_unsound(folder: Path, shift: int, seed: int, first: int) -> None:
    lines = lines_of(seed)
    layer = [shifted(line, shift) if first <= place < first + 4 else line for place, line in enumerate(lines)]
    assert judge_in(folder, scanned(lines, layer)).verdict == "unsound"


@FEW
@given(seed=SEEDS, place=st.sampled_from([20, 820]))
def test_stamp_over_a_scan_is_unsound(folder: Path, seed: int, place: int) -> None:
    document = scanned(lines_of(seed), [])
    document[0].insert_text((60, place), "Downloaded from the county archive, for personal use", fontsize=8)
    assert judge_in(folder, document).verdict == "unsound"


@FEW
@given(seed=SEEDS, known=st.integers(3, 13))
def test_layer_of_some_lines_of_a_scan_is_partial_and_the_rest_is_named(folder: Path, seed: int, known: int) -> None:
    lines = lines_of(seed)
    trust = judge_in(folder, scanned(lines, lines[:known]))
    assert trust.verdict == "partial"
    scale = 1760 / 842
    inside = [any(y0 < (76 + place * 40) * scale < y1 for _, y0, _, y1 in trust.bare) for place in range(16)]
    assert inside == [place >= known for place in range(16)]


def test_picture_of_text_beside_text_makes_the_layer_partial(judge: Callable[[pymupdf.Document], Trust]) -> None:
    document = draw(lines_of(1, number=12))
    picture = draw(lines_of(2, number=3))[0].get_pixmap(dpi=150, clip=(40, 50, 555, 190))
    document[0].insert_image((40, 640, 555, 780), pixmap=picture)
    assert judge(document).verdict == "partial"


def test_drawing_beside_text_leaves_it_sound(judge: Callable[[pymupdf.Document], Trust]) -> None:
    document = draw(lines_of(1, number=8))
    chosen = random.Random(1)
    for _ in range(60):
        x, y = chosen.uniform(60, 500), chosen.uniform(420, 760)
        document[0].draw_line((x, y), (x + chosen.uniform(-40, 40), y + chosen.uniform(-40, 40)), width=0.7)
    assert judge(document).verdict == "sound"


def watermark(page: pymupdf.Page, degrees: float) -> None:
    size = 60 if degrees else 180
    turned = (pymupdf.Point(60, 700), pymupdf.Matrix(degrees))
    page.insert_text(
        (60, 700), "DRAFT COPY" if degrees else "DRAFT", fontsize=size, color=(0.9, 0.9, 0.9), morph=turned
    )


@pytest.mark.parametrize("degrees", [0, 30, 45])
def test_watermark_leaves_sound_text_sound_and_covers_nothing_of_a_scan(folder: Path, degrees: float) -> None:
    for document, verdict in ((draw(lines_of(1)), "sound"), (scanned(lines_of(1), []), "unsound")):
        watermark(document[0], degrees)
        assert judge_in(folder, document).verdict == verdict


@FEW
@given(seed=SEEDS)
def test_layer_of_a_scan_with_a_letter_in_eight_wrong_is_unsound(folder: Path, seed: int) -> None:
    lines = lines_of(seed)
    layer = ["".join("x" if place % 8 == 5 else letter for place, letter in enumerate(line)) for line in lines]
    assert judge_in(folder, scanned(lines, layer)).verdict == "unsound"


def test_text_that_is_there_twice_counts_once(judge: Callable[[pymupdf.Document], Trust]) -> None:
    document = draw(lines_of(1))
    write(document[0], lines_of(1))
    trust = judge(document)
    assert trust.verdict == "sound"
    assert [word.text for word in trust.words] == " ".join(lines_of(1)).split()


def test_words_that_nobody_sees_are_left_out(judge: Callable[[pymupdf.Document], Trust]) -> None:
    document = draw(lines_of(1))
    document[0].insert_text((56, 800), "Set in white ink", fontsize=8, color=(1, 1, 1))
    trust = judge(document)
    assert trust.verdict == "sound"
    assert "white" not in {word.text for word in trust.words}


def test_layer_that_lies_beside_the_print_is_unsound(judge: Callable[[pymupdf.Document], Trust]) -> None:
    lines = lines_of(1, number=4)
    assert "no ink" in judge(scanned(lines, lines_of(1), first=5)).reason


@pytest.mark.skipif(not CYRILLIC.exists(), reason="needs the DejaVu fonts")
def test_script_that_the_reader_does_not_know_is_judged_by_cover(judge: Callable[[pymupdf.Document], Trust]) -> None:
    document = pymupdf.open()
    page = document.new_page()
    page.insert_font(fontname="dv", fontfile=str(CYRILLIC))
    write(page, ["Договор аренды жилого помещения заключён в Москве"] * 12, font="dv")
    trust = judge(document)
    assert (trust.verdict, trust.agreement) == ("sound", None)


@pytest.mark.skipif(not CYRILLIC.exists(), reason="needs the DejaVu fonts")
def test_letters_of_another_script_over_latin_print_are_unsound(judge: Callable[[pymupdf.Document], Trust]) -> None:
    scan = scanned(lines_of(4), [])
    scan[0].insert_font(fontname="dv", fontfile=str(CYRILLIC))
    for place, line in enumerate(lines_of(4)):
        other = "".join(chr(0x430 + ord(c) % 32) if c.isalpha() else c for c in line)
        scan[0].insert_text((56, 80 + place * 40), other, fontname="dv", fontsize=9, render_mode=3)
    assert judge(scan).verdict == "unsound"


def test_layer_without_words_is_unsound(judge: Callable[[pymupdf.Document], Trust]) -> None:
    assert judge(scanned(lines_of(1), [])).verdict == "unsound"
