"""Pages that are drawn here, whose text is known: a clean page, a scan, a dense page of two columns, a receipt.

Their words are those of the licence in this repository, so that they need no other files.
"""

from __future__ import annotations

import io
import random
import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pymupdf
from numpy.typing import NDArray
from PIL import Image

LICENSE = Path(__file__).parents[1] / "LICENSE"
A4 = (595.0, 842.0)  # points
SLIP = (226.0, 620.0)  # 80 mm wide
MARGIN = 48.0
DPI = 150
SCAN_TURN = 0.7  # degrees
SCAN_NOISE = 12.0  # levels of 255
ITEMS = ("Espresso", "Rye bread", "Oat milk 1 l", "Tomatoes", "Basil", "Olive oil", "Notebook A5", "Batteries AA")


@cache
def words() -> tuple[str, ...]:
    return tuple(re.sub(r"[^A-Za-z0-9.,;:()'-]+", " ", LICENSE.read_text()).split())


def prose(number: int) -> Iterator[str]:
    """Words without end, others for each number."""
    place = (number * 997) % len(words())
    while True:
        yield words()[place % len(words())]
        place += 1


def fill(sheet: pymupdf.Page, area: pymupdf.Rect, size: float, number: int) -> str:
    """Write lines of prose into the area until it is full; returns them."""
    found, source = [], prose(number)
    word, y = next(source), area.y0 + size
    while y <= area.y1:
        line = ""
        while pymupdf.get_text_length(f"{line} {word}", fontname="tiro", fontsize=size) <= area.width:
            line, word = f"{line} {word}".strip(), next(source)
        sheet.insert_text((area.x0, y), line, fontname="tiro", fontsize=size)
        found.append(line)
        y += 1.3 * size
    return "\n".join(found)


def clean(number: int) -> tuple[bytes, str]:
    """A page of one column in 11 pt."""
    return as_pdf(A4, lambda sheet: fill(sheet, pymupdf.Rect(MARGIN, MARGIN, A4[0] - MARGIN, 560), 11, number))


def two_columns(number: int) -> tuple[bytes, str]:
    """A full page of two columns in 8 pt."""
    middle, half = A4[0] / 2, 9.0
    areas = [(MARGIN, middle - half), (middle + half, A4[0] - MARGIN)]

    def draw(sheet: pymupdf.Page) -> str:
        columns = [pymupdf.Rect(x0, MARGIN, x1, A4[1] - MARGIN) for x0, x1 in areas]
        return "\n".join(fill(sheet, area, 8, 2 * number + place) for place, area in enumerate(columns))

    return as_pdf(A4, draw)


def scan(number: int) -> tuple[bytes, str]:
    """The picture of a page of one column: turned a little, grey, with noise."""
    pdf, text = clean(number + 50)
    with pymupdf.open(stream=pdf) as document:
        pixmap = document[0].get_pixmap(dpi=DPI, colorspace=pymupdf.csGRAY)
    grey = np.frombuffer(pixmap.samples, np.uint8).reshape(pixmap.height, pixmap.width)
    turn = cv2.getRotationMatrix2D((pixmap.width / 2, pixmap.height / 2), SCAN_TURN, 1.0)
    turned = cv2.warpAffine(grey, turn, (pixmap.width, pixmap.height), flags=cv2.INTER_CUBIC, borderValue=(235,))
    noise = np.random.default_rng(number).normal(-10.0, SCAN_NOISE, turned.shape)
    pixels: NDArray[np.uint8] = np.clip(cv2.GaussianBlur(turned, (3, 3), 0.6) + noise, 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", dpi=(DPI, DPI))
    return out.getvalue(), text


def receipt(number: int) -> tuple[bytes, str]:
    """A narrow slip of short lines, with prices at its right."""
    chance = random.Random(number)

    def draw(sheet: pymupdf.Page) -> str:
        lines = ["CORNER SHOP", f"Receipt {1000 + number}"]
        for item in islice(chance.choices(ITEMS, k=24), 24):
            lines.append(f"{item} {chance.randint(1, 30)}.{chance.randint(0, 99):02d}")
        for place, line in enumerate(lines):
            name, _, price = line.rpartition(" ")
            sheet.insert_text((14, 40 + 20 * place), name, fontname="cour", fontsize=10)
            sheet.insert_text((SLIP[0] - 60, 40 + 20 * place), price, fontname="cour", fontsize=10)
        return "\n".join(lines)

    return as_pdf(SLIP, draw)


def as_pdf(size: tuple[float, float], draw: Callable[[pymupdf.Page], str]) -> tuple[bytes, str]:
    with pymupdf.open() as document:
        text = draw(document.new_page(width=size[0], height=size[1]))
        return bytes(document.tobytes(deflate=True)), text


KINDS: dict[str, Callable[[int], tuple[bytes, str]]] = {
    "clean page": clean,
    "scan": scan,
    "dense, two columns": two_columns,
    "receipt": receipt,
}


def suffix_of(data: bytes) -> str:
    return ".pdf" if data.startswith(b"%PDF") else ".png"


def as_picture(data: bytes) -> bytes:
    """The page as a PNG of DPI, so that nobody can take its text from anywhere but its pixels."""
    if suffix_of(data) == ".png":
        return data
    with pymupdf.open(stream=data) as document:
        pixmap = document[0].get_pixmap(dpi=DPI)
        pixmap.set_dpi(DPI, DPI)
        return bytes(pixmap.tobytes("png"))
