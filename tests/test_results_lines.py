"""hOCR and ALTO: well-formed for any text, each line once, and words in boxes along their lines."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.layout.blocks import KINDS, Block
from workers.results.alto import write_alto
from workers.results.hocr import write_hocr
from workers.results.line_blocks import TextLine, words_of
from workers.results.outline import Outline, outline_of
from workers.results.page import PageResult
from workers.results.xml_text import xml_text

ALTO = "{http://www.loc.gov/standards/alto/ns-v4#}"
HTML = "{http://www.w3.org/1999/xhtml}"
HOSTILE = st.text(st.sampled_from(list("ab1 <>&\"';]-\t\x00\x0b\ufffe\u2028é\u05d0\U0001f600")), max_size=20)
BOXES = st.tuples(*[st.floats(-10, 900, allow_nan=False)] * 4)
LINES = st.builds(
    lambda text, box, confidence: {"text": text, "box": box, "confidence": confidence},
    HOSTILE,
    BOXES,
    st.floats(0, 1),
)
AS_THEY_ARE = outline_of([])


def line(text: str, top: float, confidence: float = 0.9) -> dict[str, Any]:
    return {"text": text, "box": [100.0, top, 100.0 + 10 * len(text), top + 20], "confidence": confidence}


def page(number: int, *blocks: Block, lines: tuple[dict[str, Any], ...] = (), **more: Any) -> PageResult:
    values: dict[str, Any] = {"state": "ok", "width": 600, "height": 800} | more
    return PageResult(index=number - 1, blocks=blocks, lines=lines, **values)


def hocr(*pages: PageResult, outline: Outline = AS_THEY_ARE, name: str = "a&b.pdf") -> ElementTree.Element:
    out = io.StringIO()
    write_hocr(name, pages, outline, out)
    return ElementTree.fromstring(out.getvalue().encode())


def alto(*pages: PageResult, outline: Outline = AS_THEY_ARE, name: str = "a&b.pdf") -> ElementTree.Element:
    out = io.StringIO()
    write_alto(name, pages, outline, out)
    return ElementTree.fromstring(out.getvalue().encode())


def of_class(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [element for element in root.iter() if element.get("class") == name]


def hocr_words(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in of_class(root, "ocrx_word")]


def alto_words(root: ElementTree.Element) -> list[str]:
    return [element.attrib["CONTENT"] for element in root.iter(f"{ALTO}String")]


@pytest.mark.parametrize(("write", "words"), [(hocr, hocr_words), (alto, alto_words)])
def test_any_lines_in_any_blocks_are_there_once(
    write: Callable[..., ElementTree.Element], words: Callable[[ElementTree.Element], list[str]]
) -> None:
    @settings(max_examples=100, deadline=None)
    @given(st.data(), HOSTILE)
    def check(data: st.DataObject, name: str) -> None:
        lines = data.draw(st.lists(LINES, min_size=1, max_size=8).map(tuple))
        kinds = data.draw(st.lists(st.sampled_from(KINDS), max_size=4))
        places = data.draw(st.permutations(range(len(lines))))
        blocks = [
            Block(kind=kind, text="other", lines=tuple(places[2 * index : 2 * index + 2]))  # type: ignore[arg-type]
            for index, kind in enumerate(kinds)
        ]
        root = write(page(1, *blocks, lines=lines, rotation=data.draw(st.sampled_from([0, 90, 180, 270]))), name=name)
        wanted = [word for each in lines for word in xml_text(str(each["text"])).split()]
        assert sorted(words(root)) == sorted(wanted)
        ids = [element.get("id") or element.get("ID") for element in root.iter()]
        assert len(set(filter(None, ids))) == len(list(filter(None, ids)))

    check()


WHOLE = (
    page(
        1,
        Block(kind="page_header", text="Head", lines=(0,), box=(100, 10, 140, 30)),
        Block(kind="paragraph", text="Two words\nmore", lines=(1, 2)),
        Block(kind="table", text="7 9", lines=(3,), box=(90, 190, 300, 230)),
        Block(kind="figure", text="", box=(0, 300, 200, 400), figure="p001-1.png"),
        lines=(line("Head", 10), line("Two words", 100, 0.875), line("more", 130), line("7 9", 200)),
        confidence=0.9,
    ),
    page(2, Block(kind="paragraph", text="From a\nmodel", markup="markdown")),
    page(3, state="failed", reason="timeout"),
)


def test_hocr_has_pages_with_images_blocks_lines_and_words_with_confidence() -> None:
    root = hocr(*WHOLE)
    titles = [each.attrib["title"] for each in of_class(root, "ocr_page")]
    assert titles[0] == 'image "pages/000001.png"; bbox 0 0 600 800; ppageno 0'
    assert len(titles) == 3
    assert [each.attrib["title"] for each in of_class(root, "ocrx_word")][1:3] == [
        "bbox 100 100 130 120; x_wconf 88",
        "bbox 140 100 190 120; x_wconf 88",
    ]
    assert of_class(root, "ocr_header")[0].attrib["title"] == "bbox 100 10 140 30"
    assert of_class(root, "ocr_table")[0].attrib["title"] == "bbox 90 190 300 230"
    assert of_class(root, "ocr_photo")[0].attrib["title"] == "bbox 0 300 200 400"
    assert hocr_words(root)[-6:] == ["a", "model", "[VLM_ERROR", "page", "3]:", "timeout"]
    assert all(re.fullmatch(r"bbox( \d+){4}.*", each.attrib["title"]) for each in boxed(root))


def boxed(root: ElementTree.Element) -> Iterator[ElementTree.Element]:
    return (each for each in root.iter() if each.get("title") and each.get("class") != "ocr_page")


def test_alto_has_the_parts_that_its_schema_wants_in_its_order() -> None:
    root = alto(*WHOLE)
    assert [child.tag for child in root] == [f"{ALTO}{name}" for name in ("Description", "Tags", "Layout")]
    pages = list(root.iter(f"{ALTO}Page"))
    assert pages[0].attrib == {
        "ID": "page_1", "PHYSICAL_IMG_NR": "1", "WIDTH": "600", "HEIGHT": "800", "PC": "0.900",
    }  # fmt: skip
    [one, two] = [each for each in root.iter(f"{ALTO}String") if each.attrib["CONTENT"] in ("Two", "words")]
    assert one.attrib == {
        "CONTENT": "Two", "HPOS": "100.0", "VPOS": "100.0", "WIDTH": "30.0", "HEIGHT": "20.0", "WC": "0.875",
    }  # fmt: skip
    assert (two.attrib["HPOS"], two.attrib["WIDTH"]) == ("140.0", "50.0")
    assert [each.attrib["TYPE"] for each in root.iter(f"{ALTO}ComposedBlock")] == ["table", "figure"]
    assert [each.attrib["FILEID"] for each in root.iter(f"{ALTO}Illustration")] == ["figures/p001-1.png"]
    labels = {tag.attrib["ID"]: tag.attrib["LABEL"] for tag in root.iter(f"{ALTO}LayoutTag")}
    assert labels[next(root.iter(f"{ALTO}TextBlock")).attrib["TAGREFS"]] == "page_header"
    [model] = [each for each in root.iter(f"{ALTO}String") if each.attrib["CONTENT"] == "model"]
    assert set(model.attrib) == {"CONTENT"}  # nothing is made up where the engine gives no boxes


def test_alto_names_the_images_of_all_pages() -> None:
    root = alto(*WHOLE, outline=outline_of(WHOLE))
    images = [each.text for each in root.iter(f"{ALTO}fileIdentifier")]
    assert images == ["pages/000001.png", "pages/000002.png", "pages/000003.png"]


@pytest.mark.parametrize(
    ("text", "box", "rotation", "boxes"),
    [
        ("ab cde", (0, 0, 60, 10), 0, [(0, 0, 20, 10), (30, 0, 60, 10)]),
        ("אב גדה", (0, 0, 60, 10), 0, [(40, 0, 60, 10), (0, 0, 30, 10)]),
        ("ab cde", (0, 0, 10, 60), 0, [(0, 0, 10, 20), (0, 30, 10, 60)]),
        ("ab cde", (0, 0, 10, 60), 90, [(0, 40, 10, 60), (0, 0, 10, 30)]),
        ("ab cde", (0, 0, 60, 10), 180, [(40, 0, 60, 10), (0, 0, 30, 10)]),
        ("ab cde", (0, 0, 10, 60), 270, [(0, 0, 10, 20), (0, 30, 10, 60)]),
    ],
)
def test_words_follow_one_another_as_their_line_runs(
    text: str, box: tuple[float, float, float, float], rotation: int, boxes: list[tuple[float, ...]]
) -> None:
    found = words_of(TextLine(text, box, None), rotation)
    assert [word for word, _ in found] == text.split()
    assert [place for _, place in found] == [pytest.approx(each) for each in boxes]


def test_lines_of_an_older_result_without_blocks_are_there() -> None:
    found = page(1, Block(kind="paragraph", text="One two"), lines=(line("One", 10), line("two", 40)))
    assert alto_words(alto(found)) == hocr_words(hocr(found)) == ["One", "two"]
