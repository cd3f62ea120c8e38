"""Pictures of pages with their true text, one by one and as one PDF of pictures, for programs that are compared."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pymupdf
from PIL import Image

from benchmarks.drawn_pages import KINDS, as_picture
from benchmarks.truth_scores import hocr_text

LEAST_DPI, USUAL_DPI, MOST_DPI = 100, 200, 1200  # resolutions that files are believed; what others are taken for
POINTS = 72


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    name: str
    png: bytes
    truth: str
    dpi: float


def drawn_pictures(number_of_each: int) -> list[Picture]:
    return [picture_of(f"{kind} {n}", *draw(n)) for n in range(number_of_each) for kind, draw in KINDS.items()]


def picture_of(name: str, data: bytes, truth: str) -> Picture:
    return flat(name, as_picture(data), truth)


def pictures_in(folder: Path) -> list[Picture]:
    """Those of a `manifest.json` as benchmarks.truth has it whose truth is text: of the kinds hocr and txt."""
    found = []
    for item in json.loads((folder / "manifest.json").read_text()):
        if item["kind"] in ("hocr", "txt"):
            text = (folder / item["truth"]).read_text(errors="replace")
            truth = hocr_text(text) if item["kind"] == "hocr" else text
            found.append(flat(item["file"], (folder / item["file"]).read_bytes(), truth))
    return found


def flat(name: str, data: bytes, truth: str) -> Picture:
    """As every program takes it: one picture, opaque, with a resolution."""
    image: Image.Image = Image.open(io.BytesIO(data))
    said = float(image.info.get("dpi", (0.0, 0.0))[0])
    dpi = said if LEAST_DPI <= said <= MOST_DPI else USUAL_DPI
    if image.mode not in ("1", "L", "RGB"):
        rgba = image.convert("RGBA")
        image = Image.new("RGB", rgba.size, "white")
        image.paste(rgba, mask=rgba.getchannel("A"))
    out = io.BytesIO()
    image.save(out, "PNG", dpi=(dpi, dpi))
    return Picture(name=name, png=out.getvalue(), truth=truth, dpi=dpi)


def as_pdf(pictures: Sequence[Picture]) -> bytes:
    """A PDF with a picture a page and no text."""
    with pymupdf.open() as document:
        for picture in pictures:
            width, height = Image.open(io.BytesIO(picture.png)).size
            scale = POINTS / picture.dpi
            sheet = document.new_page(width=width * scale, height=height * scale)
            sheet.insert_image(sheet.rect, stream=picture.png)
        return bytes(document.tobytes())
