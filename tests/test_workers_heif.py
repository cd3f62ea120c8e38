"""HEIF photos: read where pillow-heif is installed, refused with what to do where it is not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image, ImageDraw, ImageFont
from web_service import WebService, check_problem

from workers.documents import kinds
from workers.documents.kinds import DocumentError, DocumentLimits, sniff
from workers.documents.open import inspect_document, render_page
from workers.engines import ImageSpec

LIMITS = DocumentLimits(max_page_pixels=10_000_000)
SPEC = ImageSpec(factor=1, max_side=1760)


def picture(text: str, ground: str = "white") -> Image.Image:
    image = Image.new("RGB", (640, 400), ground)
    ImageDraw.Draw(image).text((40, 40), text, "black", ImageFont.load_default(40))
    return image


def save(path: Path, pictures: Sequence[Image.Image], **options: Any) -> Path:
    plugin = pytest.importorskip("pillow_heif")
    file = plugin.HeifFile()
    for one in pictures:
        file.add_from_pillow(one)
    file.save(path / "a.heic", quality=60, **options)
    return path / "a.heic"


def head_of(major: bytes, *others: bytes) -> bytes:
    box = b"ftyp" + major + bytes(4) + b"".join(others)
    return (len(box) + 4).to_bytes(4, "big") + box + b"more"


def test_photo_is_read(tmp_path: Path) -> None:
    path = save(tmp_path, [picture("Lease agreement")])
    info = inspect_document(path, limits=LIMITS)
    assert (info.kind, info.num_pages, info.warnings) == ("heif", 1, ())
    page = render_page(path, 0, spec=SPEC, limits=LIMITS)
    assert (page.width, page.height, page.is_blank) == (640, 400, False)


def test_photo_stands_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    path = save(tmp_path, [picture("Lease agreement")], exif=exif.tobytes())
    page = render_page(path, 0, spec=SPEC, limits=LIMITS)
    assert (page.width, page.height) == (400, 640)


def test_photos_that_differ_are_pages(tmp_path: Path) -> None:
    path = save(tmp_path, [picture("one", "yellow"), picture("two", "cyan"), picture("two", "cyan")])
    assert inspect_document(path, limits=LIMITS).num_pages == 2
    pages = [render_page(path, index, spec=SPEC, limits=LIMITS).image for index in range(2)]
    colours: list[Any] = [page.convert("RGB").getpixel((600, 380)) for page in pages]
    assert [[value > 128 for value in colour] for colour in colours] == [[True, True, False], [False, True, True]]


@pytest.mark.parametrize("keep", [0.02, 0.3, 0.6, 0.9])
def test_photo_cut_short_is_refused(tmp_path: Path, keep: float) -> None:
    path = save(tmp_path, [Image.effect_noise((300, 200), 90).convert("RGB")])
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(DocumentError) as caught:
        inspect_document(path, limits=LIMITS)
        render_page(path, 0, spec=SPEC, limits=LIMITS)
    assert caught.value.reason in ("corrupt", "page_failed", "unsupported_format")


def test_photo_with_too_many_pixels_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, [picture("Lease agreement")])
    with pytest.raises(DocumentError) as caught:
        inspect_document(path, limits=DocumentLimits(max_page_pixels=100_000))
    assert caught.value.reason == "too_large"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (head_of(b"heic", b"mif1", b"heic"), "heif"),
        (head_of(b"mif1", b"heic"), "heif"),
        (head_of(b"mif1", b"avif", b"miaf"), "avif"),
        (head_of(b"avif", b"mif1"), "avif"),
        (head_of(b"msf1", b"hevc"), "heif"),
    ],
)
def test_brands_tell_the_kind(head: bytes, kind: str) -> None:
    pytest.importorskip("pillow_heif")
    assert sniff(head) == kind


def test_without_the_package_the_refusal_names_it(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "find_spec", lambda _: None)
    answer = web.upload(head_of(b"heic", b"mif1"), "photo.heic")
    assert 'pip install "pagefan[heif]"' in check_problem(answer, 415, "unsupported-format")["detail"]
