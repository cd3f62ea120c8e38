"""The layout of whole pages by the model, in the sandbox: a PDF's own text, and lines read from an image."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pymupdf
import pytest
from conftest import plain_env
from PIL import Image

from workers.engines import Line
from workers.layout.blocks import PageLayout
from workers.layout.crops import crop_image
from workers.layout.figures import crop_pdf
from workers.layout.laid_out import lay_out_both
from workers.layout.pages import encode, layout_of_lines, layout_of_pdf_page, warm_up
from workers.layout.rules import find_bars, find_rules
from workers.layout.scan_page import make_document
from workers.layout.scan_words import split_line
from workers.sandbox.sandbox import Sandbox

DPI = 150
WIDTH, HEIGHT = 1240, 1754  # pixels, A4 at that resolution
PROSE = "The quick brown fox jumps over the lazy dog while the sun sets slowly behind the old mill by the river. " * 5
CELLS = [["Year", "Cars", "Bikes", "Trains"], ["2019", "1,204", "733", "51"], ["2020", "998", "812", "49"]]
CELLS += [[str(2021 + i), str(900 + 7 * i), str(801 + i), str(40 + i)] for i in range(5)]
HTML = f"""<h1>Traffic of the Town</h1><p>{PROSE}</p><h2>Counting</h2><p>{PROSE}</p>
<ul><li>first thing to see</li><li>second thing to see</li></ul>"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with closing(Sandbox(1, 1024, warm_up=warm_up)) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with headings, prose, a list and a ruled table."""
    path = tmp_path_factory.mktemp("layout") / "page.pdf"
    with pymupdf.open() as pdf:
        page = pdf.new_page()
        page.insert_htmlbox(pymupdf.Rect(60, 50, 535, 480), HTML)
        for r, row in enumerate(CELLS):
            for c, text in enumerate(row):
                box = pymupdf.Rect(80 + c * 110, 500 + r * 22, 190 + c * 110, 522 + r * 22)
                page.draw_rect(box)
                page.insert_text((box.x0 + 6, box.y1 - 7), text, fontsize=10)
        pdf.save(path)
    return path


def page_image(path: Path) -> bytes:
    with pymupdf.open(path) as pdf:
        pixmap = pdf[0].get_pixmap(matrix=pymupdf.Matrix(WIDTH / pdf[0].rect.width, HEIGHT / pdf[0].rect.height))
        return bytes(pixmap.tobytes("png"))


def read_lines(path: Path) -> list[Line]:
    """The page's lines as an engine would read them: a row of the table is often one line."""
    with pymupdf.open(path) as pdf:
        page = pdf[0]
        scale = WIDTH / page.rect.width
        rows: dict[int, list[tuple[float, float, float, float, str]]] = {}
        for x0, y0, x1, y1, text, *_ in page.get_text("words"):
            rows.setdefault(round((y0 + y1) / 6), []).append((x0, y0, x1, y1, text))
    lines = []
    for row in rows.values():
        row.sort()
        box = (min(w[0] for w in row), min(w[1] for w in row), max(w[2] for w in row), max(w[3] for w in row))
        x0, y0, x1, y1 = (value * scale for value in box)
        lines.append(Line(text=" ".join(w[4] for w in row), box=(x0, y0, x1, y1), confidence=0.98))
    return lines


def cells_of(layout: PageLayout) -> list[list[str]]:
    (table,) = [block for block in layout.blocks if block.kind == "table"]
    rows = [["" for _ in CELLS[0]] for _ in CELLS]
    for cell in table.cells:
        rows[cell.row][cell.column] = cell.text
    return rows


def heads(layout: PageLayout) -> list[str]:
    return [block.text for block in layout.blocks if block.kind in ("title", "heading")]


def test_a_born_digital_page_becomes_blocks(sandbox: Sandbox, document: Path) -> None:
    layout = sandbox.run(layout_of_pdf_page, document, 0, width=WIDTH, height=HEIGHT, password="", timeout_s=60)
    assert heads(layout) == ["Traffic of the Town", "Counting"]
    assert cells_of(layout) == CELLS
    assert [block.text for block in layout.blocks if block.kind == "list_item"] == [
        "first thing to see",
        "second thing to see",
    ]
    assert all(line.confidence == 1.0 for line in layout.lines)
    assert all(
        0 <= line.box[0] < line.box[2] <= WIDTH and 0 <= line.box[1] < line.box[3] <= HEIGHT for line in layout.lines
    )


def test_lines_read_from_its_image_become_the_same_table(sandbox: Sandbox, document: Path) -> None:
    lines = read_lines(document)
    layout = sandbox.run(
        layout_of_lines, page_image(document), lines, width=WIDTH, height=HEIGHT, rotation=0, timeout_s=60
    )
    assert cells_of(layout) == CELLS
    assert "Counting" in heads(layout)


def test_lines_read_beside_a_pages_own_text_join_it(sandbox: Sandbox, document: Path) -> None:
    lines = [*read_lines(document), Line(text="Stamp of the office", box=(100, 1600, 420, 1640), confidence=0.9)]
    layout = sandbox.run(
        lay_out_both, document, page_image(document), lines, 0, width=WIDTH, height=HEIGHT, timeout_s=60
    )
    texts = [block.text for block in layout.blocks]
    assert cells_of(layout) == CELLS
    assert texts.count("Stamp of the office") == 1
    assert texts.count("Counting") == 1


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_page_has_its_blocks_where_they_lie_on_it(
    sandbox: Sandbox, document: Path, tmp_path: Path, rotation: int
) -> None:
    """Turned by its /Rotate, as scanners do; boxes are those of the page as it is shown."""
    path = tmp_path / "turned.pdf"
    with pymupdf.open(document) as pdf:
        pdf[0].set_rotation(rotation)
        pdf.save(path)
    width, height = (HEIGHT, WIDTH) if rotation in (90, 270) else (WIDTH, HEIGHT)
    layout = sandbox.run(layout_of_pdf_page, path, 0, width=width, height=height, timeout_s=60)
    upright = sandbox.run(layout_of_pdf_page, document, 0, width=WIDTH, height=HEIGHT, timeout_s=60)
    assert heads(layout) == heads(upright)
    x0, y0, x1, y1 = next(block.box for block in upright.blocks if block.text == "Counting" and block.box)
    turned = {90: (HEIGHT - y1, x0, HEIGHT - y0, x1), 180: (WIDTH - x1, HEIGHT - y1, WIDTH - x0, HEIGHT - y0)}
    turned[270] = (y0, WIDTH - x1, y1, WIDTH - x0)
    found = next(block.box for block in layout.blocks if block.text == "Counting")
    assert found == pytest.approx(turned[rotation], abs=4)


def test_hidden_text_beside_seen_text_is_left_out(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "hidden.pdf"
    with pymupdf.open() as pdf:
        page = pdf.new_page()
        page.insert_text((72, 100), "Everybody sees this sentence.")
        page.insert_text((72, 130), "Nobody sees it", render_mode=3)
        pdf.save(path)
    layout = sandbox.run(layout_of_pdf_page, path, 0, width=WIDTH, height=HEIGHT, timeout_s=60)
    assert [line.text for line in layout.lines] == ["Everybody sees this sentence."]


def test_a_picture_that_the_model_has_no_region_for_is_a_figure(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "picture.pdf"
    with pymupdf.open() as pdf:
        page = pdf.new_page()
        page.insert_textbox(pymupdf.Rect(60, 60, 535, 300), PROSE * 2, fontsize=11)
        page.insert_image(pymupdf.Rect(190, 400, 400, 600), stream=page_png())
        pdf.save(path)
    layout = sandbox.run(layout_of_pdf_page, path, 0, width=WIDTH, height=HEIGHT, timeout_s=60)
    (box,) = [block.box for block in layout.blocks if block.kind == "figure"]
    assert box == pytest.approx((190 * WIDTH / 595, 400 * HEIGHT / 842, 400 * WIDTH / 595, 600 * HEIGHT / 842), abs=30)


def page_png() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((210, 200), 60).save(out, "PNG")
    return out.getvalue()


def test_a_page_without_text_has_no_lines(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "empty.pdf"
    with pymupdf.open() as pdf:
        pdf.new_page()
        pdf.save(path)
    layout = sandbox.run(layout_of_pdf_page, path, 0, width=WIDTH, height=HEIGHT, timeout_s=60)
    assert layout.lines == ()
    assert sandbox.run(layout_of_lines, None, [], width=100, height=100, timeout_s=60).lines == ()


WITHOUT = "import workers.documents.pdf, workers.results.searchable_pdf, sys"
WITH = "from workers.layout.pages import warm_up; warm_up(); import sys"


@pytest.mark.parametrize(("script", "loaded"), [(WITHOUT, "False"), (WITH, "True")], ids=["readers", "layout"])
def test_only_the_process_that_finds_layout_loads_the_models(script: str, loaded: str) -> None:
    show = "; print(any(sys.modules.get(name) for name in ('pymupdf.layout', 'pymupdf4llm', 'onnxruntime')))"
    run = subprocess.run(
        [sys.executable, "-c", script + show], env=plain_env(), capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == loaded


def test_a_figure_is_cut_at_the_resolution_of_its_picture(tmp_path: Path) -> None:
    path = tmp_path / "figure.pdf"
    picture = Image.effect_noise((600, 300), 50)
    out = io.BytesIO()
    picture.save(out, "PNG")
    with pymupdf.open() as pdf:
        page = pdf.new_page()
        page.insert_image(pymupdf.Rect(100, 100, 220, 160), stream=out.getvalue())
        pdf.save(path)
        width, height = round(page.rect.width), round(page.rect.height)
    crop = Image.open(io.BytesIO(crop_pdf(path, 0, (100, 100, 220, 160), width=width, height=height)))
    assert crop.size == pytest.approx((3 * 128, 3 * 68), abs=4)  # the limit, for 5 pixels a point


def test_a_figure_is_cut_from_an_image_with_a_margin_inside_it() -> None:
    out = io.BytesIO()
    Image.new("L", (100, 80)).save(out, "PNG")
    assert Image.open(io.BytesIO(crop_image(out.getvalue(), (0, 10, 50, 90)))).size == (54, 74)


def test_words_of_a_line_are_placed_by_the_white_between_them() -> None:
    grey = np.full((40, 400), 255, np.uint8)
    for start, end in ((10, 60), (200, 240), (300, 390)):
        grey[10:30, start:end] = 0
    words = split_line("alpha 12 gamma", (8.0, 5.0, 392.0, 35.0), grey, 0, 0.9)
    assert [(word.text, round(word.box[0]), round(word.box[2])) for word in words] == [
        ("alpha", 8, 60),
        ("12", 200, 240),
        ("gamma", 300, 392),
    ]


def test_a_wide_blank_that_the_text_does_not_show_parts_it_without_a_space() -> None:
    grey = np.full((40, 400), 255, np.uint8)
    grey[10:30, 10:60] = grey[10:30, 300:350] = 0
    words = split_line("1234567890", (8.0, 5.0, 352.0, 35.0), grey, 0, 0.9)
    assert [word.text for word in words] == ["12345", "67890"]
    assert [word.is_glued for word in words] == [False, True]


@pytest.mark.parametrize(("blank", "wanted"), [(12, ["13", "A"]), (3, ["13A"])], ids=["space", "letters"])
def test_a_space_that_the_engine_lost_between_a_figure_and_a_letter_is_put_back(blank: int, wanted: list[str]) -> None:
    grey = np.full((40, 200), 255, np.uint8)
    grey[10:30, 10:50] = grey[10:30, 50 + blank : 70 + blank] = 0
    words = split_line("13A", (8.0, 5.0, 72.0 + blank, 35.0), grey, 0, 0.9)
    assert [word.text for word in words] == wanted
    assert not any(word.is_glued for word in words)


def test_rules_are_found_and_letters_are_not() -> None:
    grey = np.full((400, 600), 255, np.uint8)
    grey[100:102, 50:550] = 0
    grey[100:300, 50:52] = 0
    grey[200:212, 100:110] = 0
    assert sorted(find_rules(grey)) == [(50.0, 100.0, 52.0, 300.0), (50.0, 100.0, 550.0, 102.0)]


def test_a_page_image_comes_to_the_model_without_being_packed_anew() -> None:
    picture = encode(Image.linear_gradient("L"))
    with make_document(picture, [], [], 200, 200) as document:
        blocks = document.load_page(0).get_text("dict", flags=pymupdf.TEXT_PRESERVE_IMAGES)["blocks"]
    assert [block["image"] for block in blocks] == [picture]


def test_bars_across_the_page_are_found_and_pictures_are_not() -> None:
    grey = np.full((800, 600), 255, np.uint8)
    grey[96:120, 40:560] = np.where(np.indices((24, 520)).sum(axis=0) % 4, 0, 255)  # printed dots
    grey[300:600, 40:560] = 60
    assert find_bars(grey) == [(40.0, 96.0, 560.0, 120.0)]
