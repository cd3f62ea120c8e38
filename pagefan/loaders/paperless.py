"""paperless-ngx: a parser plugin, which reads documents by Pagefan and keeps its searchable PDF as the archive.

paperless-ngx finds it by its entry point once `pagefan` is installed beside it, and asks it first where PAGEFAN_URL is
set. It is no library of its own, so what is taken from it is imported when it is needed.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from datetime import datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self, cast

from pagefan.answers import ClientError
from pagefan.client import Client
from pagefan.loaders.pieces import Reading, reading

logger = logging.getLogger("paperless.parsing.pagefan")

SCORE = 30  # paperless-ngx gives 10 to Tesseract and 20 to its remote parser
PDF = "application/pdf"
TYPES = {
    PDF: ".pdf",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/tiff": ".tiff",
    "image/bmp": ".bmp",
    "image/gif": ".gif",
    "image/webp": ".webp",
}


class PagefanParser:
    """What paperless-ngx asks of a parser: its ParserProtocol."""

    name: ClassVar[str] = "Pagefan"
    version: ClassVar[str] = version("pagefan")
    author: ClassVar[str] = "Pagefan"
    url: ClassVar[str] = "docs/loaders.md of Pagefan"
    can_produce_archive: ClassVar[bool] = True
    requires_pdf_rendition: ClassVar[bool] = False

    @classmethod
    def supported_mime_types(cls) -> dict[str, str]:
        return dict(TYPES)

    @classmethod
    def score(cls, mime_type: str, filename: str, path: Path | None = None) -> int | None:  # noqa: ARG003
        """How much this parser wants the file; None where no server is named."""
        return SCORE if mime_type in TYPES and os.environ.get("PAGEFAN_URL") else None

    def __init__(self, logging_group: object = None) -> None:
        scratch = Path(import_module("django.conf").settings.SCRATCH_DIR)
        scratch.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="paperless-", dir=scratch))
        self._logging_group = logging_group
        self._text = ""
        self._archive: Path | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def configure(self, context: object) -> None:
        """Nothing of the mail rule or the like is of use here."""

    def parse(self, document_path: Path, mime_type: str, *, produce_archive: bool = True) -> None:  # noqa: ARG002
        """Read the document; raises paperless-ngx's ParseError where no page could be read."""
        try:
            with Reading().connect() as client:
                self._read(client, Path(document_path), produce_archive=produce_archive)
        except (ClientError, OSError) as exc:
            raise import_module("documents.parsers").ParseError(f"Pagefan: {exc}") from exc

    def _read(self, client: Client, path: Path, *, produce_archive: bool) -> None:
        with reading(client, path, "", {}) as job:
            self._text = client.fetch(job, "txt").text.replace("\f", "\n").strip()
            if job["missing_pages"]:
                logger.warning("%s: pages %s could not be read", path.name, job["missing_pages"])
            if produce_archive:
                self._archive = client.download(job["id"], "pdf", self._folder / "archive.pdf")

    def get_text(self) -> str:
        return self._text

    def get_date(self) -> datetime | None:
        """None: paperless-ngx looks for dates in the text itself."""
        return None

    def get_archive_path(self) -> Path | None:
        return self._archive

    def get_thumbnail(self, document_path: Path, mime_type: str) -> Path:  # noqa: ARG002
        """A WebP of the first page in this parser's folder, as paperless-ngx makes it for its own parsers."""
        make = import_module("documents.parsers").make_thumbnail_from_pdf
        return cast("Path", make(self._archive or document_path, self._folder, self._logging_group))

    def get_page_count(self, document_path: Path, mime_type: str) -> int | None:
        count = import_module("paperless.parsers.utils").get_page_count_for_pdf if mime_type == PDF else None
        return cast("int | None", count(document_path, log=logger)) if count else None

    def extract_metadata(self, document_path: Path, mime_type: str) -> list[Any]:
        extract = import_module("paperless.parsers.utils").extract_pdf_metadata if mime_type == PDF else None
        return list(extract(document_path, log=logger)) if extract else []
