"""Measure a reader: character error rate on pages of typefaces and words that training never uses.

`python -m training.evaluate FOLDER` prints one row per number of lines.
"""

import argparse
import logging
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

from training.fonts import HELD_OUT_FAMILIES, find_faces
from training.pages import Page, draw_page
from training.words import RunningText, TextSource, Words, read_words

logger = logging.getLogger(__name__)


def edit_distance(read: str, true: str) -> int:
    """Return the Levenshtein distance of two texts, in characters."""
    target = np.array([ord(char) for char in true])
    places = np.arange(len(target) + 1)
    row = places.copy()
    for char in read:
        change = np.minimum(row[1:] + 1, row[:-1] + (target != ord(char)))
        row = np.concatenate([[row[0] + 1], change])
        row = np.minimum.accumulate(row - places) + places
    return int(row[-1])


def error_rate(read: Sequence[str], true: Sequence[str]) -> float:
    """Return the character error rate over all texts: edits divided by true characters."""
    edits = sum(edit_distance(a, b) for a, b in zip(read, true, strict=True))
    return edits / sum(map(len, true))


def draw_pages(
    seed: int, count: int, source: Words, faces: Sequence[Path], page: tuple[int, int], lines: tuple[int, int]
) -> list[Page]:
    """Draw pages that carry between `lines[0]` and `lines[1]` lines; each attempt has its own seed."""
    pages: list[Page] = []
    attempt = 0
    while len(pages) < count:
        rng = random.Random(f"{seed}/{attempt}")
        drawn = draw_page(rng, source, faces, height=page[0], width=page[1], max_lines=lines[1])
        if len(drawn.lines) >= lines[0]:
            pages.append(drawn)
        attempt += 1
    return pages


class Reader:
    """A saved checkpoint with its image processor and tokenizer."""

    def __init__(self, folder: Path, dtype: torch.dtype = torch.float32) -> None:
        self.processor: Any = AutoImageProcessor.from_pretrained(folder)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.model: Any = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype).eval()

    @torch.inference_mode()
    def read(self, images: Sequence[Image.Image]) -> list[str]:
        """Return the text of each image."""
        inputs = self.processor(images=list(images), return_tensors="pt").to(self.model.device, self.model.dtype)
        tokens = self.model.generate(**inputs, do_sample=False)
        texts: list[str] = self.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return texts


def measure(folder: Path, source: Words, faces: Sequence[Path], ranges: Sequence[tuple[int, int]], count: int) -> None:
    """Log the reader's error on `count` pages for each range of lines, both ends within it."""
    reader = Reader(folder)
    size = (reader.processor.size["height"], reader.processor.size["width"])
    for lines in ranges:
        pages = draw_pages(4242, count, source, faces, size, lines)
        started = time.monotonic()
        read: list[str] = []
        for start in range(0, count, 8):
            read += reader.read([Image.fromarray(page.pixels) for page in pages[start : start + 8]])
        seconds = time.monotonic() - started
        true = [page.text for page in pages]
        rate, speed = error_rate(read, true), sum(len(page.lines) for page in pages) / seconds
        exact = sum(a == b for a, b in zip(read, true, strict=True))
        logger.info(
            "%d-%d lines: CER %.2f %%, %d of %d pages exact, %.1f lines/s", *lines, 100 * rate, exact, count, speed
        )
        logger.debug("%r was read as %r", true[0], read[0])


def main() -> None:
    """Run the measurement from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fonts", type=Path, default=Path("/usr/share/fonts"))
    parser.add_argument("--words", type=Path, default=Path("/usr/share/dict/words"))
    parser.add_argument("--text", type=Path, help="a text to set instead of held-out words and numbers")
    parser.add_argument("--pages", type=int, default=24)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    faces = find_faces(options.fonts, HELD_OUT_FAMILIES)
    held_out = TextSource(read_words(options.words), held_out=True)
    source = RunningText(options.text) if options.text else held_out
    ranges = ((1, 1), (2, 4), (5, 9), (10, 14), (15, 20))
    measure(options.folder, source, faces, ranges, options.pages)


if __name__ == "__main__":
    main()
