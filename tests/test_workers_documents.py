"""Documents: what is recognised, what is refused and why, and what a page looks like."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pymupdf
import pytest
from PIL import Image, TiffImagePlugin

from workers.documents.heif import enable_heif
from workers.documents.images import fit
from workers.documents.kinds import EXTENSIONS, DocumentError, DocumentLimits, Kind, sniff
from workers.documents.open import inspect_document, read_text_layer, render_page
from workers.engines import ImageSpec

LIMITS = DocumentLimits(max_pages=50, max_page_pixels=4_000_000)
SPEC = ImageSpec(factor=32, max_side=512)
REASONS = {
    "empty_file",
    "wrong_type",
    "unsupported_format",
    "corrupt",
    "encrypted",
    "no_pages",
    "too_large",
    "page_failed",
}


def make_pdf(path: Path, texts: list[str], *, width: float = 300, height: float = 400, **save: Any) -> Path:
    with pymupdf.open() as document:
        for text in texts:
            document.new_page(width=width, height=height).insert_text((30, 60), text, fontsize=30)
        document.save(path, **save)
    return path


def make_images(path: Path, *sizes: tuple[int, int], **save: Any) -> Path:
    first, *others = (Image.new("RGB", size, (10 * place,) * 3) for place, size in enumerate(sizes))
    first.save(path, save_all=bool(others), append_images=others, **save)
    return path


def reason_of(call: Any, *args: Any, **kwargs: Any) -> str:
    """The reason of the DocumentError that the call raises; its detail has to be of use to people."""
    with pytest.raises(DocumentError) as caught:
        call(*args, **kwargs)
    error = caught.value
    assert error.reason in REASONS
    assert error.detail.endswith(".")
    assert error.detail.count(".") >= 2, "it says what happened and what to do next"
    assert str(Path.cwd()) not in error.detail
    return error.reason


def inspect(path: Path, **kwargs: Any) -> Any:
    return inspect_document(path, limits=LIMITS, **kwargs)


def render(path: Path, index: int = 0, *, spec: ImageSpec = SPEC, **kwargs: Any) -> Any:
    return render_page(path, index, spec=spec, limits=kwargs.pop("limits", LIMITS), **kwargs)


# what a file is


@pytest.mark.parametrize("kind", [kind for kind in EXTENSIONS if kind != "pdf"])
def test_image_formats_are_recognised_read_and_drawn(tmp_path: Path, kind: Kind) -> None:
    if kind == "heif":
        enable_heif()  # Pillow writes it then too
    path = make_images(tmp_path / f"picture{EXTENSIONS[kind][0]}", (64, 96))
    assert sniff(path.read_bytes()[:4096]) == kind
    info = inspect(path)
    assert (info.kind, info.num_pages, info.warnings) == (kind, 1, ())
    assert render(path).image.size == (64, 96)


@pytest.mark.parametrize("junk", [b"", b"\n", b"HTTP/1.1 200 OK\r\n\r\n", b"\0" * 1000])
def test_pdf_may_begin_late(tmp_path: Path, junk: bytes) -> None:
    path = make_pdf(tmp_path / "late.pdf", ["one"])
    path.write_bytes(junk + path.read_bytes())
    assert inspect(path).num_pages == 1


@pytest.mark.parametrize(
    ("head", "name", "reason"),
    [
        (b"", "a.pdf", "empty_file"),
        (b"<!DOCTYPE html><title>x</title>", "a.pdf", "wrong_type"),
        (b"\xef\xbb\xbf \n<HTML>", "a.PDF", "wrong_type"),
        (b"<html>", "a.html", "unsupported_format"),
        (b"<html>", "", "unsupported_format"),
        (b"PK\x03\x04\x14\x00", "a.pdf", "wrong_type"),
        (b"PK\x03\x04\x14\x00", "a.docx", "unsupported_format"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a.doc", "unsupported_format"),
        (b"\0\0\0\x18ftypmp42", "a.mp4", "unsupported_format"),
        (b"\0\0\0\x18ftypmp42", "a.jpg", "wrong_type"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "a.eps", "unsupported_format"),
        (b"<?xml version='1.0'?><svg/>", "a.png", "wrong_type"),
        (b"Just words.", "a.png", "corrupt"),
        (b"Just words.", "a.txt", "unsupported_format"),
        (b"BMW and others", "a.txt", "unsupported_format"),
        (b" " * 1100 + b"%PDF-1.7", "a.pdf", "corrupt"),
    ],
)
def test_other_files_are_refused_with_a_reason(head: bytes, name: str, reason: str) -> None:
    assert reason_of(sniff, head, name) == reason


def test_name_does_not_change_what_a_file_is(tmp_path: Path) -> None:
    pdf = make_pdf(tmp_path / "drawing.jpg", ["one", "two"])
    assert (inspect(pdf).kind, inspect(pdf).num_pages) == ("pdf", 2)
    png = make_images(tmp_path / "picture.png", (40, 40)).rename(tmp_path / "paper.pdf")
    assert (inspect(png).kind, render(png).width) == ("png", 32)


# PDF


def test_pdf_pages_come_in_order_with_their_text(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "a.pdf", [f"Page {n}" for n in range(1, 6)])
    assert inspect(path).num_pages == 5
    for index in (4, 0, 2):
        page = render(path, index)
        assert page.text_layer.split() == ["Page", str(index + 1)]
        assert read_text_layer(path, index) == page.text_layer
        assert (page.image.size, page.image.mode, page.is_blank) == ((384, 512), "RGB", False)
        assert (page.width, page.height, page.rotation) == (384, 512, 0)


def test_empty_pdf_page_is_blank(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "a.pdf", ["1", ""])
    assert [render(path, index).is_blank for index in (0, 1)] == [False, True]


def test_rotated_page_is_drawn_upright(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    with pymupdf.open() as document:
        document.new_page(width=300, height=400).set_rotation(90)
        document.save(path)
    page = render(path)
    assert (page.image.size, page.rotation) == ((512, 384), 90)


def test_grey_spec_gives_a_grey_page(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "a.pdf", ["grey"])
    page = render(path, spec=ImageSpec(factor=28, max_side=512, mode="L"))
    assert (page.image.mode, page.image.size) == ("L", (392, 504))


@pytest.mark.parametrize(("dpi", "size"), [(0, (384, 512)), (36, (160, 192)), (72, (288, 384)), (600, (384, 512))])
def test_dpi_counts_within_the_size_of_the_spec(tmp_path: Path, dpi: int, size: tuple[int, int]) -> None:
    assert render(make_pdf(tmp_path / "a.pdf", ["dpi"]), dpi=dpi).image.size == size


@pytest.mark.parametrize("size", [(14_400, 14_400), (14_400, 3), (3, 14_400), (1, 1)])
def test_page_of_any_size_stays_within_the_spec(tmp_path: Path, size: tuple[int, int]) -> None:
    path = make_pdf(tmp_path / "a.pdf", ["x"], width=size[0], height=size[1])
    for dpi in (0, 1200):
        page = render(path, dpi=dpi)
        assert max(page.width, page.height) <= 512
        assert page.width % 32 == page.height % 32 == 0


def test_page_pixels_are_bounded_where_the_spec_asks_for_more(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "a.pdf", ["x"])
    page = render(path, spec=ImageSpec(factor=32, max_side=4096), limits=DocumentLimits(max_page_pixels=1_000_000))
    assert page.width * page.height <= 1_000_000
    assert page.height == 992


def test_changed_file_is_opened_anew(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "a.pdf", ["before"])
    assert render(path).text_layer.split() == ["before"]
    make_pdf(tmp_path / "b.pdf", ["after"])
    (tmp_path / "b.pdf").replace(path)
    assert render(path).text_layer.split() == ["after"]


def lock(path: Path, **passwords: Any) -> Path:
    return make_pdf(path, ["secret"], encryption=pymupdf.PDF_ENCRYPT_AES_256, **passwords)


def test_locked_pdf_opens_with_its_password_only(tmp_path: Path) -> None:
    path = lock(tmp_path / "a.pdf", user_pw="sesame", owner_pw="other")
    assert reason_of(inspect, path) == "encrypted"
    assert reason_of(inspect, path, password="wrong") == "encrypted"
    assert reason_of(render, path) == "encrypted"
    assert reason_of(read_text_layer, path, 0) == "encrypted"
    assert inspect(path, password="sesame").num_pages == 1
    assert render(path, password="sesame").text_layer.split() == ["secret"]


def test_pdf_locked_against_changes_only_needs_no_password(tmp_path: Path) -> None:
    assert inspect(lock(tmp_path / "a.pdf", owner_pw="other")).num_pages == 1


def test_pdf_without_pages_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Count 0/Kids[]>>endobj\n"
        b"xref\n0 3\n0000000000 65535 f \n0000000009 00000 n \n0000000052 00000 n \n"
        b"trailer<</Size 3/Root 1 0 R>>\nstartxref\n96\n%%EOF\n"
    )
    assert reason_of(inspect, path) == "no_pages"


def test_repaired_pdf_comes_with_a_warning(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "a.pdf", ["one", "two"])
    assert inspect(path).warnings == ()
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"xref\n0 ")])
    info = inspect(path)
    assert info.num_pages == 2
    assert "repaired" in info.warnings[0]


@pytest.mark.parametrize("data", [b"%PDF-1.7\n", b"%PDF-1.7\n" + bytes(range(256)) * 20])
def test_pdf_of_junk_is_corrupt(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(data)
    assert reason_of(inspect, path) in ("corrupt", "no_pages")


def test_web_page_that_mentions_pdf_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"<html><body>%PDF-1.7 is a kind of file</body></html>")
    assert reason_of(inspect, path) in ("wrong_type", "corrupt", "no_pages")


def test_page_that_is_not_there_fails_alone(tmp_path: Path) -> None:
    assert reason_of(render, make_pdf(tmp_path / "a.pdf", ["one"]), 1) == "page_failed"
    assert reason_of(render, make_images(tmp_path / "a.tif", (40, 40), (40, 40)), 2) == "page_failed"


def test_document_of_too_many_pages_is_refused(tmp_path: Path) -> None:
    assert inspect(make_pdf(tmp_path / "a.pdf", ["x"] * 50)).num_pages == 50
    assert reason_of(inspect, make_pdf(tmp_path / "b.pdf", ["x"] * 51)) == "too_large"
    assert reason_of(inspect, make_images(tmp_path / "c.tif", *[(8, 8)] * 51)) == "too_large"


# images


def test_tiff_has_a_page_for_each_frame(tmp_path: Path) -> None:
    path = make_images(tmp_path / "a.tif", (64, 96), (96, 64), (128, 128))
    assert inspect(path).num_pages == 3
    pages = [render(path, index) for index in range(3)]
    assert [page.image.size for page in pages] == [(64, 96), (96, 64), (128, 128)]
    assert [page.image.getpixel((0, 0))[0] for page in pages] == [0, 10, 20]
    assert read_text_layer(path, 1) == ""


def make_tiff(path: Path, *frames: tuple[Image.Image, dict[int, int]]) -> Path:
    """A TIFF of frames, each with its own tags."""
    with path.open("w+b") as file, TiffImagePlugin.AppendingTiffWriter(file) as out:
        for image, tags in frames:
            directory = TiffImagePlugin.ImageFileDirectory_v2()
            for tag, value in tags.items():
                directory[tag] = value
            image.save(out, "TIFF", tiffinfo=directory)
            out.newFrame()
    return path


def test_thumbnails_and_masks_in_a_tiff_are_not_pages(tmp_path: Path) -> None:
    grey = [Image.new("L", (64, 64), shade) for shade in (10, 20, 30, 40)]
    path = make_tiff(tmp_path / "a.tif", (grey[0], {254: 1}), (grey[1], {254: 2}), (grey[2], {254: 4}), (grey[3], {}))
    assert inspect(path).num_pages == 2
    assert [render(path, index).image.getpixel((0, 0))[0] for index in (0, 1)] == [20, 40]


def test_tiff_of_nothing_but_a_thumbnail_has_one_page(tmp_path: Path) -> None:
    path = make_tiff(tmp_path / "a.tif", (Image.new("L", (64, 64), 9), {254: 1}))
    assert inspect(path).num_pages == 1
    assert render(path).image.getpixel((0, 0)) == (9, 9, 9)


@pytest.mark.parametrize("photometric", [0, 1])
def test_deep_tiff_is_the_right_way_round(tmp_path: Path, photometric: int) -> None:
    deep = Image.fromarray(np.full((64, 64), 0xC000, np.uint16))
    path = make_tiff(tmp_path / "a.tif", (deep, {262: photometric}))
    assert render(path).image.getpixel((0, 0))[0] == (0xC0 if photometric else 0x3F)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_animation_is_one_page(tmp_path: Path, suffix: str) -> None:
    path = make_images(tmp_path / f"a{suffix}", (64, 64), (64, 64), (64, 64))
    with Image.open(path) as image:
        assert getattr(image, "n_frames", 1) == 3
    assert inspect(path).num_pages == 1
    assert render(path).image.getpixel((0, 0)) == (0, 0, 0)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize(("orientation", "turn"), [(1, 0), (3, 180), (6, 90), (8, 270)])
def test_exif_orientation_turns_the_page(tmp_path: Path, suffix: str, orientation: int, turn: int) -> None:
    stored = Image.new("L", (128, 64), 255)
    stored.paste(0, (0, 0, 32, 32))  # the corner that is the top left as stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{suffix}"
    stored.convert("RGB").save(path, exif=exif)
    page = render(path)
    assert page.rotation == turn
    expected = stored.rotate(-turn, expand=True)
    assert page.image.size == expected.size
    assert abs(np.asarray(page.image.convert("L")).astype(int) - np.asarray(expected)).max() < 40


def test_large_jpeg_is_not_decoded_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_images(tmp_path / "a.jpg", (2000, 1800))
    seen: list[tuple[int, int]] = []

    def see_size(image: Image.Image, spec: ImageSpec) -> Image.Image:
        image.load()
        seen.append(image.size)
        return fit(image, spec)

    monkeypatch.setattr("workers.documents.image.fit_or_large", see_size)
    render(path, spec=ImageSpec(factor=32, max_side=256))
    assert seen == [(1000, 900)]


def test_oversized_image_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("1", (3000, 3000)).save(path)
    data = bytearray(path.read_bytes())
    path.write_bytes(data[:60])  # the header alone: decoding would be "corrupt"
    assert reason_of(inspect, path) == "too_large"
    assert reason_of(render, path) == "too_large"


def test_one_oversized_frame_does_not_cost_the_other_pages(tmp_path: Path) -> None:
    path = make_images(tmp_path / "a.tif", (64, 64), (3000, 3000), (64, 64), compression="tiff_lzw")
    info = inspect(path)
    assert info.num_pages == 3
    assert "page 2" in info.warnings[0]
    assert render(path, 2).image.size == (64, 64)
    assert reason_of(render, path, 1) == "too_large"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".gif", ".tif", ".webp", ".bmp", ".jp2"])
def test_image_cut_short_fails_with_a_reason(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, Image.registered_extensions()[suffix])
    path = tmp_path / f"a{suffix}"
    path.write_bytes(file.getvalue()[: len(file.getvalue()) // 2])
    assert reason_of(render, path) in ("corrupt", "page_failed")
