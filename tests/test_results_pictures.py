"""PDFs of images: as large as the sheet was, hardly larger than the file, and nothing lost that the file had."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pymupdf
import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from workers.documents.kinds import DocumentLimits
from workers.documents.open import render_page
from workers.documents.pages import write_searchable_pdf
from workers.engines import ImageSpec

LIMITS = DocumentLimits()
SHEET = (480, 600)  # px
DPI = (60, 60)
POINTS = (576, 720)
GROWTH = 1.5
Save = Callable[[Path], Any]


@pytest.fixture(scope="module", autouse=True)
def with_heif() -> None:
    register_heif_opener()


def scan() -> Image.Image:
    """A sheet with the grain of a scanner and lines of a pen."""
    grain = np.random.default_rng(3).integers(200, 240, (SHEET[1], SHEET[0], 3))
    for top in range(40, SHEET[1] - 40, 24):
        grain[top : top + 9, 40 : SHEET[0] - 40 : 5] //= 4
    return Image.fromarray(grain.astype(np.uint8))


def bits(sheet: int = 0) -> Image.Image:
    dots = np.random.default_rng(sheet).random((SHEET[1], SHEET[0])) > 0.05
    return Image.fromarray(dots).convert("1")


def saved(image: Image.Image, **options: Any) -> Save:
    return lambda path: image.save(path, **options)


def photo(orientation: int) -> Save:
    exif = Image.Exif()
    exif[274] = orientation
    return saved(scan(), quality=80, exif=exif)


KINDS: dict[str, tuple[str, Save]] = {  # how PDF has the image, by pdfimages; how the file is made
    "a.jpg": ("jpeg", saved(scan(), quality=75)),
    "progressive.jpg": ("jpeg", saved(scan(), quality=75, progressive=True)),
    "cmyk.jpg": ("jpeg", saved(scan().convert("CMYK"), quality=75)),
    "several.mpo": ("jpeg", saved(scan(), save_all=True, append_images=[scan().rotate(180)])),
    "turned.jpg": ("jpeg", photo(6)),
    "mirrored.jpg": ("jpeg", photo(7)),
    "a.png": ("image", saved(scan())),
    "palette.png": ("image", saved(scan().quantize(60))),
    "clear.png": ("image", saved(scan().convert("RGBA"))),
    "fax.tif": ("ccitt", saved(bits(), compression="group4")),
    "faxes.tif": ("ccitt", saved(bits(), compression="group4", save_all=True, append_images=[bits(1), bits(2)])),
    "lzw.tif": ("image", saved(scan(), compression="tiff_lzw")),
    "turned.tif": ("image", saved(scan(), compression="tiff_lzw", tiffinfo={274: 6})),
    "jpeg.tif": ("jpeg", saved(scan(), compression="jpeg", quality=75)),
    "a.webp": ("jpeg", saved(scan(), quality=75)),
    "exact.webp": ("image", saved(scan(), lossless=True)),
    "a.gif": ("image", saved(scan().quantize(64))),
    "a.bmp": ("image", saved(scan())),
    "a.jp2": ("jpx", saved(scan(), quality_mode="rates", quality_layers=[12])),
    "a.avif": ("jpeg", saved(scan(), quality=75)),
    "a.heic": ("jpeg", saved(scan(), quality=75)),
}


def searchable(source: Path, num_pages: int = 1) -> Path:
    records = [
        {"page_number": index + 1, "text": "", "width": 80, "height": 100, "rotation": 0, "lines": [
            {"text": f"lamp{index}", "box": [8, 10, 40, 20], "confidence": 1}]}
        for index in range(num_pages)
    ]  # fmt: skip
    pages, out = source.with_name("pages.jsonl"), source.with_name("out.pdf")
    pages.write_text("".join(json.dumps(one) + "\n" for one in records))
    write_searchable_pdf(source, pages, out, limits=LIMITS)
    return out


def pixels(image: Image.Image) -> np.ndarray[Any, Any]:
    return np.asarray(image.convert("L").resize(SHEET)).astype(int)


@pytest.mark.parametrize("name", KINDS)
def test_image_in_a_pdf_is_the_image_of_the_file_and_hardly_larger(tmp_path: Path, name: str) -> None:
    form, save = KINDS[name]
    source = tmp_path / name
    save(source)
    num_pages = 3 if name == "faxes.tif" else 2 if name == "several.mpo" else 1
    out = searchable(source, num_pages)
    assert out.stat().st_size <= GROWTH * source.stat().st_size
    with pymupdf.open(out) as document:
        page = document[num_pages - 1]
        [found] = page.get_images(full=True)
        assert (
            found[8]
            == {"jpeg": "DCTDecode", "ccitt": "CCITTFaxDecode", "jpx": "JPXDecode", "image": "FlateDecode"}[form]
        )
        whole = render_page(source, num_pages - 1, spec=ImageSpec(factor=1, max_side=600), limits=LIMITS).image
        across, down = whole.width / page.rect.width, whole.height / page.rect.height
        seen = page.get_pixmap(matrix=pymupdf.Matrix(across, down), alpha=False)
        shown = Image.frombytes("RGB", (seen.width, seen.height), seen.samples)
        most = 0.6 if form != "jpeg" else 12 if name == "cmyk.jpg" else 6  # levels of 255
        assert np.abs(pixels(shown) - pixels(whole)).mean() <= most
        assert page.get_text().strip() == f"lamp{num_pages - 1}"


def test_jpeg_goes_in_byte_for_byte(tmp_path: Path) -> None:
    source = tmp_path / "a.jpg"
    scan().save(source, quality=75)
    assert source.read_bytes() in searchable(source).read_bytes()


@pytest.mark.parametrize(
    ("name", "options", "points"),
    [
        ("a.jpg", {"dpi": DPI}, POINTS),
        ("a.png", {"dpi": DPI}, POINTS),
        ("a.tif", {"dpi": (300, 300)}, (115.2, 144)),
        ("fax.tif", {"dpi": (204, 98)}, (169.4, 440.8)),
        ("turned.tif", {"dpi": (60, 120), "tiffinfo": {274: 6}}, (360, 576)),
        ("screenshot.png", {"dpi": (72, 72)}, SHEET),
        ("a.webp", {}, (673.6, 842)),
        ("none.jpg", {}, (673.6, 842)),
        ("absurd.jpg", {"dpi": (1, 1)}, (673.6, 842)),
        ("absurd.png", {"dpi": (30000, 30000)}, (673.6, 842)),
        ("uneven.png", {"dpi": (60, 600)}, (673.6, 842)),
    ],
)
def test_page_is_as_large_as_the_sheet_was(
    tmp_path: Path, name: str, options: dict[str, Any], points: tuple[float, float]
) -> None:
    source = tmp_path / name
    scan().save(source, **options)
    with pymupdf.open(searchable(source)) as document:
        assert tuple(document[0].rect)[2:] == pytest.approx(points, abs=0.6)


def test_photo_of_a_camera_that_says_72_dpi_is_no_poster(tmp_path: Path) -> None:
    source = tmp_path / "photo.jpg"
    Image.new("RGB", (4000, 3000), "grey").save(source, dpi=(72, 72))
    with pymupdf.open(searchable(source)) as document:
        assert tuple(document[0].rect)[2:] == pytest.approx((842, 631.5), abs=0.6)


def test_damaged_image_is_an_empty_page_beside_sound_ones(tmp_path: Path) -> None:
    source = tmp_path / "cut.jpg"
    scan().save(source, quality=75)
    source.write_bytes(source.read_bytes()[:9000])
    with pymupdf.open(searchable(source)) as document:
        assert [document[0].get_images(), document[0].get_text().strip()] == [[], "lamp0"]


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="needs pdfinfo and pdftotext of poppler-utils")
def test_another_reader_finds_size_image_and_text(tmp_path: Path) -> None:
    source = tmp_path / "faxes.tif"
    bits().save(source, compression="group4", dpi=DPI, save_all=True, append_images=[bits(1)])
    out = str(searchable(source, 2))

    def told(*command: str) -> str:
        answer = subprocess.run([*command], capture_output=True, text=True, check=True)
        assert not answer.stderr
        return answer.stdout

    assert "576 x 720 pts" in told("pdfinfo", "-f", "2", "-l", "2", out)
    assert told("pdftotext", out, "-").split() == ["lamp0", "lamp1"]
    assert [row.split()[8] for row in told("pdfimages", "-list", out).splitlines()[2:]] == ["ccitt", "ccitt"]
