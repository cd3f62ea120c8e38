"""What the look at text layers costs, and what it says of the pages of some documents.

    python -m benchmarks.trust FOLDER… [--pages 12] [--each]

Processor time is that of finding the words and judging them; the page's image is there anyway.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

from benchmarks.report import publish, table
from workers.documents.kinds import DocumentError, DocumentLimits
from workers.documents.layer import is_picture, layer_words
from workers.documents.open import render_page
from workers.documents.pdf import open_pdf
from workers.documents.text_layer import is_healthy
from workers.engines.ocr.light import light_reader
from workers.engines.registry import load_engine
from workers.reading.trust import Trust, judge_layer


def judged(path: Path, most_pages: int) -> Iterator[tuple[int, Trust, float]]:
    """The 1-based number, what is said, and the seconds that took, of each page with text of a PDF."""
    spec, limits = load_engine("ocr").image_spec, DocumentLimits()
    for index in range(min(most_pages, open_pdf(path, "").page_count)):
        page = render_page(path, index, spec=spec, limits=limits)
        if page.is_blank or not is_healthy(page.text_layer, min_letters=1):
            continue
        started = time.process_time()
        source = open_pdf(path, "").load_page(index)
        words = layer_words(source, page.width, page.height)
        trust = judge_layer(page.image, words, light_reader(), is_picture=is_picture(source))
        yield index + 1, trust, time.process_time() - started


def main() -> None:
    args = parse_args()
    light_reader()
    seconds: list[float] = []
    verdicts: Counter[str] = Counter()
    rows: list[list[object]] = []
    for path in sorted(path for folder in args.folders for path in folder.glob("*.pdf")):
        try:
            for number, trust, took in judged(path, args.pages):
                seconds.append(took)
                verdicts[trust.verdict] += 1
                if args.each or trust.verdict != "sound":
                    rows.append([path.name[:40], number, trust.verdict, f"{took * 1000:.0f}", trust.reason])
        except DocumentError as exc:
            rows.append([path.name[:40], "", exc.reason, "", ""])
    said = ", ".join(f"{number} {verdict}" for verdict, number in verdicts.most_common())
    most = f"the most {max(seconds) * 1000:.0f} ms"
    cost = f"{len(seconds)} pages: {said}. {mean(seconds) * 1000:.0f} ms of processor time a page, {most}."
    publish("trust", "Text layers", [*table(["file", "page", "verdict", "ms", "why"], rows), "", cost])


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="with PDFs")
    parser.add_argument("--pages", type=int, default=12, help="first pages of a document that are judged")
    parser.add_argument("--each", action="store_true", help="a line for sound pages too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
