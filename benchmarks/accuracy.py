"""How well an engine reads: error against the ground truth of the corpus, a line a document.

    python -m benchmarks.accuracy --engine ocr --pages 4 --max-dimension 1280 1760

The character error rate (CER) is the Levenshtein distance over the length of the truth, in order: it counts
wrong letters and wrong reading order alike. The truth of a PDF is in the order of its content stream, which is
not always that of a reader. Word F1 compares the words without their order. White space is one space and
typographic variants (ligatures, quotes, dashes) are unified before both. CPU seconds are those of all threads; they
tell more than seconds on a machine that has other work to do.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rapidfuzz.distance import Levenshtein

from benchmarks.report import publish, table
from tasks.settings import get_settings
from workers.documents.kinds import DocumentLimits
from workers.documents.open import render_page
from workers.engines import Control, Engine, PageRequest
from workers.engines.registry import load_engine
from workers.prompts import build_prompt

CORPUS = Path(__file__).parents[2] / "shared" / "corpus" / "dev"
DOCUMENTS = {  # English, with trustworthy truth according to the corpus manifest
    "pdflatex-4-pages.pdf": "prose",
    "189478.pdf": "report",
    "fake-memo-with-duplicate-page.pdf": "memo",
    "PDFBOX-2984-rotations.pdf": "/Rotate and landscape",
    "multicolumn.pdf": "2 and 3 columns, narrow gutter",
    "us-024.pdf": "2 columns and tables",
    "federal-register-2020-17221.pdf": "3 columns, small print",
    "schools.pdf": "one long table",
    "form_dd0293.pdf": "form, small print",
    "libreoffice-form.pdf": "form",
    "linn.png": "2-column scan",
    "phototest.tif": "scan, 640 x 480",
    "phototest-rotated-R.png": "the same, lying on its side",
    "eurotext.tif": "6 European languages",
    "lorem-ipsum.im.png": "16-bit grey",
}
VARIANTS = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "‐": "-", "‑": "-", "–": "-", "—": "-", "−": "-"})


@dataclass(slots=True)
class Score:
    """Sums over pages: characters, words and seconds."""

    pages: int = 0
    chars: int = 0
    distance: int = 0
    words: int = 0
    common_words: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def add(self, text: str, truth: str, seconds: float, cpu_seconds: float) -> None:
        text, truth = unify(text), unify(truth)
        found, wanted = Counter(text.split()), Counter(truth.split())
        self.pages += 1
        self.chars += len(truth)
        self.distance += Levenshtein.distance(text, truth)
        self.words += found.total() + wanted.total()
        self.common_words += (found & wanted).total()
        self.seconds += seconds
        self.cpu_seconds += cpu_seconds

    def merge(self, other: Score) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def cells(self) -> list[object]:
        rate, f1 = self.distance / self.chars, 2 * self.common_words / self.words
        times = [f"{seconds / self.pages:.2f}" for seconds in (self.seconds, self.cpu_seconds)]
        return [self.pages, f"{100 * rate:.1f} %", f"{100 * f1:.1f} %", *times]


def unify(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text).translate(VARIANTS)).strip()


def main() -> None:
    args = parse_args()
    if not CORPUS.is_dir():
        sys.exit(f"There is no corpus at {CORPUS}.")
    options: Any = get_settings().engine_options(args.engine)  # one whose pages have a longest side
    sizes = args.max_dimension or [load_engine(args.engine, options).image_spec.max_side]
    lines = []
    for size in sizes:
        engine = load_engine(args.engine, replace(options, max_dimension=size))
        engine.load()
        lines += [f"## Longest side {size} px, {engine.revision}", "", *measure(engine, args.documents, args.pages), ""]
        engine.close()
    lines.append("`python -m benchmarks.accuracy --help` says what the columns mean.")
    publish(f"accuracy-{args.engine}", f"How well the {args.engine} engine reads", lines)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="ocr", help="the engine's name; settings come from the environment")
    parser.add_argument("--pages", type=int, default=4, help="most pages of a document, its first ones")
    parser.add_argument("--max-dimension", type=int, nargs="*", help="longest sides of the page image, in pixels")
    parser.add_argument("--documents", nargs="*", default=list(DOCUMENTS), help="names of corpus files")
    return parser.parse_args()


def measure(engine: Engine, names: Iterable[str], most_pages: int) -> list[str]:
    """A table for the size of page image that `engine` has."""
    rows: list[list[object]] = []
    total = Score()
    for name in names:
        score = Score()
        for index, truth in pages_with_truth(name, most_pages):
            text, *seconds = read_page(engine, CORPUS / name, index)
            score.add(text, truth, *seconds)
        total.merge(score)
        rows.append([name, DOCUMENTS.get(name, ""), *score.cells()])
    header = ["document", "what", "pages", "CER in order", "word F1", "s/page", "CPU s/page"]
    return table(header, [*rows, ["all", "", *total.cells()]])


def pages_with_truth(name: str, most_pages: int) -> Sequence[tuple[int, str]]:
    truths = json.loads((CORPUS / f"{name}.gt.json").read_text())
    return [(index, truth) for index, truth in enumerate(truths) if truth and truth.strip()][:most_pages]


def read_page(engine: Engine, path: Path, index: int) -> tuple[str, float, float]:
    """The engine's text of a page, and the seconds and processor seconds of its generation without the rendering."""
    page = render_page(path, index, spec=engine.image_spec, limits=DocumentLimits())
    request = PageRequest(page_number=index + 1, prompt=build_prompt("transcribe"))
    prepared = engine.prepare(page.image, request)
    started, cpu_started = time.monotonic(), time.process_time()
    (generation,) = engine.generate([prepared], Control())
    return generation.text, time.monotonic() - started, time.process_time() - cpu_started


if __name__ == "__main__":
    main()
