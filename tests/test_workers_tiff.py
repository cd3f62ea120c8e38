"""TIFFs whose chain of directories is broken, has a loop or no end: refused, or read with what is missing named."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workers.documents.kinds import DocumentError, DocumentLimits
from workers.documents.open import inspect_document, render_page
from workers.documents.tiff import directories
from workers.engines import ImageSpec

SIDE = 16
LIMITS = DocumentLimits(max_pages=50, max_page_pixels=1_000_000)
SPEC = ImageSpec(factor=1, max_side=64)
BYTE, ASCII, SHORT, LONG, RATIONAL = 1, 2, 3, 4, 5  # types of tags
SUBFILE, WIDTH, HEIGHT, OFFSETS, BYTES = 254, 256, 257, 273, 279

Tag = tuple[int, int, int, int]  # number, type, count, value
PLAIN: list[Tag] = [
    (WIDTH, SHORT, 1, SIDE),
    (HEIGHT, SHORT, 1, SIDE),
    (258, SHORT, 1, 8),
    (259, SHORT, 1, 1),
    (262, SHORT, 1, 1),
    (OFFSETS, LONG, 1, 8),
    (277, SHORT, 1, 1),
    (278, SHORT, 1, SIDE),
    (BYTES, LONG, 1, SIDE * SIDE),
]
THUMBNAIL: list[Tag] = [(SUBFILE, LONG, 1, 1), *PLAIN]


def changed(*changes: Tag) -> list[Tag]:
    """A plain frame's tags with these in the place of its own."""
    return sorted({tag[0]: tag for tag in [*PLAIN, *changes]}.values())


def without(*numbers: int) -> list[Tag]:
    return [tag for tag in PLAIN if tag[0] not in numbers]


def tiff(*frames: Sequence[Tag], last_leads_to: int | None = None) -> bytes:
    """A little-endian TIFF of these directories, all with the same grey pixels; the last may lead back to one."""
    pixels = bytes(range(SIDE)) * SIDE
    starts = [8 + len(pixels)]
    for tags in frames:
        starts.append(starts[-1] + 2 + 12 * len(tags) + 4)
    starts[-1] = 0 if last_leads_to is None else starts[last_leads_to]
    data = bytearray(b"II*\0" + struct.pack("<L", starts[0]) + pixels)
    for tags, following in zip(frames, starts[1:], strict=True):
        data += struct.pack("<H", len(tags))
        for tag in tags:
            data += struct.pack("<HHLL", *tag)
        data += struct.pack("<L", following)
    return bytes(data)


def outcome(path: Path) -> list[str]:
    """What becomes of each page, in order; or the one reason why the file is refused."""
    try:
        info = inspect_document(path, limits=LIMITS)
    except DocumentError as exc:
        return [exc.reason]
    return [page_outcome(path, index) for index in range(info.num_pages)]


def page_outcome(path: Path, index: int) -> str:
    try:
        render_page(path, index, spec=SPEC, limits=LIMITS)
    except DocumentError as exc:
        return exc.reason
    return "read"


def warning(path: Path) -> str:
    return " ".join(inspect_document(path, limits=LIMITS).warnings)


def write(folder: Path, data: bytes) -> Path:
    path = folder / "a.tif"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "tags",
    [
        without(WIDTH, HEIGHT),
        without(WIDTH),
        changed((WIDTH, ASCII, 4, 0x41414141)),
        changed((WIDTH, BYTE, 4, 0x01020304), (HEIGHT, BYTE, 4, 0x01020304)),
        changed((258, SHORT, 1, 77)),
        changed((262, SHORT, 1, 999)),
        changed((WIDTH, RATIONAL, 1, 4)),
        [],
    ],
)
def test_broken_directory_costs_its_own_page_only(tmp_path: Path, tags: list[Tag]) -> None:
    path = write(tmp_path, tiff(PLAIN, tags, PLAIN))
    assert outcome(path) == ["read", "page_failed", "read"]
    assert "page 2" in warning(path)


@pytest.mark.parametrize("keep", [0.3, 0.5, 0.9])
def test_file_cut_short_says_where(tmp_path: Path, keep: float) -> None:
    whole = tiff(*[PLAIN] * 12)
    path = write(tmp_path, whole[: int(len(whole) * keep)])
    pages = outcome(path)
    assert pages[0] == "read"
    assert "page_failed" not in pages[:-1]
    assert "missing" in warning(path) or "exist" in warning(path)


@pytest.mark.parametrize("missing", range(1, 5))
def test_file_without_the_end_of_its_last_directory_has_a_warning(tmp_path: Path, missing: int) -> None:
    path = write(tmp_path, tiff(PLAIN, PLAIN)[:-missing])
    assert outcome(path) == ["read", "read"]
    assert "cut short" in warning(path)


def test_second_directory_beyond_the_file_is_a_page_that_fails(tmp_path: Path) -> None:
    data = tiff(PLAIN)
    path = write(tmp_path, data[:-4] + struct.pack("<L", 9_999_999))
    assert outcome(path) == ["read", "page_failed"]


@pytest.mark.parametrize("first", [0, 1, 2])
def test_loop_of_directories_ends(tmp_path: Path, first: int) -> None:
    path = write(tmp_path, tiff(PLAIN, PLAIN, PLAIN, last_leads_to=first))
    assert outcome(path) == ["read"] * 3
    assert "leads back" in warning(path)


@pytest.mark.parametrize("frames", [[PLAIN], [PLAIN, PLAIN], [PLAIN, THUMBNAIL], [THUMBNAIL, PLAIN], [THUMBNAIL] * 3])
def test_sound_file_has_no_warning(tmp_path: Path, frames: list[list[Tag]]) -> None:
    path = write(tmp_path, tiff(*frames))
    assert set(outcome(path)) == {"read"}
    assert not warning(path)


def test_loop_through_a_broken_directory_ends(tmp_path: Path) -> None:
    pages = outcome(write(tmp_path, tiff(PLAIN, without(WIDTH), last_leads_to=1)))
    assert pages == ["read", "page_failed"]


@pytest.mark.parametrize("kind", [ASCII, BYTE, 99])
def test_subfile_type_of_the_wrong_type_is_a_page(tmp_path: Path, kind: int) -> None:
    assert outcome(write(tmp_path, tiff(PLAIN, [(SUBFILE, kind, 3, 0x414141), *PLAIN]))) == ["read", "read"]


@pytest.mark.parametrize("tags", [without(WIDTH), [], changed((258, SHORT, 1, 77))])
def test_broken_first_directory_is_corrupt(tmp_path: Path, tags: list[Tag]) -> None:
    assert outcome(write(tmp_path, tiff(tags, PLAIN))) == ["corrupt"]


def test_thumbnail_beside_each_page_is_within_the_limit(tmp_path: Path) -> None:
    path = write(tmp_path, tiff(*[PLAIN, THUMBNAIL] * LIMITS.max_pages))
    assert inspect_document(path, limits=LIMITS).num_pages == LIMITS.max_pages


@pytest.mark.parametrize("num_frames", [LIMITS.max_pages * 2 + 1, 60_000])
def test_tiff_of_thumbnails_without_end_is_refused(tmp_path: Path, num_frames: int) -> None:
    path = write(tmp_path, tiff(*[THUMBNAIL] * num_frames))
    with pytest.raises(DocumentError, match="Split it") as refused:
        inspect_document(path, limits=LIMITS)
    assert refused.value.reason == "too_large"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(8, 3_000), junk=st.binary(min_size=1, max_size=12))
def test_no_damage_raises_what_nobody_expects(tmp_path: Path, place: int, junk: bytes) -> None:
    data = bytearray(tiff(PLAIN, THUMBNAIL, PLAIN, PLAIN))
    place %= len(data) - len(junk)
    data[place : place + len(junk)] = junk
    assert outcome(write(tmp_path, bytes(data)))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("is_big", [False, True])
def test_images_are_counted_in_any_byte_order_and_size(tmp_path: Path, order: str, is_big: bool) -> None:
    """The chain alone, without Pillow."""
    mark = b"II" if order == "<" else b"MM"
    data = mark + struct.pack(order + "HHHQ", 43, 8, 0, 16) if is_big else mark + struct.pack(order + "HL", 42, 8)
    for left in range(LIMITS.max_pages * 2, -1, -1):
        entries = struct.pack(order + ("Q20x" if is_big else "H12x"), 1)
        pointer = len(data) + len(entries) + (8 if is_big else 4) if left else 0
        data += entries + struct.pack(order + ("Q" if is_big else "L"), pointer)
    path = write(tmp_path, data)
    with path.open("rb") as file:
        assert len(list(directories(file))) == LIMITS.max_pages * 2 + 1
    assert outcome(path) == ["too_large"]
