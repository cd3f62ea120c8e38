"""What the service costs: pages/s through HTTP and Celery against the bare engine's loop on the same cores.

    python -m benchmarks.service [--engine ocr] [--copies 4] [--rounds 3]
    python -m benchmarks.service --random granite-docling-258m --copies 16     # the vlm engine on a GPU, random weights

The bare loop renders and prepares pages and generates them in batches as large as the engine uses well, in one process.
The service does the same pages as one job, from the upload to the finished result. Both take turns, so that a busy
machine hits both.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import pymupdf

from benchmarks.random_models import SIZES, write_checkpoint
from benchmarks.report import be_engine_process, publish, table
from tasks.settings import load_settings
from tests.services import Service
from web.stack.environ import num_gpu_workers
from web.stack.stack import Stack
from workers.documents.kinds import DocumentLimits
from workers.documents.pages import prepare_page
from workers.engines import Control, Engine, PageRequest, Prepared
from workers.engines.registry import load_engine

SAMPLE = Path(__file__).parents[1] / "tests" / "data" / "sample.pdf"


def repeat_document(copies: int) -> tuple[bytes, int]:
    """The sample document several times over, each page with a number of its own, and its number of pages."""
    with pymupdf.open() as document, pymupdf.open(SAMPLE) as sample:
        for _ in range(copies):
            document.insert_pdf(sample)
        for number, sheet in enumerate(document):
            sheet.insert_text((30, 30), f"Sheet {number + 1}", fontsize=9)
        return bytes(document.tobytes()), len(document)


def bare_loop(engine: Engine, name: str, path: Path, num_pages: int, **asked: Any) -> float:
    """Pages/s of one process that does nothing else."""
    settings = load_settings(os.environ)
    limits = DocumentLimits(max_pages=settings.max_pages, max_page_pixels=settings.max_page_pixels)
    options, most = settings.engine_options(name), min(engine.max_batch, settings.gpu_batch_pages)

    def prepare(index: int) -> Prepared:
        request = PageRequest(page_number=index + 1, **asked)
        page = prepare_page(path, index, engine=name, options=options, request=request, limits=limits)
        return engine.unpack(page.packed or page.png, request)

    started = time.monotonic()
    for first in range(0, num_pages, most):
        engine.generate([prepare(index) for index in range(first, min(first + most, num_pages))], Control())
    return num_pages / (time.monotonic() - started)


def through_service(service: Service, data: bytes, num_pages: int, **asked: Any) -> float:
    """Pages/s of a whole job, from the upload to the finished result."""
    started = time.monotonic()
    job = service.wait(service.submit(data, **asked), 1800)
    assert job["state"] == "succeeded", job
    return num_pages / (time.monotonic() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="ocr")
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--random", choices=sorted(SIZES), help="a vlm model of this size with random weights")
    parser.add_argument("--tokens", type=int, default=256, help="of its answers, which are drawn at random [256]")
    args = parser.parse_args()
    asked: dict[str, Any] = {}
    if args.random:
        args.engine, asked = "vlm", {"max_new_tokens": args.tokens, "temperature": 1.0}
        os.environ["MODEL"] = write_checkpoint(args.random)
    data, num_pages = repeat_document(args.copies)
    bare, served = [], []
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as exits:
        path = Path(folder) / "document.pdf"
        path.write_bytes(data)
        settings = {"ENGINE": args.engine, "WEB_PORT": "0", "FLOWER_PORT": "0", "PAGE_CACHE_MB": "0"}
        num_workers = num_gpu_workers(load_settings(os.environ))
        counts = {"web": 1, "cpu": 1, "gpu": num_workers, "beat": 1}
        service = Service(exits.enter_context(Stack(dict(os.environ) | settings, Path(folder) / "data", counts=counts)))
        exits.callback(service.close)
        engine = load_engine(args.engine, load_settings(os.environ).engine_options(args.engine))
        engine.load()
        bare_loop(engine, args.engine, path, 2, **asked)
        through_service(service, *repeat_document(1), **asked)
        for _ in range(args.rounds):
            bare.append(bare_loop(engine, args.engine, path, num_pages, **asked))
            served.append(through_service(service, data, num_pages, **asked))
    rows: list[list[object]] = [
        [number + 1, f"{one:.2f}", f"{other:.2f}", f"{other / one:.2f}"]
        for number, (one, other) in enumerate(zip(bare, served, strict=True))
    ]
    ratio = statistics.median(served) / statistics.median(bare)
    lines = table(["round", "bare loop, pages/s", "service, pages/s", "ratio"], rows)
    workers = f"{num_workers} GPU worker{'s' if num_workers > 1 else ''}"
    lines += [
        "",
        f"{num_pages} pages a round, engine {args.engine}, {workers}. Service / bare loop, medians: {ratio:.2f}.",
    ]
    name = f"service-{args.random or args.engine}" + (f"-{num_workers}-workers" if num_workers > 1 else "")
    publish(name, "What the service costs", lines)


if __name__ == "__main__":
    be_engine_process()
    main()
