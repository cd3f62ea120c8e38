"""Documents against the truth that others made of them: words, order, headings and tables, ours beside the peers.

    python -m benchmarks.truth FOLDER [--engine ocr] [--drawn] [--text-layer ignore] [--peers pymupdf4llm …] [--each]

FOLDER has a `manifest.json`: a list of {file, kind, truth, set}, of kinds hocr, txt, md and icdar. Our pages go the way
of the product: the text layer where the pixels agree with it, else the engine, both put together where it covers a
part, then layout and Markdown. With `--text-layer ignore` the engine reads all, with `--drawn` PDFs are drawn at 150
dpi first and read as images. CPU seconds are those from the file to the words, and those of layout. Peers that are not
installed are left out.
"""

from __future__ import annotations

import argparse
import html
import io
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from statistics import mean

from PIL import Image

from benchmarks.report import publish, table
from benchmarks.truth_scores import Scores, f1, score
from tasks.settings import get_settings
from workers.documents.kinds import DocumentLimits
from workers.documents.open import inspect_document, render_page
from workers.documents.pages import judge_layer
from workers.documents.pdf import open_pdf
from workers.engines import Control, Engine, PageRequest
from workers.engines.registry import load_engine
from workers.layout.blocks import Block, PageLayout
from workers.layout.document import settle
from workers.layout.pages import layout_of_lines, layout_of_pdf_page, warm_up
from workers.reading.page_layer import PageLayer
from workers.reading.put_together import put_together

DRAWN_DPI = 150
PEER_TIMEOUT_S = 600
PEERS = {
    "pymupdf4llm": "import pymupdf4llm, sys; sys.stdout.write(pymupdf4llm.to_markdown(sys.argv[1]))",
    "ocrmypdf": "",
}


@dataclass(slots=True)
class Reader:
    """Our way from a file to Markdown, with the seconds of processor time that it took."""

    engine: Engine
    is_drawn: bool = False
    uses_layer: bool = True
    seconds: list[float] = field(default_factory=list)
    reading: list[float] = field(default_factory=list)  # of each page, from the file to its words

    def read(self, path: Path) -> str:
        num_pages = inspect_document(path, password="", limits=DocumentLimits()).num_pages
        pages = [self.page(path, index) for index in range(num_pages)]
        has_images = self.is_drawn or path.suffix != ".pdf"
        blocks = settle([page.blocks for page in pages], is_scan=has_images)
        return "\n\n".join(markdown_of(block, has_images) for page in blocks for block in page)

    def page(self, path: Path, index: int) -> PageLayout:
        started = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            source, place = (draw(path, index, Path(folder)), 0) if self.is_drawn else (path, index)
            page = render_page(source, place, spec=self.engine.image_spec, limits=DocumentLimits())
            layer = PageLayer(text="")
            if self.uses_layer and page.text_layer.strip() and not page.is_blank:
                layer = judge_layer(source, place, page, page.image, limits=DocumentLimits())
        if layer.verdict == "sound":
            self.reading.append(time.process_time() - started)
            return self.timed(lambda: layout_of_pdf_page(path, index, width=page.width, height=page.height))
        request = PageRequest(page_number=index + 1)
        (read,) = self.engine.generate([self.engine.prepare(page.image, request)], Control())
        read = put_together(read, layer.words)
        self.reading.append(time.process_time() - started)
        png = png_of(page.image)
        return self.timed(
            lambda: layout_of_lines(png, read.lines, width=page.width, height=page.height, rotation=read.rotation)
        )

    def timed(self, find: Callable[[], PageLayout]) -> PageLayout:
        started = time.process_time()
        layout = find()
        self.seconds.append(time.process_time() - started)
        return layout


def draw(path: Path, index: int, folder: Path) -> Path:
    """The page as a PNG of its own, as a scanner would give it."""
    drawn = folder / f"{path.stem}-{index}.png"
    open_pdf(path, "").load_page(index).get_pixmap(dpi=DRAWN_DPI).save(drawn)
    return drawn


def png_of(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def markdown_of(block: Block, has_images: bool) -> str:
    """Enough of Markdown for the ruler; text inside figures counts where the page is an image."""
    text = " ".join(block.text.split())
    if block.kind in ("page_header", "page_footer") or (block.kind == "figure" and not has_images):
        return ""
    if block.kind in ("title", "heading"):
        return f"{'#' * max(1, block.level)} {text}"
    if block.kind == "code":
        return f"```\n{block.text}\n```"
    return html_of(block) if block.cells else f"{block.marker} {text}".strip()


def html_of(block: Block) -> str:
    rows: dict[int, list[str]] = defaultdict(list)
    filled = {(c.row + r, c.column + k) for c in block.cells for r in range(c.row_span) for k in range(c.column_span)}
    starts = {(c.row, c.column): c for c in block.cells}
    for row in range(1 + max(r for r, _ in filled)):
        for column in range(1 + max(c for _, c in filled)):
            cell = starts.get((row, column))
            if cell:
                spans = f'rowspan="{cell.row_span}" colspan="{cell.column_span}"'
                rows[row].append(f"<td {spans}>{html.escape(cell.text)}</td>")
            elif (row, column) not in filled:
                rows[row].append("<td></td>")
    return "\n".join(["<table>", *(f"<tr>{''.join(rows[row])}</tr>" for row in sorted(rows)), "</table>"])


def read_with_peer(name: str, path: Path) -> str:
    """The Markdown or text that a peer makes of a file; nothing where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        image = ["--image-dpi", "150"] if path.suffix != ".pdf" else []
        command = [sys.executable, "-c", PEERS[name], str(path)]
        if name == "ocrmypdf":
            command = [name, "--skip-text", *image, "--sidecar", str(text), str(path), str(text.with_suffix(".pdf"))]
        run = subprocess.run(command, capture_output=True, text=True, timeout=PEER_TIMEOUT_S, check=False)
        return text.read_text() if text.exists() else run.stdout


def installed(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        if find_spec(name) or shutil.which(name):
            yield name


def rows_of(reader: str, scores: dict[str, list[Scores]]) -> list[list[object]]:
    """A row for each set of documents: means, and the pooled F1 of tables."""
    rows: list[list[object]] = []
    for name, found in scores.items():
        columns = [
            mean_of([getattr(each, key) for each in found])
            for key in ("word_f1", "error_rate", "heading_f1", "levels_agree", "table_f1")
        ]
        right, have, want = (sum(each.relations[i] for each in found) for i in range(3))
        rows.append([reader, name, len(found), *columns, f"{f1(right, have, want):.3f}" if want else ""])
    return rows


def mean_of(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{mean(known):.3f}" if known else ""


def main() -> None:
    args = parse_args()
    items = json.loads((args.folder / "manifest.json").read_text())
    items = [item for item in items if args.only in item.get("set", item["kind"])]
    engine = load_engine(args.engine, get_settings().engine_options(args.engine))
    engine.load()
    warm_up()
    ours = Reader(engine, is_drawn=args.drawn, uses_layer=args.text_layer == "auto")
    readers: dict[str, Callable[[Path], str]] = {"Pagefan": ours.read}
    for peer in installed(args.peers):
        readers[peer] = lambda path, name=peer: read_with_peer(name, path)  # type: ignore[misc]
    rows: list[list[object]] = []
    for reader, read in readers.items():
        scores: dict[str, list[Scores]] = defaultdict(list)
        for item in items:
            if not args.drawn or item["file"].endswith(".pdf"):
                found = score(read(args.folder / item["file"]), args.folder / item["truth"], item["kind"])
                scores[item.get("set", item["kind"])].append(found)
                if args.each:
                    print(reader, item["file"], found)  # noqa: T201
        rows += rows_of(reader, scores)
    header = [
        "reader",
        "set",
        "documents",
        "word F1",
        "CER in order",
        "heading F1",
        "levels agree",
        "table F1",
        "pooled",
    ]
    cost = f"From the file to its words: {mean(ours.reading):.2f} s of processor time a page. "
    cost += f"Layout took {mean(ours.seconds):.2f} s of processor time a page, over {len(ours.seconds)} pages."
    name = f"truth-{args.folder.name}" + ("-drawn" if args.drawn else "")
    name += "-read" if args.text_layer == "ignore" else ""
    publish(name, "Documents against the truth of others", [*table(header, rows), "", cost])


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="with manifest.json and the documents")
    parser.add_argument("--engine", default="ocr", help="for pages without a sound text layer")
    parser.add_argument("--drawn", action="store_true", help="draw PDFs first and read them as images")
    parser.add_argument("--text-layer", choices=("auto", "ignore"), default="auto", help="of PDFs")
    parser.add_argument("--only", default="", help="a part of the names of the sets that are read")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--each", action="store_true", help="print a line a document")
    return parser.parse_args()


if __name__ == "__main__":
    main()
