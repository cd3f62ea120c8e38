"""Twenty small documents and two more, sound and broken, under easy and hard names."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymupdf
from PIL import Image, ImageDraw
from services import make_pdf

DATA = Path(__file__).parent / "data"
PASSWORD = "open sesame & co"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    name: str
    data: bytes
    password: str = ""


def make_documents() -> list[Document]:
    named: dict[str, bytes] = {
        "one-page.pdf": make_pdf(1),
        "seven pages.pdf": make_pdf(7),
        "sample.pdf": (DATA / "sample.pdf").read_bytes(),
        "small-page.pdf": (DATA / "small-page.pdf").read_bytes(),
        "blank_in_the_middle.pdf": pdf(write_all_but_the_second),
        "rotated.pdf": pdf(rotated),
        "100% sure.png": image("PNG", "a picture"),
        "photo.JPG": image("JPEG", "a photo", quality=90),
        'it\'s "quoted".webp': image("WEBP", "a web picture", lossless=True),
        "fax.of.three.tif": image("TIFF", "one", "two", "three", compression="tiff_lzw"),
        "-leading-dash.pdf": make_pdf(2, first=20),
        "--help.png": image("PNG", "no option"),
        "Größe, 日本語 и русский.pdf": make_pdf(1, first=30),
        "a;b=c&d#e+f$(g)`h`{i}[j]!.pdf": make_pdf(1, first=40),
        "wrong suffix.png": make_pdf(1, first=50),
        "empty.pdf": b"",
        "letter.txt": b"Dear reader,\nthis is a letter and no document.\n" * 40,
        "no head.pdf": b"this is a letter and no PDF\n" * 40,
        "damaged.pdf": b"%PDF-1.7\nand nothing of what a PDF has\n",
        "cut short.png": image("PNG", "cut", size=(900, 900))[:700],
    }
    documents = [Document(name=name, data=data) for name, data in named.items()]
    secret = pdf(write, encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw=PASSWORD, owner_pw="owner")
    documents.append(Document(name="locked.pdf", data=secret))
    documents.append(Document(name="secret.pdf", data=secret, password=PASSWORD))
    return documents


def pdf(draw: Callable[[Any, int], None], num_pages: int = 3, **options: Any) -> bytes:
    with pymupdf.open() as document:
        for number in range(1, num_pages + 1):
            draw(document.new_page(width=200, height=280), number)
        return bytes(document.tobytes(**options))


def write(sheet: Any, number: int) -> None:
    sheet.insert_text((20, 60), f"Sheet {number}", fontsize=24)


def write_all_but_the_second(sheet: Any, number: int) -> None:
    if number != 2:
        write(sheet, number)


def rotated(sheet: Any, number: int) -> None:
    write(sheet, number)
    sheet.set_rotation(90 * number)


def image(format: str, *texts: str, size: tuple[int, int] = (320, 200), **options: Any) -> bytes:
    frames = []
    for text in texts:
        frame = Image.new("RGB", size, "white")
        ImageDraw.Draw(frame).text((20, 40), text, fill="black", font_size=40)
        frames.append(frame)
    more: dict[str, Any] = {"save_all": True, "append_images": frames[1:]} if len(frames) > 1 else {}
    out = io.BytesIO()
    frames[0].save(out, format, **more, **options)
    return out.getvalue()
