"""Pagefan's `ocr` engine beside OCRmyPDF, bare RapidOCR and tesseract: speed and errors on the same pages in one run.

    python -m benchmarks.peers [FOLDER] [--rounds 3] [--each]

FOLDER has a `manifest.json` as for benchmarks.truth; without one, pages are drawn. All read pictures without any text
of their own, with default settings and all cores: Pagefan and OCRmyPDF as one PDF, the others a file a page. Pagefan is
a running service with all its processes, from the upload to the result; OCRmyPDF and tesseract are commands, and
RapidOCR a loop in a process that has loaded. They take turns, and the figures are medians over the rounds. The word F1
is of words without their order; the CER is in order; both are means over pages. What is not installed is named.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from benchmarks.charts import bars
from benchmarks.figures import Figure, Measured, keep
from benchmarks.peer_programs import PEERS, Reading, Task, is_installed
from benchmarks.pictures import Picture, as_pdf, drawn_pictures, pictures_in
from benchmarks.report import table
from benchmarks.stacks import running
from benchmarks.truth_scores import error_rate, word_f1
from benchmarks.usage import cpu_by_process, difference
from tests.services import Service

OURS, BEST = "Pagefan, ocr", "OCRmyPDF"
CPUINFO = Path("/proc/cpuinfo")
SPEED = {True: 1.2, False: 1.0}  # times OCRmyPDF's, with AMX and without
ERRORS = 0.5
HEADER = ["program", "pages/s", "CPU s a page", "word F1", "CER in order", "word errors against ours"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Of one program: medians over rounds, means over pages."""

    pages_s: float
    cpu_s: float
    f1: float
    cer: float


def read_with_pagefan(service: Service, pdf: bytes) -> Reading:
    before, began = cpu_by_process(service.stack), time.monotonic()
    job_id = service.submit(pdf, "pictures.pdf")
    job = service.wait(job_id, 3600)
    assert job["state"] in ("succeeded", "partial"), job
    seconds = time.monotonic() - began
    spent = sum(difference(before, cpu_by_process(service.stack)).values())
    return Reading([page.get("text") or "" for page in service.result(job_id)["pages"]], seconds, spent)


def read_all(pictures: Sequence[Picture], rounds: int, peers: Sequence[str]) -> dict[str, list[Reading]]:
    found: dict[str, list[Reading]] = defaultdict(list)
    pdf = as_pdf(pictures)
    with tempfile.TemporaryDirectory() as name, running({"ENGINE": "ocr"}) as service:
        task = write_task(Path(name), pdf, pictures)
        read_with_pagefan(service, as_pdf(pictures[:2]))
        for _ in range(rounds):
            found[OURS].append(read_with_pagefan(service, pdf))
            for peer in peers:
                found[peer].append(PEERS[peer](task))
    return found


def write_task(folder: Path, pdf: bytes, pictures: Sequence[Picture]) -> Task:
    task = Task(folder=folder, pdf=folder / "pictures.pdf")
    task.pdf.write_bytes(pdf)
    for place, picture in enumerate(pictures):
        path = folder / f"{place:06}.png"
        path.write_bytes(picture.png)
        task.pictures.append(path)
    return task


def result_of(readings: Sequence[Reading], pictures: Sequence[Picture]) -> Result:
    texts = readings[0].texts
    return Result(
        pages_s=median(len(pictures) / reading.seconds for reading in readings),
        cpu_s=median(reading.cpu_seconds / len(pictures) for reading in readings),
        f1=mean(word_f1(page.truth, text) for page, text in zip(pictures, texts, strict=True)),
        cer=mean(error_rate(page.truth, text) for page, text in zip(pictures, texts, strict=True)),
    )


def compare(pictures: Sequence[Picture], rounds: int, source: str, *, each: bool = False) -> Measured:
    peers = [peer for peer in PEERS if is_installed(peer)]
    readings = read_all(pictures, rounds, peers)
    results = {name: result_of(found, pictures) for name, found in readings.items()}
    ours = results[OURS]
    rows = [
        [name, f"{r.pages_s:.2f}", f"{r.cpu_s:.2f}", f"{r.f1:.4f}", f"{r.cer:.4f}", f"{(1 - r.f1) / (1 - ours.f1):.2f}"]
        for name, r in results.items()
    ]
    lines = table(HEADER, rows)
    missing = [peer for peer in PEERS if peer not in peers]
    lines += ["", f"{len(pictures)} pages ({source}), {rounds} rounds. Not installed: {', '.join(missing) or 'none'}."]
    if each:
        lines += ["", *table(["page", *results], page_rows(readings, pictures))]
    return Measured(
        title="Reading, beside other programs",
        figures=figures_of(results),
        lines=lines,
        charts={
            "peers-cpu": bars(
                "CPU seconds a page", [(name, {"": r.cpu_s}) for name, r in results.items()], unit="CPU s a page"
            ),
            "peers-errors": bars(
                "Word errors",
                [(name, {"": 100 * (1 - r.f1)}) for name, r in results.items()],
                unit="% of words that are wrong: 1 - F1",
            ),
        },
    )


def page_rows(readings: dict[str, list[Reading]], pictures: Sequence[Picture]) -> list[list[str]]:
    return [
        [page.name, *(f"{word_f1(page.truth, found[0].texts[place]):.3f}" for found in readings.values())]
        for place, page in enumerate(pictures)
    ]


def figures_of(results: dict[str, Result]) -> list[Figure]:
    ours, best = results[OURS], results.get(BEST)
    wanted = SPEED["amx_bf16" in CPUINFO.read_text() if CPUINFO.exists() else False]
    missing = f"{BEST} is not installed"
    others = {name: result for name, result in results.items() if name != OURS}
    return [
        Figure(
            what="Peers: pages/s of `ocr` on all cores, against OCRmyPDF",
            target=f"≥ {wanted:g} ×",
            measured=f"{ours.pages_s / best.pages_s:.2f} × ({ours.pages_s:.2f})" if best else f"{ours.pages_s:.2f}",
            is_met=ours.pages_s >= wanted * best.pages_s if best else None,
            peer=listed(others, lambda r: f"{r.pages_s:.2f}") if best else missing,
        ),
        Figure(
            what="Peers: CPU s a page",
            measured=f"{ours.cpu_s:.2f}",
            peer=listed(others, lambda r: f"{r.cpu_s:.2f}"),
        ),
        Figure(
            what="Peers: word errors (1 - F1), against OCRmyPDF",
            target=f"≤ {ERRORS:g} ×",
            measured=f"{ratio_of_errors(ours, best):.2f} × ({1 - ours.f1:.2%})" if best else f"{1 - ours.f1:.2%}",
            is_met=ratio_of_errors(ours, best) <= ERRORS if best else None,
            peer=listed(others, lambda r: f"{1 - r.f1:.2%}") if best else missing,
        ),
    ]


def ratio_of_errors(ours: Result, other: Result) -> float:
    return (1 - ours.f1) / max(1e-6, 1 - other.f1)


def listed(results: Mapping[str, Result], show: Callable[[Result], str]) -> str:
    return ", ".join(f"{name} {show(result)}" for name, result in results.items())


def measure(is_short: bool) -> Measured:
    return compare(drawn_pictures(2 if is_short else 6), 1 if is_short else 3, "drawn")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="with manifest.json and the documents")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--each", action="store_true", help="a line a page, with each program's word F1")
    args = parser.parse_args()
    pictures = pictures_in(args.folder) if args.folder else drawn_pictures(6)
    source = f"scans of {args.folder.name}" if args.folder else "drawn"
    keep("peers" if args.folder else "peers-drawn", compare(pictures, args.rounds, source, each=args.each))


if __name__ == "__main__":
    main()
