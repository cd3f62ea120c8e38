"""What memory the process that holds the `ocr` networks takes, page after page of sizes that all differ.

    python -m benchmarks.memory FILE... [--pages 1000] [--threads 0]

The files' first pages are read in turn, each time cut to another size, in batches as the GPU worker has them.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

import psutil
from PIL import Image

from benchmarks.report import publish, table
from workers.documents.kinds import DocumentLimits
from workers.documents.open import render_page
from workers.engines import Control, PageRequest
from workers.engines.ocr.engine import OcrEngine
from workers.engines.ocr.options import OcrOptions
from workers.processes import num_cores

LIMIT_MB = 600
STEPS = 10  # rows of the table
SEED = 16


def resident_mb() -> int:
    return int(psutil.Process().memory_info().rss) >> 20


def cut(image: Image.Image, dice: random.Random) -> Image.Image:
    """A part of the page, from a third of each side to all of it, and now and then the whole on its side."""
    width, height = (round(side * dice.uniform(0.33, 1.0)) for side in image.size)
    left, top = dice.randint(0, image.width - width), dice.randint(0, image.height - height)
    part = image.crop((left, top, left + width, top + height))
    return part.rotate(90, expand=True) if dice.random() < 0.05 else part


def main() -> None:
    args = parse_args()
    engine = OcrEngine(OcrOptions(threads=args.threads))
    engine.load()
    images = [render_page(path, 0, spec=engine.image_spec, limits=DocumentLimits()).image for path in args.files]
    held = sum(len(image.tobytes()) for image in images) >> 20
    dice, batch = random.Random(SEED), engine.max_batch
    rows: list[list[object]] = [[0, resident_mb() - held, ""]]
    started, done = time.process_time(), 0
    for step in range(1, STEPS + 1):
        while done < args.pages * step // STEPS:
            pages = [cut(images[(done + i) % len(images)], dice) for i in range(batch)]
            engine.generate([engine.prepare(page, PageRequest(page_number=1)) for page in pages], Control())
            done += batch
        rows.append([done, resident_mb() - held, f"{(time.process_time() - started) / done:.2f}"])
        sys.stderr.write(f"{rows[-1]}\n")
    lines = table(["pages", "resident, MiB", "CPU s a page"], rows)
    lines += [
        "",
        f"{engine.max_batch} threads, {num_cores()} cores; limit {LIMIT_MB} MiB. Pages held for it are not counted.",
    ]
    publish("memory", "Memory of the ocr engine's process", lines)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="documents; the first page of each")
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=0, help="of the engine; 0 is one a core")
    return parser.parse_args()


if __name__ == "__main__":
    main()
