"""Documents: how many pages one has, and one of them as an image.

With a hostile file, opening and rendering can hang, crash or take much memory: run them in `workers.sandbox.sandbox`.
A reader is one module, named in `READERS` and imported when first used, for PyMuPDF takes a second to import.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

from PIL import Image

from workers.documents.clear import clear_view, is_faint
from workers.documents.ink import is_blank
from workers.documents.kinds import HEAD_BYTES, DocumentError, DocumentLimits, Kind, sniff
from workers.engines import ImageSpec
from workers.reading.layer_lines import LayerWord

UNPACKER = "workers.documents.unpack"
READERS = {"pdf": "workers.documents.pdf", "image": "workers.documents.image"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentInfo:
    """What is known of a document before its pages are rendered; `warnings` are sentences for people.

    `attached` are the names of the files within a PDF, which its pages do not show.
    """

    kind: Kind
    num_pages: int
    warnings: tuple[str, ...] = ()
    attached: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PageImage:
    """One page as the engine wants to see it. `width` and `height` are the image's, in pixels.

    It is larger than an engine's longest side where the engine takes pages in tiles and the print wants that.

    `rotation` is what the document turns the page by, in degrees clockwise; the image is upright already.
    `text_layer` is the text a PDF has for the page, "" for images.
    """

    image: Image.Image
    width: int
    height: int
    rotation: int
    is_blank: bool
    text_layer: str


class Reader(Protocol):
    """A module that reads documents of some kinds. An `index` is a page's 0-based place."""

    def inspect(
        self, path: Path, kind: Kind, *, password: str, limits: DocumentLimits
    ) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
        """Number of pages, warnings, and the names of attached files."""

    def render(
        self,
        path: Path,
        kind: Kind,
        index: int,
        *,
        spec: ImageSpec,
        dpi: int,
        password: str,
        limits: DocumentLimits,
    ) -> tuple[Image.Image, int, str]:
        """The page's image as `spec` wants it, the rotation it had, and its text layer."""

    def read_text_layer(self, path: Path, index: int, *, password: str) -> str:
        """The text the document itself has for the page."""


@runtime_checkable
class WordReader(Protocol):
    """The part of a reader whose documents have text of their own."""

    def read_words(
        self, path: Path, index: int, *, width: int, height: int, password: str
    ) -> tuple[list[LayerWord], bool]:
        """The words of that text on the page's image of this size, and whether the page is a picture, as a scan is."""


def inspect_document(path: Path | str, *, password: str = "", limits: DocumentLimits) -> DocumentInfo:
    """Kind, number of pages and warnings. Raises DocumentError with the reason for a file of no use."""
    kind, reader = open_reader(Path(path))
    num_pages, warnings, attached = reader.inspect(Path(path), kind, password=password, limits=limits)
    if num_pages > limits.max_pages:
        detail = f"The document has {num_pages} pages, and at most {limits.max_pages} are taken. Split it."
        raise DocumentError("too_large", detail)
    return DocumentInfo(kind=kind, num_pages=num_pages, warnings=warnings, attached=attached)


def render_page(
    path: Path | str, index: int, *, spec: ImageSpec, dpi: int = 0, password: str = "", limits: DocumentLimits
) -> PageImage:
    """The page at this 0-based index as `spec` wants it. Raises DocumentError with the reason if it cannot be.

    `dpi` 0 is the largest image that `spec` allows; another makes PDF pages smaller than that, never larger.
    Images have the pixels they have: they are made smaller to fit `spec`, and `dpi` does not touch them.
    """
    kind, reader = open_reader(Path(path))
    image, rotation, text = reader.render(Path(path), kind, index, spec=spec, dpi=dpi, password=password, limits=limits)
    is_empty = is_blank(image)
    if not is_empty and is_faint(image):
        image = clear_view(image)
    return PageImage(
        image=image,
        width=image.width,
        height=image.height,
        rotation=rotation,
        is_blank=is_empty,
        text_layer=text,
    )


def read_text_layer(path: Path | str, index: int, *, password: str = "") -> str:
    """The text a PDF has for the page at this 0-based index, without rendering it; "" for images."""
    _, reader = open_reader(Path(path))
    return reader.read_text_layer(Path(path), index, password=password)


def read_words(
    path: Path | str, index: int, *, width: int, height: int, password: str = ""
) -> tuple[list[LayerWord], bool]:
    """The words a PDF has for the page, on its image of this size, and whether the page is a picture, as a scan is."""
    _, reader = open_reader(Path(path))
    if not isinstance(reader, WordReader):
        return [], True
    return reader.read_words(Path(path), index, width=width, height=height, password=password)


def save_attached(
    path: Path | str, folder: Path, *, password: str = "", most: int, max_bytes: int, max_total: int
) -> None:
    """Write the PDFs and images within a PDF to `folder`, each named by its number, and an index with a line for each.

    Whoever stops this midway has the files that have a line, see `workers.documents.attachments`. At most `most` files
    are written, of `max_bytes` each and `max_total` together. Raises DocumentError for a PDF that cannot be opened.
    """
    unpacker = import_module(UNPACKER)
    unpacker.unpack(Path(path), folder, password=password, most=most, max_bytes=max_bytes, max_total=max_total)


def open_reader(path: Path) -> tuple[Kind, Reader]:
    with path.open("rb") as file:
        kind = sniff(file.read(HEAD_BYTES), path.name)
    return kind, load_reader("pdf" if kind == "pdf" else "image")


def load_reader(name: str) -> Reader:
    return cast(Reader, import_module(READERS[name]))
