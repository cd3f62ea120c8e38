"""Five laid out documents in every format that is made when it is asked for: each is read again and has all words."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import docx
import pymupdf
import pytest
from docling_core.transforms.chunker.hierarchical_chunker import HierarchicalChunker
from docling_core.types.doc.document import DoclingDocument
from twenty_documents import make_documents

from workers.layout.blocks import FURNITURE
from workers.layout.pages import layout_of_pdf_page, warm_up
from workers.results.alto import write_alto
from workers.results.chunks import write_chunks
from workers.results.docling import write_docling
from workers.results.docx_file import write_docx
from workers.results.hocr import write_hocr
from workers.results.outline import Outline, outline_of, with_outline
from workers.results.page import PageResult
from workers.sandbox.sandbox import Sandbox

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # docling-core's own, of its older names
PROSE = "The quick brown fox jumps over the lazy dog while the sun sets slowly behind the old mill by the river. " * 4
ROWS = "".join(f"<tr><td>{2019 + n}</td><td>{900 + 7 * n}</td><td>{801 + n}</td></tr>" for n in range(6))
MADE = {
    "traffic.pdf": f"<h1>Traffic of the Town</h1><p>{PROSE}</p><h2>Counting</h2><ul><li>first thing</li>"
    f"<li>second thing</li></ul><p>{PROSE}</p><table><tr><th>Year</th><th>Cars</th><th>Bikes</th></tr>{ROWS}</table>",
    "scripts.pdf": "<h1>Größe &amp; Maß</h1>"
    "<p>שלום לכולם, זה מסמך קצר.</p><p>これは短い文書です。</p><p>Это документ.</p>",
}
FOUND = ("one-page.pdf", "sample.pdf", "small-page.pdf")
NAMES = (*FOUND, *MADE)
SCALE = 2  # pixels to a point

Read = Callable[[list[PageResult], Outline], str]  # the text that a reader of the format finds


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[PageResult]]]:
    folder = tmp_path_factory.mktemp("documents")
    with closing(Sandbox(1, 1024, warm_up=warm_up)) as sandbox:
        made = {document.name: document.data for document in make_documents()}
        for name in FOUND:
            (folder / name).write_bytes(made[name])
        for name, html in MADE.items():
            write_pdf(folder / name, html)
        yield {name: pages_of(folder / name, sandbox) for name in NAMES}


def write_pdf(path: Path, html: str) -> None:
    with pymupdf.open() as pdf:
        pdf.new_page().insert_htmlbox(pymupdf.Rect(60, 50, 535, 780), html)
        pdf.save(path)


def pages_of(path: Path, sandbox: Sandbox) -> list[PageResult]:
    with pymupdf.open(path) as pdf:
        sizes = [(round(SCALE * page.rect.width), round(SCALE * page.rect.height)) for page in pdf]
    return [page_of(path, index, width, height, sandbox) for index, (width, height) in enumerate(sizes)]


def page_of(path: Path, index: int, width: int, height: int, sandbox: Sandbox) -> PageResult:
    layout = sandbox.run(layout_of_pdf_page, path, index, width=width, height=height, password="", timeout_s=60)
    lines = tuple({"text": line.text, "box": line.box, "confidence": line.confidence} for line in layout.lines)
    return PageResult(index=index, state="ok", width=width, height=height, lines=lines, blocks=layout.blocks)


def read_docling(pages: list[PageResult], outline: Outline) -> str:
    out = io.StringIO()
    write_docling("report", pages, outline, out)
    document = DoclingDocument.model_validate(json.loads(out.getvalue()))
    assert list(HierarchicalChunker().chunk(document)) or not any(page.lines for page in pages)
    assert document.export_to_markdown().strip() or not any(page.lines for page in pages)
    cells = [cell.text for table in document.tables for cell in table.data.table_cells]
    return " ".join([*(text.text for text in document.texts), *cells])


def read_chunks(pages: list[PageResult], outline: Outline) -> str:
    out = io.StringIO()
    write_chunks(pages, outline, out)
    return " ".join(json.loads(line)["text"] for line in out.getvalue().splitlines())


def read_hocr(pages: list[PageResult], outline: Outline) -> str:
    out = io.StringIO()
    write_hocr("report", pages, outline, out)
    return " ".join(ElementTree.fromstring(out.getvalue().encode()).itertext())


def read_alto(pages: list[PageResult], outline: Outline) -> str:
    out = io.StringIO()
    write_alto("report", pages, outline, out)
    root = ElementTree.fromstring(out.getvalue().encode())
    return " ".join(element.get("CONTENT", "") for element in root.iter())


def read_docx(pages: list[PageResult], outline: Outline) -> str:
    out = io.BytesIO()
    write_docx("report", pages, outline, lambda _: None, out)
    document: Any = docx.Document(out)
    fields = {field._tc: field.text for table in document.tables for row in table.rows for field in row.cells}
    return " ".join([*(paragraph.text for paragraph in document.paragraphs), *fields.values()])


READERS: dict[str, Read] = {
    "docling": read_docling, "chunks": read_chunks, "hocr": read_hocr, "alto": read_alto, "docx": read_docx,
}  # fmt: skip


@pytest.mark.parametrize("format", READERS)
@pytest.mark.parametrize("name", NAMES)
def test_all_words_of_a_document_are_in_each_format(
    documents: dict[str, list[PageResult]], name: str, format: str
) -> None:
    pages = documents[name]
    outline = outline_of(pages)
    settled = with_outline(pages, outline)
    texts = [block.text for page in settled for block in page.blocks if block.kind not in FURNITURE]
    wanted, found = letters(" ".join(texts)), letters(READERS[format](pages, outline))
    assert wanted.total() > 0
    assert wanted <= found


def letters(text: str) -> Counter[str]:
    """What no joining of lines takes away, and how often it is there."""
    return Counter(letter for letter in text if letter.isalnum())
