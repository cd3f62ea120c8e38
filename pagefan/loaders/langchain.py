"""LangChain: `PagefanLoader` loads documents, `PagefanParser` parses the blobs of another loader."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Unpack, cast

from pagefan.answers import Options
from pagefan.loaders.pieces import By, Piece, Reading
from pagefan.sources import Source

try:
    from langchain_core.document_loaders import BaseBlobParser, BaseLoader
    from langchain_core.documents import Document
    from langchain_core.documents.base import Blob
except ImportError as exc:
    raise ImportError('LangChain is not installed; `pip install "pagefan[langchain]"` brings its core.') from exc


class PagefanLoader(BaseLoader):
    """Documents by path or URL, as bytes or open files, as LangChain's documents.

    `by` is "page", "chunk" or "document"; `options` are those of a job, such as `pages="1-3"`.
    """

    def __init__(
        self,
        source: Source | Sequence[str | os.PathLike[str]],
        *,
        url: str = "",
        api_key: str = "",
        by: By = "page",
        **options: Unpack[Options],
    ) -> None:
        self._sources = cast("list[Source]", list(source) if isinstance(source, list | tuple) else [source])
        self._reading = Reading(url=url, api_key=api_key, by=by, options=options)

    def lazy_load(self) -> Iterator[Document]:
        """The documents of one source after another, each when all of it has been read."""
        for source in self._sources:
            yield from map(as_document, self._reading.read(source))


class PagefanParser(BaseBlobParser):
    """For LangChain's GenericLoader: what another loader finds is read by Pagefan."""

    def __init__(self, *, url: str = "", api_key: str = "", by: By = "page", **options: Unpack[Options]) -> None:
        self._reading = Reading(url=url, api_key=api_key, by=by, options=options)

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        name = os.path.basename(str(blob.path or ""))  # noqa: PTH119 - it may be a URL
        for piece in self._reading.read(blob.as_bytes(), name):
            document = as_document(piece)
            document.metadata |= blob.metadata | ({"source": blob.source} if blob.source else {})
            yield document


def as_document(piece: Piece) -> Document:
    return Document(page_content=piece.text, metadata=piece.about)
