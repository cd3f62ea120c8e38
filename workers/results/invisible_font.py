"""A PDF font whose letters cannot be seen, for all of Unicode: text to be searched and selected over a page image.

As Tesseract's pdf.ttf it has one empty glyph that all codes share, so that it is tiny and no script is missing. Unlike
there the widths are those of Helvetica, so that words begin near their places in a line that is stretched to its box.
"""

from __future__ import annotations

import re
import struct
import unicodedata
from functools import cache
from itertools import accumulate, groupby
from operator import itemgetter

from workers.light_pymupdf import pymupdf

NAME = "PagefanInvisible"
DEFAULT_WIDTH = 500  # thousandths of the size, as all widths here
WIDE = 1000
WIDE_CODES = ((0x1100, 0x11FF), (0x2E80, 0xD7A3), (0xF900, 0xFAFF), (0xFF01, 0xFF60))  # Hangul, kana, Han
MEASURED_CODES = (range(0x20, 0x180), range(0x370, 0x530))  # Latin, Greek, Cyrillic
ASCENT, DESCENT = 800, -200
CLUSTER = re.compile(r"[\s\S][\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670]*")  # a letter, its accents


def add_font(document: pymupdf.Document) -> int:
    """Put the font into the document; returns the number of its object."""
    file = add_object(document, f"<</Length1 {len(font_file())}>>", font_file())
    descriptor = add_object(
        document,
        f"<</Type/FontDescriptor/FontName/{NAME}/Flags 5/FontBBox[0 {DESCENT} 1000 {ASCENT}]/ItalicAngle 0"
        f"/Ascent {ASCENT}/Descent {DESCENT}/CapHeight {ASCENT}/StemV 80/FontFile2 {file} 0 R>>",
    )
    to_glyph = add_object(document, "<<>>", b"\0\1" * 0x10000)
    descendant = add_object(
        document,
        f"<</Type/Font/Subtype/CIDFontType2/BaseFont/{NAME}/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)"
        f"/Supplement 0>>/FontDescriptor {descriptor} 0 R/DW {DEFAULT_WIDTH}/W[{width_ranges()}]"
        f"/CIDToGIDMap {to_glyph} 0 R>>",
    )
    to_unicode = add_object(document, "<<>>", unicode_map())
    return add_object(
        document,
        f"<</Type/Font/Subtype/Type0/BaseFont/{NAME}/Encoding/Identity-H/DescendantFonts[{descendant} 0 R]"
        f"/ToUnicode {to_unicode} 0 R>>",
    )


def add_object(document: pymupdf.Document, content: str, stream: bytes | None = None) -> int:
    number = int(document.get_new_xref())
    document.update_object(number, content)
    if stream is not None:
        document.update_stream(number, stream, new=True)
    return number


def encode(text: str) -> bytes:
    """The text as codes of the font, two bytes each, from left to right as PDF has them."""
    return visual(text).encode("utf-16-be", "replace")


def visual(text: str) -> str:
    """The text in the order in which it is seen: Hebrew and Arabic run from right to left, and numbers in them do not.

    A short form of the Unicode bidirectional algorithm: runs of one direction, no embedding and no mirrored brackets.
    """
    strong = [direction for direction in map(direction_of, text) if direction]
    if "R" not in strong:
        return text
    directions = directions_of(text, base=strong[0])
    pairs = groupby(zip(directions, text, strict=True), key=itemgetter(0))
    runs = [(direction, "".join(character for _, character in part)) for direction, part in pairs]
    shown = [reverse(run) if direction == "R" else run for direction, run in runs]
    return "".join(shown if strong[0] == "L" else reversed(shown))


def direction_of(character: str) -> str:
    """ "L", "R", or "" for what takes the direction of its neighbours."""
    kind = unicodedata.bidirectional(character)
    return "R" if kind in ("R", "AL") else "L" if kind in ("L", "EN", "AN") else ""


def directions_of(text: str, *, base: str) -> list[str]:
    """The direction of each character; a space or a mark has that of both its sides, or else the whole text's."""
    found = [direction_of(character) for character in text]
    before = list(accumulate(found, latest, initial=base))[:-1]
    after = list(accumulate(reversed(found), latest, initial=base))[-2::-1]
    return [here or (left if left == right else base) for here, left, right in zip(found, before, after, strict=True)]


def latest(last: str, now: str) -> str:
    return now or last


def reverse(run: str) -> str:
    """The run backwards, accents still after their letters."""
    return "".join(reversed(CLUSTER.findall(run)))


def text_width(text: str) -> float:
    """Width of the text at size 1."""
    return sum(width_of(code) for (code,) in struct.iter_unpack(">H", encode(text))) / 1000


@cache
def width_of(code: int) -> int:
    if any(code in codes for codes in MEASURED_CODES):
        return round(1000 * helvetica().glyph_advance(code)) or DEFAULT_WIDTH
    return WIDE if any(first <= code <= last for first, last in WIDE_CODES) else DEFAULT_WIDTH


@cache
def helvetica() -> pymupdf.Font:
    return pymupdf.Font("helv")


@cache
def width_ranges() -> str:
    measured = (f"{codes[0]}[{' '.join(str(width_of(code)) for code in codes)}]" for codes in MEASURED_CODES)
    return " ".join((*measured, *(f"{first} {last} {WIDE}" for first, last in WIDE_CODES)))


@cache
def unicode_map() -> bytes:
    """A CMap by which each code is itself; one range for all, as in Tesseract's PDFs, which viewers know."""
    return (
        b"/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
        b"/CIDSystemInfo <</Registry (Adobe) /Ordering (UCS) /Supplement 0>> def\n"
        b"/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
        b"1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n"
        b"1 beginbfrange\n<0000> <FFFF> <0000>\nendbfrange\n"
        b"endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend"
    )


@cache
def font_file() -> bytes:
    """A TrueType font of two empty glyphs with the tables that PDF asks for (ISO 32000-1, 9.9)."""
    tables = {
        b"glyf": struct.pack(">5hH", 0, 0, 0, 0, 0, 0),  # the second glyph: no contours
        b"head": struct.pack(
            ">IIIIHHqqhhhhHHhhh",
            0x10000, 0x10000, 0, 0x5F0F3CF5, 0, 1000, 0, 0, 0, DESCENT, 1000, ASCENT, 0, 8, 2, 0, 0,
        ),
        b"hhea": struct.pack(
            ">IhhhHhhhhhhhhhhhH", 0x10000, ASCENT, DESCENT, 0, DEFAULT_WIDTH, 0, 0, 0, 1, *(0,) * 7, 1
        ),
        b"hmtx": struct.pack(">Hhh", DEFAULT_WIDTH, 0, 0),
        b"loca": struct.pack(">3H", 0, 0, 6),  # offsets, halved
        b"maxp": struct.pack(">I14H", 0x10000, 2, 0, 0, 0, 0, 1, *(0,) * 8),
    }  # fmt: skip
    directory, body = struct.pack(">I4H", 0x10000, len(tables), 64, 2, len(tables) * 16 - 64), b""
    start = len(directory) + 16 * len(tables)
    for tag, data in tables.items():
        padded = data + b"\0" * (-len(data) % 4)
        checksum = sum(word for (word,) in struct.iter_unpack(">I", padded)) & 0xFFFFFFFF
        directory += struct.pack(">4sIII", tag, checksum, start + len(body), len(data))
        body += padded
    return directory + body
