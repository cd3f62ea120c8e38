"""PDF files through PyMuPDF."""

from __future__ import annotations

import math
import mmap
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from workers.documents.attached import find_attached, form_warnings
from workers.documents.images import smart_resize
from workers.documents.kinds import DocumentError, DocumentLimits, Kind
from workers.documents.layer import is_picture, layer_words
from workers.documents.layer_text import text_of
from workers.documents.tiles import LOOK_BELOW, MOST_READ, fit_or_large
from workers.engines import ImageSpec
from workers.light_pymupdf import pymupdf
from workers.reading.layer_lines import LayerWord

POINTS_PER_INCH = 72
LARGE_SHEET_IN = 15  # longest side; A3, tabloid and plans are larger, and letters on them as small as on A4
SHEET_DPI = 150  # what such a sheet is drawn with
TOO_LARGE = (pymupdf.mupdf.FzErrorLimit, pymupdf.mupdf.FzErrorSystem)  # a size MuPDF refuses, or no memory
# security handlers other than the standard one: certificates, rights management, e-book protection
OTHER_HANDLERS = re.compile(
    rb"/Filter\s*/(Adobe\.PubSec|Adobe\.APS|EBX_HANDLER|FOPN_\w+|Entrust\.PPKEF|MicrosoftIRMServices)"
)


def inspect(
    path: Path,
    kind: Kind,  # noqa: ARG001
    *,
    password: str,
    limits: DocumentLimits,  # noqa: ARG001
) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    document = open_pdf(path, password)
    try:
        num_pages = document.page_count
    except Exception as exc:
        raise DocumentError("corrupt", "The PDF's list of pages is damaged. Print it to a new PDF.") from exc
    if num_pages < 1 and document.is_repaired:
        raise DocumentError("corrupt", "The PDF is damaged and no page was found in it. Send a whole copy.")
    if num_pages < 1:
        raise DocumentError("no_pages", "The PDF has no pages that can be found. Print it to a new PDF.")
    warnings = (*repair_warnings(document), *form_warnings(document))
    return num_pages, warnings, tuple(name for name, _ in find_attached(document))


def repair_warnings(document: pymupdf.Document) -> tuple[str, ...]:
    if not document.is_repaired:
        return ()
    return ("The PDF was damaged and has been repaired; look whether a page or a part of one is missing.",)


def render(
    path: Path,
    kind: Kind,  # noqa: ARG001
    index: int,
    *,
    spec: ImageSpec,
    dpi: int,
    password: str,
    limits: DocumentLimits,
) -> tuple[Image.Image, int, str]:
    document = open_pdf(path, password)
    try:
        page = document.load_page(index)
        return draw_readable(page, spec=spec, dpi=dpi, limits=limits), page.rotation % 360, text_of(page)
    except (DocumentError, MemoryError):
        raise
    except Exception as exc:
        raise page_error(index, exc) from exc


def draw_readable(page: pymupdf.Page, *, spec: ImageSpec, dpi: int, limits: DocumentLimits) -> Image.Image:
    """The page as `spec` wants it; a large sheet is drawn larger where its print would be too small for that."""
    width, height = page_size(page.rect, spec=spec, dpi=dpi, limits=limits)
    if spec.min_letter and max(page.rect.width, page.rect.height) > LARGE_SHEET_IN * POINTS_PER_INCH:
        most_pixels = min(MOST_READ, limits.max_page_pixels)
        scale = min((dpi or SHEET_DPI) / POINTS_PER_INCH, math.sqrt(most_pixels / (page.rect.width * page.rect.height)))
        across, down = (max(1, int(side * scale)) for side in (page.rect.width, page.rect.height))
        if max(across, down) * LOOK_BELOW > max(width, height):
            return fit_or_large(draw(page, across, down, spec), spec)
    return draw(page, width, height, spec)


def page_size(rect: pymupdf.Rect, *, spec: ImageSpec, dpi: int, limits: DocumentLimits) -> tuple[int, int]:
    """The size in pixels to draw a page of `rect` points at."""
    longest = max(rect.width, rect.height)
    if min(rect.width, rect.height) <= 0 or not math.isfinite(longest):
        raise DocumentError("page_failed", "The page has no area. Print the PDF to a new one.")
    max_side = max(spec.factor, min(spec.max_side, math.isqrt(limits.max_page_pixels)))
    scale = min(max_side / longest, dpi / POINTS_PER_INCH if dpi else math.inf)
    across, down = (max(1, round(side * scale)) for side in (rect.width, rect.height))
    return smart_resize(across, down, factor=spec.factor, max_side=max_side)


def draw(page: pymupdf.Page, width: int, height: int, spec: ImageSpec) -> Image.Image:
    """The page on white, `width` x `height` px."""
    rect = page.rect
    pixmap = page.get_pixmap(
        matrix=pymupdf.Matrix(width / rect.width, height / rect.height),
        colorspace=pymupdf.csGRAY if spec.mode == "L" else pymupdf.csRGB,
        alpha=False,
    )
    image = Image.frombytes(spec.mode, (pixmap.width, pixmap.height), pixmap.samples)
    return image if image.size == (width, height) else image.resize((width, height))


def read_text_layer(path: Path, index: int, *, password: str) -> str:
    document = open_pdf(path, password)
    try:
        return text_of(document.load_page(index))
    except MemoryError:
        raise
    except Exception as exc:
        raise page_error(index, exc) from exc


def read_words(path: Path, index: int, *, width: int, height: int, password: str) -> tuple[list[LayerWord], bool]:
    try:
        page = open_pdf(path, password).load_page(index)
        return layer_words(page, width, height), is_picture(page)
    except (DocumentError, MemoryError):
        raise
    except Exception as exc:
        raise page_error(index, exc) from exc


def open_pdf(path: Path, password: str) -> pymupdf.Document:
    """The document, unlocked. The last one stays open: pages of a document come one after another.

    That keeps fonts and, for a damaged file, the repaired list of objects: 8 ms a page instead of 18 ms in a
    textbook of 117 pages.
    """
    stat = path.stat()
    return reopen_pdf(path, (stat.st_ino, stat.st_mtime_ns, stat.st_size), password)


@lru_cache(maxsize=1)
def reopen_pdf(path: Path, version: tuple[int, int, int], password: str) -> pymupdf.Document:  # noqa: ARG001
    return open_own_pdf(path, password)


def open_own_pdf(path: Path, password: str) -> pymupdf.Document:
    """The document, unlocked and shared with nobody, so that it may be changed."""
    pymupdf.TOOLS.mupdf_display_errors(False)
    pymupdf.TOOLS.mupdf_display_warnings(False)
    try:
        document = pymupdf.open(path, filetype="pdf")
    except MemoryError:
        raise
    except Exception as exc:
        raise open_error(path, exc) from exc
    if not document.is_pdf and not document.needs_pass:
        raise DocumentError("wrong_type", "The file is not a PDF inside. Export or print it as PDF.")
    if document.needs_pass and not document.authenticate(password):
        problem = "The password does not open this PDF." if password else "The PDF needs a password."
        raise DocumentError("encrypted", f"{problem} Give it with a retry of this job.")
    return document


def open_error(path: Path, exc: Exception) -> DocumentError:
    if isinstance(exc.__cause__ or exc, TOO_LARGE):
        return DocumentError("too_large", "Opening the PDF takes more memory than allowed. Split it.")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if OTHER_HANDLERS.search(data):
            detail = "The PDF is locked by a certificate or by rights management. Save a copy without protection."
            return DocumentError("encrypted", detail)
    return DocumentError("corrupt", "The PDF is damaged beyond repair. Open it in a viewer and print it to a new PDF.")


def page_error(index: int, exc: Any) -> DocumentError:
    if isinstance(exc.__cause__ or exc, TOO_LARGE):
        detail = f"Page {index + 1} takes more memory than allowed. Try a lower dpi, or print it smaller."
        return DocumentError("too_large", detail)
    detail = f"Page {index + 1} is damaged and cannot be drawn. Print the PDF to a new one, and retry."
    return DocumentError("page_failed", detail)
