"""How well an engine reads: error against the ground truth of the corpus, a line a document.

    python benchmarks/accuracy.py --engine ocr --pages 4 --max-dimension 1280 1760

The character error rate (CER) is the Levenshtein distance over the length of the truth, in order: it counts
wrong letters and wrong reading order alike. The truth of a PDF is in the order of its content stream, which is
not always that of a reader. Word F1 compares the words without their order. White space is one space and
typographic variants (ligatures, quotes, dashes) are unified before both.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from tasks.settings import get_settings
from workers.documents import DocumentLimits, render_page
from workers.engines import Control, Engine, PageRequest, load_engine
from workers.prompts import build_prompt

ROOT = Path(__file__).parents[1]
CORPUS = ROOT.parent / "shared" / "corpus" / "dev"
RESULTS = Path(__file__).parent / "results"
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

    def add(self, text: str, truth: str, seconds: float) -> None:
        text, truth = unify(text), unify(truth)
        found, wanted = Counter(text.split()), Counter(truth.split())
        self.pages += 1
        self.chars += len(truth)
        self.distance += Levenshtein.distance(text, truth)
        self.words += found.total() + wanted.total()
        self.common_words += (found & wanted).total()
        self.seconds += seconds

    def merge(self, other: Score) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def cells(self) -> str:
        rate, f1 = self.distance / self.chars, 2 * self.common_words / self.words
        return f"{self.pages} | {100 * rate:.1f} % | {100 * f1:.1f} % | {self.seconds / self.pages:.2f}"


def unify(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text).translate(VARIANTS)).strip()


def main() -> None:
    args = parse_args()
    if not CORPUS.is_dir():
        sys.exit(f"There is no corpus at {CORPUS}.")
    options = get_settings().engine_options()
    sizes = args.max_dimension or [load_engine(args.engine, options).image_spec.max_side]
    report = [f"# Accuracy of the {args.engine} engine\n"]
    for size in sizes:
        engine = load_engine(args.engine, replace(options, max_dimension=size, ocr_max_dimension=size))
        engine.load()
        report += list(measure(engine, args.documents, args.pages))
        engine.close()
    report.append(describe_run(engine))
    text = "\n".join(report)
    args.out = args.out or RESULTS / f"accuracy-{args.engine}.md"
    args.out.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="ocr", help="the engine's name; settings come from the environment")
    parser.add_argument("--pages", type=int, default=4, help="most pages of a document, its first ones")
    parser.add_argument("--max-dimension", type=int, nargs="*", help="longest sides of the page image, in pixels")
    parser.add_argument("--documents", nargs="*", default=list(DOCUMENTS), help="names of corpus files")
    parser.add_argument("--out", type=Path, help="where the table goes; benchmarks/results by default")
    return parser.parse_args()


def measure(engine: Engine, names: Iterable[str], most_pages: int) -> Iterator[str]:
    """The lines of a table for one size of the page image."""
    yield f"## Longest side {engine.image_spec.max_side} px\n"
    yield "| document | what | pages | CER in order | word F1 | s/page |\n|---|---|---|---|---|---|"
    total = Score()
    for name in names:
        score = Score()
        for index, truth in pages_with_truth(name, most_pages):
            score.add(*read_page(engine, CORPUS / name, index), truth=truth)
        total.merge(score)
        yield f"| {name} | {DOCUMENTS.get(name, '')} | {score.cells()} |"
        sys.stderr.write(f"{name}: {score.cells()}\n")
    yield f"| **all** | | {total.cells()} |\n"


def pages_with_truth(name: str, most_pages: int) -> Sequence[tuple[int, str]]:
    truths = json.loads((CORPUS / f"{name}.gt.json").read_text())
    return [(index, truth) for index, truth in enumerate(truths) if truth and truth.strip()][:most_pages]


def read_page(engine: Engine, path: Path, index: int) -> tuple[str, float]:
    """The engine's text of a page and the seconds its generation took; rendering is not in them."""
    page = render_page(path, index, spec=engine.image_spec, limits=DocumentLimits())
    request = PageRequest(page_number=index + 1, prompt=build_prompt("transcribe"))
    prepared = engine.prepare(page.image, request)
    started = time.monotonic()
    (generation,) = engine.generate([prepared], Control())
    return generation.text, time.monotonic() - started


def describe_run(engine: Engine) -> str:
    load = ", ".join(f"{part:.1f}" for part in os.getloadavg())
    return (
        f"Engine: {engine.name}, {engine.revision}. Machine: {cpu_model()}, {os.cpu_count()} cores, "
        f"{platform.system()}, Python {platform.python_version()}; load average {load} at the end. "
        f"{datetime.now(UTC):%Y-%m-%d}. Made by `benchmarks/accuracy.py`, which says what the columns mean.\n"
    )


def cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
