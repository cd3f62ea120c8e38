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
import io
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import mean

from PIL import Image

from benchmarks.report import publish, table
from benchmarks.truth_peers import NO_TABLES, PEERS, PeerError, installed, read_with_peer
from benchmarks.truth_scores import Scores, f1, score
from tasks.settings import get_settings
from workers.documents.kinds import DocumentLimits
from workers.documents.open import inspect_document, render_page
from workers.documents.pages import judge_layer
from workers.documents.pdf import open_pdf
from workers.documents.text_layer import TEXT_LAYER
from workers.engines import Control, Engine, PageRequest
from workers.engines.registry import load_engine
from workers.layout.blocks import PageLayout
from workers.layout.laid_out import lay_out_both
from workers.layout.pages import layout_of_lines, layout_of_pdf_page, warm_up
from workers.reading.page_layer import PageLayer
from workers.reading.put_together import put_together
from workers.results.markdown import write_markdown
from workers.results.outline import outline_of
from workers.results.page import PageResult

DRAWN_DPI = 150


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
        out = io.StringIO()
        write_markdown(pages, outline_of(pages), out)
        return out.getvalue()

    def page(self, path: Path, index: int) -> PageResult:
        layout, engine = self.layout(path, index)
        return PageResult(index=index, state="ok", engine=engine, blocks=layout.blocks)

    def layout(self, path: Path, index: int) -> tuple[PageLayout, str]:
        """The page's layout, and what its text is from."""
        started = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            source, place = (draw(path, index, Path(folder)), 0) if self.is_drawn else (path, index)
            page = render_page(source, place, spec=self.engine.image_spec, limits=DocumentLimits())
            layer = PageLayer(text="")
            if self.uses_layer and page.text_layer.strip() and not page.is_blank:
                layer = judge_layer(source, place, page, page.image, limits=DocumentLimits())
        if layer.verdict == "sound":
            self.reading.append(time.process_time() - started)
            width, height = page.width, page.height
            return self.timed(lambda: layout_of_pdf_page(path, index, width=width, height=height)), TEXT_LAYER
        request = PageRequest(page_number=index + 1)
        (read,) = self.engine.generate([self.engine.prepare(page.image, request)], Control())
        read = put_together(read, layer.words)
        self.reading.append(time.process_time() - started)
        png = png_of(page.image)
        if layer.verdict == "partial" and not read.rotation and not self.is_drawn:
            width, height = page.width, page.height
            both = partial(lay_out_both, path, png, read.lines, index, width=width, height=height)
            return self.timed(both), self.engine.name
        about = {"width": page.width, "height": page.height, "rotation": read.rotation}
        return self.timed(lambda: layout_of_lines(png, read.lines, **about)), self.engine.name

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


def is_asked(reader: str, item: dict[str, str], *, is_drawn: bool) -> bool:
    """Whether a reader reads a document: drawn are only PDFs, and tables are asked of those that make them."""
    if item["kind"] == "icdar" and reader in NO_TABLES:
        return False
    return not is_drawn or item["file"].endswith(".pdf")


def read_or_say(read: Callable[[Path], str], path: Path) -> str:
    """What is made of a document; nothing where a peer fails, and then it is said."""
    try:
        return read(path)
    except PeerError as exc:
        print(f"{path.name} scores nothing: {exc}", flush=True)  # noqa: T201
        return ""


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
    if not args.peers_only:
        engine.load()
        warm_up()
    ours = Reader(engine, is_drawn=args.drawn, uses_layer=args.text_layer == "auto")
    readers: dict[str, Callable[[Path], str]] = {} if args.peers_only else {"Pagefan": ours.read}
    for peer in installed(args.peers):
        readers[peer] = lambda path, name=peer: read_with_peer(name, path)  # type: ignore[misc]
    rows: list[list[object]] = []
    for reader, read in readers.items():
        scores: dict[str, list[Scores]] = defaultdict(list)
        for item in items:
            if is_asked(reader, item, is_drawn=args.drawn):
                found = score(read_or_say(read, args.folder / item["file"]), args.folder / item["truth"], item["kind"])
                scores[item.get("set", item["kind"])].append(found)
                if args.each:
                    print(reader, item["file"], found, flush=True)  # noqa: T201
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
    if args.peers_only:
        publish(f"truth-{args.folder.name}-peers", "The peers against the truth of others", table(header, rows))
        return
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
    parser.add_argument("--peers-only", action="store_true", help="run the peers without Pagefan")
    parser.add_argument("--each", action="store_true", help="print a line a document")
    return parser.parse_args()


if __name__ == "__main__":
    main()
