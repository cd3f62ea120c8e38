"""What a file is by its bytes, what is refused and how, and the limits that documents keep."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

Kind = Literal["pdf", "png", "jpeg", "tiff", "webp", "gif", "bmp", "jp2", "avif", "heif"]

EXTENSIONS: dict[Kind, tuple[str, ...]] = {  # that names of such files have
    "pdf": (".pdf",),
    "png": (".png", ".apng"),
    "jpeg": (".jpeg", ".jpg", ".jpe", ".jfif", ".mpo"),
    "tiff": (".tiff", ".tif"),
    "webp": (".webp",),
    "gif": (".gif",),
    "bmp": (".bmp", ".dib"),
    "jp2": (".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc"),
    "avif": (".avif",),
    "heif": (".heic", ".heif", ".hif"),
}
SUFFIXES = frozenset(suffix for suffixes in EXTENSIONS.values() for suffix in suffixes)
HEAD_BYTES = 4096
PDF_MARK_BYTES = 1024  # "%PDF-" may come this late: ISO 32000-1, annex H, note 13

IMAGE_MARKS: tuple[tuple[Kind, int, bytes], ...] = (  # kind, offset, bytes
    ("png", 0, b"\x89PNG\r\n\x1a\n"),
    ("jpeg", 0, b"\xff\xd8\xff"),
    ("tiff", 0, b"II*\0"),
    ("tiff", 0, b"MM\0*"),
    ("tiff", 0, b"II+\0"),  # BigTIFF
    ("tiff", 0, b"MM\0+"),
    ("webp", 8, b"WEBP"),
    ("gif", 0, b"GIF87a"),
    ("gif", 0, b"GIF89a"),
    ("jp2", 0, b"\0\0\0\x0cjP  \r\n\x87\n"),
    ("jp2", 0, b"\xff\x4f\xff\x51"),  # a bare codestream
    ("avif", 4, b"ftypavif"),
    ("avif", 4, b"ftypavis"),
)
# brands of ISO/IEC 23008-12: HEVC pictures and sequences of them; the last two say only that there are pictures
HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
MOST_BRANDS = 64
NO_DECODER = (
    "The file is a HEIF photo, and this server has nothing to decode it with. Save the photo as JPEG and send that, or "
    'have the operator run: pip install "pagefan[heif]"'
)
BMP_HEADER_SIZES = (12, 40, 52, 56, 64, 108, 124)
OTHER_MARKS = (  # what people send by mistake, its bytes (compared in lower case), what to do
    ("a film", 4, b"ftyp", "Save the pictures that you need as JPEG"),
    ("a ZIP archive or an office document", 0, b"pk\x03\x04", "Export it as PDF"),
    ("an office document of the old kind", 0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Export it as PDF"),
    ("a web page", 0, b"<!doctype html", "Print it to a PDF"),
    ("a web page", 0, b"<html", "Print it to a PDF"),
    ("an SVG or XML file", 0, b"<?xml", "Print it to a PDF"),
    ("an SVG drawing", 0, b"<svg", "Print it to a PDF"),
    ("an RTF document", 0, b"{\\rtf", "Export it as PDF"),
    ("a PostScript file", 0, b"%!ps", "Convert it to PDF"),
    ("a DjVu document", 0, b"at&tform", "Convert it to PDF"),
    ("a Photoshop file", 0, b"8bps", "Save it as PNG"),
    ("a compressed file", 0, b"\x1f\x8b", "Unpack it"),
)


class DocumentError(Exception):
    """A file or a page of it cannot be used. `detail` says, for people, what happened and what to do next.

    Reasons from here: empty_file, wrong_type, unsupported_format, corrupt, encrypted, no_pages, too_large,
    page_failed. Who runs this in a sandbox adds timeout.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentLimits:
    """Most pages in a document; most pixels, width times height, in an image that is decoded or drawn."""

    max_pages: int = 10_000
    max_page_pixels: int = 200_000_000


def sniff(head: bytes, name: str = "") -> Kind:
    """What a file is, by its first 4 kB alone. Raises DocumentError for one that Pagefan does not read.

    `name` only makes the refusal exact: wrong_type or corrupt where its extension promises a known format.
    """
    if not head:
        raise DocumentError("empty_file", "The file is empty. Send it again; the upload may have been cut short.")
    for kind, offset, mark in IMAGE_MARKS:
        if head.startswith(mark, offset):
            return kind
    if head.startswith(b"ftyp", 4) and (brands := brands_of(head)) & HEIF_BRANDS:
        return checked_heif() if b"avif" not in brands else "avif"
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in BMP_HEADER_SIZES:
        return "bmp"
    if head.find(b"%PDF-", 0, PDF_MARK_BYTES + 5) >= 0:
        return "pdf"
    raise refusal(head, name)


def brands_of(head: bytes) -> set[bytes]:
    """The brands in the file type box: what the file is, then what else its readers may take it for."""
    most = min(int.from_bytes(head[:4], "big"), 16 + 4 * MOST_BRANDS, len(head))
    return {head[8:12], *(head[start : start + 4] for start in range(16, most - 3, 4))}


def checked_heif() -> Kind:
    """Raise DocumentError where the extra package that reads HEIF is missing; it is not loaded here."""
    if find_spec("pillow_heif") is None:
        raise DocumentError("unsupported_format", NO_DECODER)
    return "heif"


def refusal(head: bytes, name: str) -> DocumentError:
    suffix = Path(name).suffix.lower()
    promised = next((kind for kind, suffixes in EXTENSIONS.items() if suffix in suffixes), None)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for what, offset, mark, advice in OTHER_MARKS:
        if start.startswith(mark, offset):
            reason = "wrong_type" if promised else "unsupported_format"
            found = f"named {suffix} but is {what}" if promised else what
            return DocumentError(reason, f"The file is {found}. {advice}, and send that.")
    if promised:
        detail = f"The file is named {suffix} but does not begin as {promised.upper()} files do. Save it anew."
        return DocumentError("corrupt", detail)
    known = ", ".join(EXTENSIONS).upper()
    return DocumentError("unsupported_format", f"The file is none of {known}. Convert it to one, and send that.")
