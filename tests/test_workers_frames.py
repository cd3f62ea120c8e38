"""Animations and containers of pictures: each picture that differs is a page, or a warning says what is left out."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from workers.documents import frames
from workers.documents.kinds import DocumentError, DocumentLimits
from workers.documents.open import DocumentInfo, inspect_document, render_page
from workers.engines import ImageSpec

SIZE = (620, 877)  # A4 at 75 dpi
LIMITS = DocumentLimits(max_pages=1000, max_page_pixels=10_000_000)
SPEC = ImageSpec(factor=1, max_side=1760)
FORMATS = ("gif", "webp", "png", "avif", "mpo")


def picture(text: str, size: tuple[int, int] = SIZE, ground: str = "white", ink: str = "black") -> Image.Image:
    image = Image.new("RGB", size, ground)
    ImageDraw.Draw(image).multiline_text((20, 30), f"Lease agreement\n{text}", ink, ImageFont.load_default(18))
    return image


def save(path: Path, pictures: Sequence[Image.Image], format: str, **options: Any) -> Path:
    path = path / f"a.{format}"
    lossy = {"webp": {"quality": 60, "method": 0}, "avif": {"quality": 60, "speed": 10}}.get(format, {})
    pictures[0].save(path, format, save_all=True, append_images=pictures[1:], **{"duration": 100} | lossy | options)
    return path


def look(path: Path, limits: DocumentLimits = LIMITS) -> DocumentInfo:
    return inspect_document(path, limits=limits)


def tell(path: Path, index: int) -> tuple[int, int, int]:
    """The colour in the corner of a page, which tells the test's pictures apart."""
    page = render_page(path, index, spec=SPEC, limits=LIMITS).image.convert("RGB")
    pixel: Any = page.getpixel((page.width - 3, page.height - 3))
    return tuple(round(value / 85) for value in pixel)


@pytest.mark.parametrize("format", FORMATS)
def test_each_picture_is_a_page_in_its_order(tmp_path: Path, format: str) -> None:
    grounds = ("white", "yellow", "cyan")
    path = save(tmp_path, [picture(f"Page {number}", ground=ground) for number, ground in enumerate(grounds)], format)
    assert (look(path).num_pages, look(path).warnings) == (3, ())
    assert [tell(path, index) for index in range(3)] == [(3, 3, 3), (3, 3, 0), (0, 3, 3)]
    with pytest.raises(DocumentError, match="page_failed"):
        render_page(path, 3, spec=SPEC, limits=LIMITS)


@pytest.mark.parametrize("format", FORMATS)
def test_one_digit_makes_another_page_and_nothing_new_makes_none(tmp_path: Path, format: str) -> None:
    texts = ["Rent: 1530 a month", "Rent: 1580 a month", "Rent: 1530 a month", "Rent: 1580 a month"]
    pictures = [picture(text) for text in texts]
    for number, one in enumerate(pictures):
        one.putpixel((600, 800), (number, 0, 0))  # or Pillow leaves equal frames out itself
    assert look(save(tmp_path, pictures, format)).num_pages == 2


@pytest.mark.parametrize("format", ["gif", "webp", "png"])
def test_what_differs_only_in_what_cannot_be_seen_is_one_page(tmp_path: Path, format: str) -> None:
    shown = picture("Page 1").convert("RGBA")
    pictures = [shown.copy() for _ in range(2)]
    pictures[0].paste((250, 0, 0, 0), (300, 300, 500, 500))
    pictures[1].paste((0, 0, 250, 0), (300, 300, 500, 500))
    assert look(save(tmp_path, pictures, format)).num_pages == 1


def test_ink_that_differs_in_colour_alone_makes_another_page(tmp_path: Path) -> None:
    pictures = [picture("Page 1", ground=ground) for ground in ("#ff0000", "#008200")]  # equal in grey
    assert look(save(tmp_path, pictures, "png")).num_pages == 2


def test_frames_over_the_limit_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MOST_PAGES", 5)
    path = save(tmp_path, [picture(f"Page {number}") for number in range(8)], "gif")
    assert look(path).warnings == ("The file has more pictures; its pages are the first 5 that differ.",)
    assert look(path).num_pages == 5
    assert look(path, DocumentLimits(max_pages=3)).num_pages == 3


def test_long_animation_is_looked_at_within_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MOST_PIXELS", 3.5 * SIZE[0] * SIZE[1])
    info = look(save(tmp_path, [picture(f"Page {number}") for number in range(8)], "webp"))
    assert info.num_pages == 3
    assert info.warnings == ("The file is long; only its first 3 pictures were looked at.",)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("keep", [0.4, 0.6, 0.8, 0.95])
def test_file_cut_short_is_never_read_in_silence(tmp_path: Path, format: str, keep: float) -> None:
    grounds = [Image.effect_noise((200, 300), 90).convert("RGB") for _ in range(4)]
    path = save(tmp_path, grounds, format)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    try:
        info = look(path)
        for index in range(info.num_pages):
            render_page(path, index, spec=SPEC, limits=LIMITS)
    except DocumentError as exc:
        assert exc.reason in ("corrupt", "page_failed")
    else:
        assert info.warnings


def test_animation_with_one_frame_is_one_page(tmp_path: Path) -> None:
    for format in FORMATS:
        assert look(save(tmp_path, [picture("Page 1")], format)).num_pages == 1


def test_gain_map_beside_a_photo_is_no_page(tmp_path: Path) -> None:
    photo = picture("Photo", (800, 600))
    path = save(tmp_path, [photo, photo.convert("L").resize((400, 300))], "mpo")
    assert (look(path).num_pages, look(path).warnings) == (1, ())


def test_preview_beside_a_photo_is_no_page_but_another_photo_is(tmp_path: Path) -> None:
    photo = picture("Photo\nwith a long text\nof many lines\n" * 6, (800, 600))
    assert look(save(tmp_path, [photo, photo.resize((320, 240))], "mpo")).num_pages == 1
    other = picture("Another\n\n\nphoto", (320, 240), ground="grey")
    assert look(save(tmp_path, [photo, other], "mpo")).num_pages == 2


def save_tiff(path: Path, pictures: Sequence[Image.Image]) -> Path:
    path = path / "a.tif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:])
    return path


def test_thumbnails_that_do_not_say_so_are_left_out_of_a_tiff(tmp_path: Path) -> None:
    pages = [picture(f"Page {number}\nwith a long text\n" * 12) for number in range(3)]
    pictures = [one for page in pages for one in (page, page.resize((113, 160)))]
    info = look(save_tiff(tmp_path, pictures))
    assert info.num_pages == 3
    assert info.warnings == ("Left out as a smaller copy of the page before: image 2, 4, 6 of the file.",)
    sizes = [render_page(tmp_path / "a.tif", index, spec=SPEC, limits=LIMITS).height for index in range(3)]
    assert sizes == [SIZE[1]] * 3


def test_small_pages_of_a_tiff_are_pages(tmp_path: Path) -> None:
    small = picture("A small page", (310, 438))
    info = look(save_tiff(tmp_path, [picture("A large page\n" * 20), small, Image.new("RGB", (113, 160), "white")]))
    assert (info.num_pages, info.warnings) == (3, ())


def test_a_png_with_text_chunks_is_still_one_page(tmp_path: Path) -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Title", "Lease")
    out = io.BytesIO()
    picture("Page 1").save(out, "png", pnginfo=chunks)
    (tmp_path / "a.png").write_bytes(out.getvalue())
    assert look(tmp_path / "a.png").num_pages == 1


def test_animation_of_countless_tiny_pictures_is_looked_at_in_part(tmp_path: Path) -> None:
    head = b"GIF89a" + struct.pack("<HH", 1, 1) + b"\x80\0\0\0\0\0\xff\xff\xff"
    frame = b"\x2c" + struct.pack("<HHHH", 0, 0, 1, 1) + b"\0\x02\x02\x4c\x01\0"
    path = tmp_path / "a.gif"
    path.write_bytes(head + frame * (frames.MOST_FRAMES + 1) + b";")
    info = inspect_document(path, limits=LIMITS)
    assert info.num_pages == 1
    assert str(frames.MOST_FRAMES) in info.warnings[0]
