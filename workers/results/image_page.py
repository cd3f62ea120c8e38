"""A page of a PDF with an image of a file on it, as large as the image says that it is."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import ExifTags

from workers.documents.image import check_size, open_image, seek_page
from workers.documents.kinds import DocumentLimits, Kind
from workers.light_pymupdf import pymupdf
from workers.results.invisible_font import add_object
from workers.results.picture_forms import Picture
from workers.results.pictures import picture_of
from workers.results.sheet_size import default_size, size_of

IMAGE = "PagefanImage"
ORIENTATIONS = {  # of EXIF: the place in the unit square, y upwards, of what is stored at (x, y)
    1: (1, 0, 0, 1, 0, 0),
    2: (-1, 0, 0, 1, 1, 0),
    3: (-1, 0, 0, -1, 1, 1),
    4: (1, 0, 0, -1, 0, 1),
    5: (0, -1, -1, 0, 1, 1),
    6: (0, -1, 1, 0, 0, 1),
    7: (0, 1, 1, 0, 0, 0),
    8: (0, 1, -1, 0, 1, 0),
}
PAGE_BYTES = 10_000  # that a page without an image may hold


def add_image(
    document: pymupdf.Document, source: Path, kind: Kind, record: Mapping[str, Any], limits: DocumentLimits
) -> tuple[pymupdf.Page, int]:
    """A page with the source's image, and bytes of that; an empty one where it cannot be decoded."""
    size = default_size(record["width"] or 1, record["height"] or 1)
    picture, orientation = None, 1
    index = int(record["page_number"]) - 1
    with suppress(Exception), open_image(source, kind, limits) as image:  # the record says why a page failed
        seek_page(image, kind, index, limits)
        check_size(image, index, limits)
        size, turn = size_of(image), int(image.getexif().get(ExifTags.Base.Orientation, 1))
        picture, is_unturned = picture_of(source, kind, image)
        orientation = turn if is_unturned else 1
    page = document.new_page(width=size.width, height=size.height)
    if picture:
        put_picture(page, picture, orientation)
    return page, len(picture.data) if picture else PAGE_BYTES


def put_picture(page: pymupdf.Page, picture: Picture, orientation: int) -> None:
    document = page.parent
    number = add_object(
        document,
        f"<</Type/XObject/Subtype/Image/Width {picture.width}/Height {picture.height}{picture.entries}>>",
    )
    document.update_stream(number, picture.data, new=True, compress=False)
    document.xref_set_key(number, "Filter", picture.filter)
    document.xref_set_key(number, "DecodeParms", picture.params)
    matrix = " ".join(f"{value:.4f}" for value in placed(page.rect, orientation))
    content = add_object(document, "<<>>", f"q {matrix} cm /{IMAGE} Do Q".encode())
    document.xref_set_key(page.xref, "Resources", f"<</XObject<</{IMAGE} {number} 0 R>>>>")
    document.xref_set_key(page.xref, "Contents", f"{content} 0 R")


def placed(sheet: pymupdf.Rect, orientation: int) -> pymupdf.Matrix:
    """The unit square, in which PDF draws images, over the sheet, turned by this orientation of EXIF."""
    return pymupdf.Matrix(*ORIENTATIONS.get(orientation, ORIENTATIONS[1])) * pymupdf.Matrix(sheet.width, sheet.height)
