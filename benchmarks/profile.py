"""Where a page's CPU milliseconds go, step by step, for a clean page, a scan, a dense page, a receipt.

    python -m benchmarks.profile [FILE …] [--copies 4]

Pages are drawn (benchmarks.drawn_pages); files given are profiled instead, their first page. Each is read by the `ocr`
engine with one thread in this process, the way that workers do, with its steps watched. Then a running service reads
copies of the page: what all its processes took beyond the steps is Redis' own time and the rest, which is Celery,
messages, the ledger and the web. Text layers are ignored, so that the page is read.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymupdf

from benchmarks.charts import bars
from benchmarks.drawn_pages import KINDS, suffix_of
from benchmarks.figures import Figure, Measured, keep
from benchmarks.report import table
from benchmarks.stacks import running
from benchmarks.stopwatch import Stopwatch
from benchmarks.usage import cpu_by_process, difference
from tasks.blobs import Blobs
from tests.services import Service
from workers.documents.kinds import DocumentLimits
from workers.documents.pages import PreparedPage, prepare_page
from workers.engines import Control, Engine, Generation, PageRequest
from workers.engines.ocr.options import OcrOptions
from workers.engines.registry import load_engine
from workers.layout.laid_out import lay_out_lines, warm_up_layout

PAGE = "workers.engines.ocr.page:"
STEPS: dict[str, Sequence[str]] = {
    "render": ["workers.documents.pages:render_page"],
    "pack": ["workers.documents.pages:encode_png", "workers.documents.pages:digest_of"],
    "ticks": [f"{PAGE}find_tick_boxes", f"{PAGE}paint_out"],
    "orient": [f"{PAGE}Page._orient"],
    "detect": [f"{PAGE}detect_page"],
    "crop": ["workers.engines.ocr.models:cut", "workers.engines.ocr.reader:to_height"],
    "recognise": ["workers.engines.ocr.models:OcrModels.recognise"],
    "order": [f"{PAGE}order_rows", f"{PAGE}find_gutters", f"{PAGE}join_rows"],
}
PREPARE, UNPACK, READ, LAYOUT, FILES = "prepare, other", "unpack", "read, other", "layout", "files"
REDIS, QUEUE = "Redis", "queue and web"
REPEATS = 3
IMAGE_KEY, TEXT_KEY = (f"jobs/{0:016}/pages/000001.{suffix}" for suffix in ("png", "r1.json"))
Pages = Mapping[str, bytes]


def profile_page(engine: Engine, options: OcrOptions, path: Path) -> dict[str, float]:
    """Processor milliseconds of each step of the first page, the mean of some repeats."""
    read_once(engine, options, path, Stopwatch())
    watch = Stopwatch()
    with watch.watching(STEPS):
        for _ in range(REPEATS):
            read_once(engine, options, path, watch)
    return {step: 1000 * seconds / REPEATS for step, seconds in watch.seconds.items()}


def read_once(engine: Engine, options: OcrOptions, path: Path, watch: Stopwatch) -> None:
    request = PageRequest(page_number=1)
    with watch.step(PREPARE):
        page = prepare_page(path, 0, engine="ocr", options=options, request=request, limits=DocumentLimits())
    with watch.step(UNPACK):
        prepared = engine.unpack(page.packed or page.png, request)
    with watch.step(READ):
        (read,) = engine.generate([prepared], Control())
    with watch.step(LAYOUT):
        lay_out_lines(page.png, read.lines, 0, width=page.width, height=page.height, rotation=read.rotation)
    with watch.step(FILES):
        store(page, read)


def store(page: PreparedPage, read: Generation) -> None:
    """Write, read and remove what the workers do of a page."""
    with tempfile.TemporaryDirectory() as folder:
        blobs = Blobs(f"file://{folder}", is_purged=lambda _: False)
        lines: list[dict[str, Any]] = [{"text": line.text, "box": line.box} for line in read.lines]
        blobs.write(IMAGE_KEY, page.png)
        blobs.read(IMAGE_KEY)
        for _ in ("when it is read", "when it is laid out"):
            blobs.write_json(TEXT_KEY, {"text": read.text, "lines": lines})
            blobs.read_json(TEXT_KEY)
        blobs.delete(IMAGE_KEY)


def through_service(service: Service, data: bytes, copies: int) -> dict[str, float]:
    """Processor milliseconds a page of all processes, by kind, for copies of the page that differ by a mark."""
    pdf = copies_of(data, copies)
    before = cpu_by_process(service.stack)
    job = service.wait(service.submit(pdf, "pages.pdf", text_layer="ignore"), 1800)
    assert job["state"] == "succeeded", job
    spent = difference(before, cpu_by_process(service.stack))
    return {name: 1000 * seconds / copies for name, seconds in spent.items()}


def copies_of(data: bytes, copies: int) -> bytes:
    with pymupdf.open(stream=data) as source, pymupdf.open() as document:
        one = source if source.is_pdf else pymupdf.open(stream=source.convert_to_pdf())
        for number in range(copies):
            document.insert_pdf(one, to_page=0)
            document[number].draw_rect(pymupdf.Rect(2 * number, 0, 2 * number + 1, 1), fill=(0, 0, 0))
        return bytes(document.tobytes())


def measure_pages(pages: Pages, copies: int) -> Measured:
    options = OcrOptions(threads=1)
    engine = load_engine("ocr", options)
    engine.load()
    warm_up_layout()
    steps: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder, running({"ENGINE": "ocr"}) as service:
        through_service(service, next(iter(pages.values())), 2)
        for name, data in pages.items():
            path = Path(folder) / f"page{suffix_of(data)}"
            path.write_bytes(data)
            found = profile_page(engine, replace(options), path)
            whole = through_service(service, data, copies)
            found[REDIS] = whole["redis"]
            found[QUEUE] = max(0.0, sum(whole.values()) - sum(found.values()))
            steps[name] = found
    engine.close()
    return report(steps, engine_words(engine), copies)


def engine_words(engine: Engine) -> str:
    return f"{engine.revision}, {engine.report()['runtime']}" if hasattr(engine, "report") else engine.revision


def report(steps: Mapping[str, dict[str, float]], engine: str, copies: int) -> Measured:
    names = list(dict.fromkeys(name for found in steps.values() for name in found))
    order = [*STEPS, PREPARE, UNPACK, READ, LAYOUT, FILES, REDIS, QUEUE]
    names.sort(key=order.index)
    rows = [[name, *(f"{found.get(name, 0.0):.1f}" for found in steps.values())] for name in names]
    rows.append(["all", *(f"{sum(found.values()):.0f}" for found in steps.values())])
    dearest = max(steps, key=lambda kind: sum(steps[kind].values()))
    figures = [
        Figure(
            what=f"Profile: CPU of a page with `ocr`, {kind}",
            measured=f"{sum(found.values()):.0f} ms",
            limit=f"{found.get('recognise', 0) + found.get('detect', 0):.0f} ms networks",
        )
        for kind, found in steps.items()
    ]
    lines = table(["CPU ms a page", *steps], rows)
    lines += ["", f"{engine}. Steps: one thread, {REPEATS} repeats; the service: {copies} pages. Dearest: {dearest}."]
    charted = [(kind, {name: found.get(name, 0.0) for name in names}) for kind, found in steps.items()]
    chart = bars("Where a page's CPU milliseconds go", charted, unit="CPU ms a page")
    return Measured(title="Where a page's time goes", figures=figures, lines=lines, charts={"profile": chart})


def drawn() -> dict[str, bytes]:
    return {kind: draw(0)[0] for kind, draw in KINDS.items()}


def measure(is_short: bool) -> Measured:
    return measure_pages(drawn(), 2 if is_short else 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*", help="PDFs or pictures, in place of drawn pages")
    parser.add_argument("--copies", type=int, default=8)
    args = parser.parse_args()
    pages = {path.name: path.read_bytes() for path in args.files} or drawn()
    keep("profile", measure_pages(pages, args.copies))


if __name__ == "__main__":
    main()
